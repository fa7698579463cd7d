/** Server-sent events out of a byte stream (WHATWG HTML §9.2.6), which EventSource cannot read with a Bearer token. */

/**
 * Cuts text into events. Feed it with whatever arrives; it keeps the unfinished rest.
 *
 * @returns {(text: string) => {event: string, data: string, id: string | null}[]}  `id` null: none was ever sent
 */
export function parser() {
  let rest = "";
  let id = null;
  let event = "";
  let data = [];

  return (text) => {
    const events = [];
    // A CR at the end may be the first half of a CRLF.
    const lines = (rest + text).split(/\r\n|\n|\r(?=[^])/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (data.length) events.push({ event: event || "message", data: data.join("\n"), id });
        event = "";
        data = [];
        continue;
      }
      const [, name, value = ""] = /^([^:]*)(?:: ?([^]*))?$/.exec(line);
      if (name === "data") data.push(value);
      else if (name === "event") event = value;
      else if (name === "id" && !value.includes("\0")) id = value;
    }
    return events;
  };
}

/** More than twice the services' heartbeat. */
const IDLE_MS = 40_000;

/** The events of a response as they arrive, until it ends or falls silent. @param {Response} response */
export async function* eventsOf(response) {
  const parse = parser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const giveUp = () => reader.cancel().catch(() => {});
  try {
    for (;;) {
      const watchdog = setTimeout(giveUp, IDLE_MS);
      const { done, value } = await reader.read().finally(() => clearTimeout(watchdog));
      if (done) return;
      yield* parse(value);
    }
  } finally {
    giveUp();
  }
}
