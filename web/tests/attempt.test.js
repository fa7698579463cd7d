import assert from "node:assert/strict";
import { test } from "node:test";

import { begin, continued, resumes, verdict } from "../lib/attempt.js";
import { Problem } from "../lib/problems.js";

const MINUTE = 60_000;
const LINEAS = [{ producto_id: "a", cantidad: 2, precio: "1.00", moneda: "EUR", nombre: "A" }];
const problem = (status, slug, more) => new Problem({ status, slug, ...more });

test("the same cart at the same price is the same order, under the same key", () => {
  const first = begin(LINEAS, "2.00", 0);
  assert.equal(continued(first, LINEAS, "2.00", 5 * MINUTE).clave, first.clave);
  assert.equal(continued({ ...first, detenido: true }, LINEAS, "2.00", 0).detenido, false);
});

test("another cart, another price or another day needs another key", () => {
  const first = begin(LINEAS, "2.00", 0);
  const more = [{ ...LINEAS[0], cantidad: 3 }];
  const stopped = { ...first, detenido: true };
  assert.notEqual(continued(stopped, more, "3.00", 0).clave, first.clave);
  assert.notEqual(continued(stopped, LINEAS, "2.50", 0).clave, first.clave);
  assert.notEqual(continued(first, more, "3.00", 11 * MINUTE).clave, first.clave);
  assert.notEqual(continued(first, LINEAS, "2.00", 24 * 60 * MINUTE).clave, first.clave);
  assert.match(first.clave, /^[0-9a-f]{32}$/);
});

test("a reload goes on with what was just sent, unless it was stopped", () => {
  const first = begin(LINEAS, "2.00", 0);
  assert.equal(resumes(first, MINUTE), true);
  assert.equal(resumes(first, 11 * MINUTE), false);
  assert.equal(resumes({ ...first, detenido: true }, 0), false);
  assert.equal(resumes(null, 0), false);
});

test("while an answer is owed the same order is asked for, also when the cart has changed", () => {
  const first = begin(LINEAS, "2.00", 0);
  assert.equal(continued(first, [{ ...LINEAS[0], cantidad: 3 }], "3.00", MINUTE), first);
});

test("what may pass is tried again, when the service says or ever later", () => {
  assert.deepEqual(verdict(problem(503, "servicio-no-disponible", { retryAfter: 42 }), 0), { retry: 42 });
  assert.deepEqual(verdict(problem(503, "servicio-no-disponible", { retryAfter: 0 }), 0), { retry: 1 });
  assert.deepEqual(verdict(problem(502, "respuesta-invalida"), 1), { retry: 4 });
  assert.deepEqual(verdict(problem(0, "sin-conexion"), 99), { retry: 30 });
  assert.deepEqual(verdict(problem(409, "peticion-en-curso", { retryAfter: 1 }), 0), { retry: 1 });
});

test("what will not pass by itself is final; who is logged out is waited for", () => {
  const finals = [
    [409, "total-distinto"],
    [409, "existencias-insuficientes"],
    [409, "pedido-cancelado"],
    [422, "producto-no-disponible"],
    [429, "demasiados-pendientes"],
  ];
  for (const [status, slug] of finals) assert.equal(verdict(problem(status, slug), 0), "final", slug);
  assert.equal(verdict(problem(401, "sesion-terminada"), 0), "paused");
});
