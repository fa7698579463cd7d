/** The services' time. Deadlines are theirs, and the clock of a device may be minutes off. */

/** `Date` headers have whole seconds, and answers take time on the way: less than this is no difference. */
const TOLERANCE_MS = 2_000;

let offset = 0;

/** @param {Headers} headers  of an answer that was not cached */
export function learn(headers) {
  const difference = Date.parse(headers.get("Date")) - Date.now();
  if (Number.isFinite(difference)) offset = Math.abs(difference) > TOLERANCE_MS ? difference : 0;
}

/** Milliseconds since 1970. */
export const now = () => Date.now() + offset;

/** Waits so long, or until the signal says stop. @param {number} ms @param {AbortSignal} signal */
export function sleep(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
