/**
 * One attempt to order: what is sent, under which key, and what an answer means for it. Pure; `checkout.js` acts on it.
 *
 * The key is kept until an answer is final. So a lost answer, a reload or a second click asks for the same order again.
 */

const HOUR_MS = 3_600_000;
/** Services keep a key for 24 h at least. */
const KEY_MS = 23 * HOUR_MS;
/** Who comes back later than this is asked before anything is sent. */
const RESUME_MS = HOUR_MS / 6;

const BACKOFF_SECONDS = [2, 4, 8, 15, 30];

/**
 * @typedef {object} Attempt
 * @property {string} clave
 * @property {{producto_id: string, cantidad: number}[]} lineas
 * @property {string} total  what the person agreed to pay
 * @property {number} desde  milliseconds since 1970
 * @property {boolean} detenido  the person told us to stop asking
 * @property {string | null} pedido_id  the order that was begun, once known
 */

/** @returns {Attempt} */
export function begin(lineas, total, now, clave = newKey()) {
  const sent = lineas.map(({ producto_id, cantidad }) => ({ producto_id, cantidad }));
  return { clave, lineas: sent, total, desde: now, detenido: false, pedido_id: null };
}

/** The attempt that stands, if its answer is still owed or it asks for just this; else another one. */
export function continued(attempt, lineas, total, now) {
  const fresh = begin(lineas, total, now);
  if (!attempt || now - attempt.desde > KEY_MS) return fresh;
  if (resumes(attempt, now)) return attempt; // there may be an order of it: another key could make a second
  const same = attempt.total === total && JSON.stringify(attempt.lineas) === JSON.stringify(fresh.lineas);
  return same ? { ...attempt, detenido: false } : fresh;
}

/** Whether to go on with it unasked, after a reload, whatever has become of the cart. */
export const resumes = (attempt, now) =>
  Boolean(attempt) && !attempt.detenido && now - attempt.desde <= RESUME_MS;

/**
 * What a failure means: try again with the same key after some seconds; or it is final; or, with the session over, it
 * waits for the person.
 *
 * @param {import("./problems.js").Problem} problem
 * @param {number} failures  so far, without this one
 * @returns {{retry: number} | "final" | "paused"}
 */
export function verdict(problem, failures) {
  if (problem.status === 401) return "paused";
  if (problem.slug === "demasiados-pendientes") return "final";
  if (!problem.isTransient && problem.slug !== "peticion-en-curso") return "final";
  const backoff = BACKOFF_SECONDS[Math.min(failures, BACKOFF_SECONDS.length - 1)];
  return { retry: Math.max(problem.retryAfter ?? backoff, 1) };
}

/** An idempotency key: 128 random bits. (`crypto.randomUUID` exists on https only.) */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
