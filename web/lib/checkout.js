/** Ordering what is in the cart: sends, waits, sends the same again, until an answer is final or the person says stop. */

import { announce } from "./announce.js";
import { post, request } from "./api.js";
import { continued, resumes, verdict } from "./attempt.js";
import { lineas, totalVisto, vaciar } from "./cart.js";
import { now } from "./clock.js";
import { computed, effect, signal } from "./html.js";
import { t } from "./i18n.js";
import { go, location } from "./router.js";
import { usuario } from "./session.js";
import { keep, recall } from "./storage.js";

/** One tab asks at a time; held while the person's purchase goes on. */
const LOCK = "comanda-compra";
/** The services between us and the stock try for up to 20 s before they give up. */
const TIMEOUT_MS = 30_000;

/**
 * Where the purchase stands.
 *
 * - `idle`
 * - `sending`: with the `problem` of the time before, if there was one
 * - `waiting`: until `until`, in the services' time, because of `problem`
 * - `refused`: for good, because of `problem`; what was asked for is in `attempt`
 * - `stopped`: by the person, and nobody knows whether an order was made
 *
 * @type {import("../vendor/signals.js").Signal<{state: string, problem?: any, until?: number, attempt?: any}>}
 */
export const compra = signal({ state: "idle" });
export const enCurso = computed(() => compra.value.state === "sending" || compra.value.state === "waiting");

let running = null; // { abort: AbortController, wake: () => void }

const owner = computed(() => usuario.value?.id);
const name = () => `compra.${owner.peek()}`;

/** Who logs out stops buying; the attempt is kept for when they are back. */
effect(() => {
  owner.value;
  running?.abort.abort();
  compra.value = { state: "idle" };
});

/** Orders the cart. If another tab is just ordering it, what becomes of that is waited for instead. @param {string} [total]  what the person agreed to pay; the sum of the prices they saw */
export function comprar(total = totalVisto.peek()) {
  if (running || !lineas.peek().length) return;
  follow(continued(recall(name()), lineas.peek(), total, now()));
}

/** After a reload, wherever the person is, goes on with what had been sent and not been answered. */
export function reanudar() {
  const attempt = recall(name());
  if (!running && resumes(attempt, now())) follow(attempt);
}

/** Does not wait any longer. */
export const yaMismo = () => running?.wake();

/** Stops asking. An order that is known to have been begun is cancelled; one that may have been made is not known. */
export async function detener() {
  const { attempt } = compra.value;
  running?.abort.abort();
  keep(name(), { ...attempt, detenido: true });
  compra.value = { state: "stopped", attempt };
  if (!attempt.pedido_id) return;
  try {
    await post(`/pedidos/${attempt.pedido_id}/cancelar`, {});
    announce(t("compra.cancelada"));
  } catch (problem) {
    if (!problem.isNoted) return;
    announce(t("pedido.cancelara"));
  }
  settle({ state: "idle" }, attempt);
}

/** The person has read it. */
export function entendido() {
  compra.value = { state: "idle" };
}

async function follow(attempt) {
  const abort = new AbortController();
  const mine = (running = { abort, wake: () => {} });
  compra.value = { state: "sending", attempt };
  try {
    if (!(await ifAlone(() => persist(attempt, mine)))) await elsewhere(mine);
  } finally {
    if (running === mine) running = null;
  }
}

/** Another tab is at it: waits for it, and takes over if it was closed without an answer. */
async function elsewhere(mine) {
  const { signal } = mine.abort;
  const left = () => {
    const attempt = recall(name());
    return !signal.aborted && resumes(attempt, now()) ? persist(attempt, mine) : undefined;
  };
  await navigator.locks.request(lock(), { signal }, left).catch((error) => {
    if (!signal.aborted) throw error;
  });
  if (!signal.aborted && enCurso.peek()) compra.value = { state: "idle" };
}

/** Whether it was done: not if another tab holds the lock. Where the browser knows no locks, the key has to do. */
function ifAlone(work) {
  const done = async () => (await work(), true);
  return navigator.locks ? navigator.locks.request(lock(), { ifAvailable: true }, (free) => free && done()) : done();
}

const lock = () => `${LOCK}.${owner.peek()}`;

async function persist(attempt, mine) {
  const { signal } = mine.abort;
  for (let failures = 0, problem; !signal.aborted; failures += 1) {
    keep(name(), attempt); // before it is sent: whatever happens then, the same key is used
    compra.value = { state: "sending", problem, attempt };
    try {
      return placed(attempt, await send(attempt, signal));
    } catch (error) {
      if (signal.aborted) return undefined;
      problem = error;
    }
    const next = verdict(problem, failures);
    if (next === "paused") {
      compra.value = { state: "idle" };
      return undefined;
    }
    if (next === "final") return refused(problem, attempt);
    attempt = { ...attempt, pedido_id: problem.extras.pedido_id ?? attempt.pedido_id };
    keep(name(), attempt);
    compra.value = { state: "waiting", problem, until: now() + next.retry * 1000, attempt };
    await pause(next.retry * 1000, mine);
  }
  return undefined;
}

async function send({ clave, lineas, total }, signal) {
  const { body } = await request("POST", "/pedidos", {
    body: { lineas, total_esperado: total },
    headers: { "Idempotency-Key": clave },
    timeout: TIMEOUT_MS,
    signal,
  });
  return body;
}

function placed(attempt, pedido) {
  settle({ state: "idle" }, attempt);
  vaciar(attempt.lineas);
  announce(t("compra.hecha"));
  if (location.peek().path === "/carrito") go(`/pedidos/${pedido.id}`, {}, { replace: true });
}

function refused(problem, attempt) {
  settle({ state: "refused", problem, attempt }, attempt);
  if (location.peek().path !== "/carrito") announce(t("compra.rechazada"), "bad");
}

/** The answer is final: the next order gets another key. One that another tab has begun since keeps its own. */
function settle(state, { clave }) {
  if (recall(name())?.clave === clave) keep(name(), null);
  compra.value = state;
}

function pause(ms, mine) {
  return new Promise((resolve) => {
    mine.wake = resolve;
    mine.abort.signal.addEventListener("abort", resolve, { once: true });
    setTimeout(resolve, ms);
  });
}
