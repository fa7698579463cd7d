import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

delete globalThis.BroadcastChannel; // an open one keeps the process alive
const kept = new Map();
globalThis.localStorage = {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, value) => kept.set(name, value),
  removeItem: (name) => kept.delete(name),
};

const CLAIMS = { sub: "1", scope: "pedidos:propios" };
const ACCESS = `h.${Buffer.from(JSON.stringify(CLAIMS)).toString("base64url")}.s`;
const ANA = { id: "1", email: "ana@ejemplo.es", nombre: "Ana", rol: "cliente" };

const { alcance, entrar, salir, usuario } = await import("../lib/session.js");
const { token } = await import("../lib/token.js");

let reachable = true;
globalThis.fetch = async (path) => {
  if (!reachable) throw new TypeError("away");
  return Response.json(path === "/auth/yo" ? ANA : { access_token: ACCESS, expires_in: 900 });
};

beforeEach(async () => {
  reachable = true;
  await entrar({ email: ANA.email, password: "caballo correcto" });
  assert.equal(usuario.value.id, "1");
});

test("no token and nothing of the account is kept where scripts of a later visit find it", () => {
  assert.deepEqual([...kept], [["comanda.sesion", "true"]]);
});

test("who logs out leaves nothing behind, also when auth cannot be told", async () => {
  reachable = false;
  await assert.rejects(salir());
  assert.equal(usuario.value, null);
  assert.deepEqual(alcance.value, []);
  assert.equal(token.claims, null);
  assert.equal(await token.current(), null);
  assert.deepEqual([...kept], []);
});
