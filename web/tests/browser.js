/** What modules need of a browser when there is none. Imported before them. */

delete globalThis.BroadcastChannel; // an open one keeps the process alive
globalThis.addEventListener = () => {};
globalThis.document = { addEventListener: () => {}, documentElement: {}, hidden: true };
const { setTimeout } = globalThis;
/** What waits for long, a message that is still shown, holds nobody up. */
globalThis.setTimeout = (act, delay = 0, ...rest) => {
  const timer = setTimeout(act, delay, ...rest);
  return delay < 1_000 ? timer : timer.unref();
};

/** A localStorage that is the map returned. */
export function keeping() {
  const kept = new Map();
  globalThis.localStorage = {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => kept.set(name, value),
    removeItem: (name) => kept.delete(name),
  };
  return kept;
}

/** Somebody with that id logs in. */
export async function loggedIn(id) {
  const { entrar } = await import("../lib/session.js");
  const claims = Buffer.from(JSON.stringify({ sub: id, scope: "pedidos:propios" })).toString("base64url");
  const tokens = { access_token: `h.${claims}.s`, expires_in: 900 };
  globalThis.fetch = async (path) => Response.json(path === "/auth/yo" ? { id, rol: "cliente" } : tokens);
  await entrar({ email: "ana@ejemplo.es", password: "caballo correcto" });
}

/** An answer that is a problem. */
export const problem = (status, slug, extras = {}) =>
  Response.json({ type: `https://comanda.dev/problemas/${slug}`, ...extras }, { status });
