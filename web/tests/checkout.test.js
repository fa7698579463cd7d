import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { keeping, loggedIn, problem } from "./browser.js";

const kept = keeping();
const { begin } = await import("../lib/attempt.js");
const { compra, detener, entendido } = await import("../lib/checkout.js");
await loggedIn("1");

const LINEAS = [{ producto_id: "a", cantidad: 2 }];
const ATTEMPT = { ...begin(LINEAS, "2.00", 0, "k"), pedido_id: "7" };

beforeEach(() => {
  kept.set("comanda.compra.1", JSON.stringify(ATTEMPT));
  compra.value = { state: "waiting", attempt: ATTEMPT };
});

async function stoppedBy(answer) {
  globalThis.fetch = async () => answer;
  await detener();
  return [compra.value.state, kept.has("comanda.compra.1")];
}

test("who stops trying is told that the order is cancelled when it is", async () => {
  assert.deepEqual(await stoppedBy(Response.json({})), ["idle", false]);
});

test("without the stock service the cancellation is noted, and the key is done with", async () => {
  const away = problem(503, "servicio-no-disponible", { servicio: "inventario" });
  assert.deepEqual(await stoppedBy(away), ["idle", false]);
});

test("whoever else does not answer has noted nothing: the key stays", async () => {
  for (const away of [
    problem(503, "servicio-no-disponible", { servicio: "pedidos" }),
    problem(503, "servicio-no-disponible", { servicio: "base-de-datos" }),
    problem(503, "servicio-saturado"),
    new Response("", { status: 502 }),
  ]) {
    compra.value = { state: "waiting", attempt: ATTEMPT };
    assert.deepEqual(await stoppedBy(away), ["stopped", true]);
  }
  entendido();
});
