/** Answers that are no success, as one kind of error (RFC 9457). */

const TYPE_BASE = "https://comanda.dev/problemas/";

/** Nobody answered: the network is away, or the answer was lost. The effect of a write is unknown. */
const SIN_CONEXION = "sin-conexion";
/** The answer took too long. The effect of a write is unknown. */
const SIN_RESPUESTA = "sin-respuesta";

/** What a service answered, or that none did (`status` 0). */
export class Problem extends Error {
  /**
   * @param {{slug: string, status?: number, title?: string, detail?: string, extras?: Record<string, any>,
   *   retryAfter?: number | null, requestId?: string | null}} known  `retryAfter` in seconds
   */
  constructor({ slug, status = 0, title = "", detail = "", extras = {}, retryAfter = null, requestId = null }) {
    super(detail || title || slug);
    Object.assign(this, { name: "Problem", slug, status, title, detail, extras, retryAfter, requestId });
  }

  /** Whether the same request may succeed later, although nothing about it changes. */
  get isTransient() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }

  /** Whether the orders service has noted what was asked for, and finishes it once the stock service is back. */
  get isNoted() {
    return this.slug === "servicio-no-disponible" && this.extras.servicio === "inventario";
  }

  /** The messages of a 422 by field; the first of each. */
  get fields() {
    const errores = this.extras.errores ?? [];
    return Object.fromEntries(errores.toReversed().map(({ campo, mensaje }) => [campo, mensaje]));
  }
}

/** What a fetch that gave no answer means. @param {Error} error */
export const unanswered = ({ name }) => new Problem({ slug: name === "TimeoutError" ? SIN_RESPUESTA : SIN_CONEXION });

/** What a service objects to as a whole, to be said at the field that it is about. */
export const objection = (campo, mensaje) =>
  new Problem({ slug: "datos-invalidos", status: 422, extras: { errores: [{ campo, mensaje }] } });

/** @param {Response} response one whose status is no success */
export async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  const { type = "", title, status, detail, instance, ...extras } = body ?? {};
  return new Problem({
    slug: String(type).startsWith(TYPE_BASE) ? type.slice(TYPE_BASE.length) : `http-${response.status}`,
    status: response.status,
    title,
    detail,
    extras,
    retryAfter: retryAfterSeconds(response.headers.get("Retry-After")),
    requestId: response.headers.get("X-Request-Id"),
  });
}

/** Seconds of a `Retry-After` (RFC 9110 §10.2.3: a number or a date), at most an hour; null if there is none. */
export function retryAfterSeconds(header, now = Date.now()) {
  if (!header) return null;
  const seconds = /^\d+$/.test(header.trim()) ? Number(header) : (Date.parse(header) - now) / 1000;
  return Number.isFinite(seconds) ? Math.min(Math.max(Math.ceil(seconds), 0), 3600) : null;
}
