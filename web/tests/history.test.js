import assert from "node:assert/strict";
import { test } from "node:test";

import { History, figures } from "../lib/history.js";

test("figures are kept for so long and no longer", () => {
  const history = new History(10);
  for (const time of [100, 105, 110, 111]) history.push(time, { a: time });
  assert.deepEqual(history.columns(["a", "b"]), [
    [105, 110, 111],
    [105, 110, 111],
    [null, null, null],
  ]);
});

test("a pause breaks the line, once", () => {
  const history = new History(60);
  history.gap();
  history.push(1, { a: 1 });
  history.gap();
  history.gap();
  history.push(9, { a: 2 });
  assert.deepEqual(history.columns(["a"])[1], [1, null, 2]);
});

test("a line does not join what is too far apart", () => {
  const history = new History(60, 6);
  for (const time of [1, 3, 9, 16, 18]) history.push(time, { a: time });
  assert.deepEqual(history.columns(["a"])[1], [1, 3, 9, null, 16, 18]);
});

test("what the services say of themselves, and nothing for one that does not answer", () => {
  const documento = {
    peticiones: { por_segundo: 2, errores_por_segundo: 0, latencia_ms: { p50: 1, p95: null, p99: 3 } },
    colas: [
      { nombre: "altas", en_espera: 2, maximo: 9 },
      { nombre: "fichas", en_espera: 1, maximo: 9 },
      { nombre: "conexiones-inventario", en_espera: 50, maximo: 100 },
    ],
    fases: { SOLICITADO: 4 },
    pedidos_por_segundo: 0.5,
  };
  assert.deepEqual(figures({ pedidos: documento, auth: null }), {
    "pedidos.porSegundo": 2,
    "pedidos.errores": 0,
    "pedidos.cola": 3,
    "pedidos.p50": 1,
    "pedidos.p95": null,
    "pedidos.p99": 3,
    altas: 0.5,
    "fase.SOLICITADO": 4,
  });
});
