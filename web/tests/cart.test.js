import assert from "node:assert/strict";
import { test } from "node:test";

delete globalThis.BroadcastChannel; // an open one keeps the process alive
globalThis.localStorage = { getItem: () => null, setItem: () => {}, removeItem: () => {} };
globalThis.addEventListener ??= () => {};

const { agregar, lineas, vaciar } = await import("../lib/cart.js");

const producto = (id) => ({ id, precio: "1.00", moneda: "EUR", nombre: id });

test("what was ordered leaves the cart, what came in meanwhile stays", () => {
  agregar(producto("a"), 3);
  agregar(producto("b"), 1);
  vaciar([
    { producto_id: "a", cantidad: 1 },
    { producto_id: "b", cantidad: 1 },
  ]);
  assert.deepEqual(
    lineas.value.map(({ producto_id, cantidad }) => [producto_id, cantidad]),
    [["a", 2]],
  );
});
