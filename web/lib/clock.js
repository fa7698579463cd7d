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
