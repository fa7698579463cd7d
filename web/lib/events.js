/**
 * What happens to orders, as it happens. One stream serves the whole page; it runs while somebody listens and the page
 * is in view, and goes on from the last event seen. Where no stream can be had, listeners are told to look again.
 */

import { open } from "./api.js";
import { sleep } from "./clock.js";
import { signal } from "./html.js";
import { eventsOf } from "./sse.js";

const PATH = "/pedidos/eventos";
const POLL_MS = 5_000;
/** A stream that lasted that long did not fail. */
const STEADY_MS = 10_000;
const BACKOFF_MS = [500, 1_000, 2_000, 5_000, 10_000];
/** No stream there (an older service), or too many of this person's: looking again will do. */
const WITHOUT_STREAM = new Set([404, 405, 422, 429, 501]);

/** Whether changes are seen at once: "live", or only now and then: "polling"; "idle" when nobody listens. */
export const connection = signal("idle");

/** @type {Set<{onEvent: (pedido: any) => void, refresh: () => void}>} */
const listeners = new Set();
let running = null; // AbortController of the loop
let lastId = null;

/**
 * Listens to the changes of orders.
 *
 * @param {(cambio: any) => void} onEvent  what a `pedido` event carries
 * @param {() => void} refresh  called when changes may have been missed: read what is shown again
 * @returns {() => void} stops listening
 */
export function listen(onEvent, refresh) {
  const listener = { onEvent, refresh };
  listeners.add(listener);
  adjust();
  return () => {
    listeners.delete(listener);
    adjust();
  };
}

document.addEventListener("visibilitychange", adjust);

/** Starts or ends the loop as listeners and visibility want it. */
function adjust() {
  const wanted = listeners.size > 0 && !document.hidden;
  if (wanted && !running) {
    running = new AbortController();
    follow(running.signal);
  } else if (!wanted && running) {
    running.abort();
    running = null;
    connection.value = "idle";
    if (!listeners.size) lastId = null; // whoever listens next reads the present state first
  }
}

async function follow(signal) {
  for (let failures = 0; !signal.aborted;) {
    const began = performance.now();
    try {
      await stream(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401) return; // the person is a visitor now
      connection.value = "polling";
      if (error.status === 422 && lastId) {
        lastId = null; // not an event of theirs, any more: begin anew
        continue;
      }
      if (WITHOUT_STREAM.has(error.status)) {
        await poll(signal, (error.retryAfter ?? 60) * 1000);
        continue;
      }
    }
    if (performance.now() - began > STEADY_MS) failures = 0;
    const pause = BACKOFF_MS[Math.min(failures++, BACKOFF_MS.length - 1)];
    await sleep(pause * (0.75 + Math.random() / 2), signal);
  }
}

/** Reads one stream to its end: a `fin`, a restart of the service, a proxy's limit. */
async function stream(signal) {
  const headers = { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) };
  const resumed = lastId !== null;
  const response = await open(PATH, { headers, signal });
  connection.value = "live";
  if (!resumed) each((listener) => listener.refresh()); // what changed before the stream began
  for await (const { event, data, id } of eventsOf(response)) {
    lastId = id ?? lastId;
    if (event === "pedido") each((listener) => listener.onEvent(JSON.parse(data)));
    if (event === "fin") return;
  }
}

/** Has everybody look again, every few seconds for a while. */
async function poll(signal, duration) {
  const until = performance.now() + duration;
  while (!signal.aborted && performance.now() < until) {
    await Promise.all(each((listener) => listener.refresh())); // a long list may take longer than the pause
    await sleep(POLL_MS, signal);
  }
}

/** One listener's failure is not the others'. @returns {Promise<void>[]} */
const each = (act) => [...listeners].map(async (listener) => act(listener)).map((done) => done.catch(reportError));
