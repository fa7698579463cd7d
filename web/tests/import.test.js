import assert from "node:assert/strict";
import { test } from "node:test";

import { CsvFault, format, parse, unguarded } from "../lib/csv.js";
import { rowsOf } from "../lib/import-rows.js";
import { run, sendRow } from "../lib/import-run.js";
import { changed, differences } from "../lib/merge.js";
import { typedAmount } from "../lib/money.js";
import { Problem } from "../lib/problems.js";

const fields = (text) => parse(text).map((record) => record.fields);

test("quotes, separators and line breaks inside a field, as RFC 4180 has them", () => {
  assert.deepEqual(fields('a,"b ""c"", d",\r\n"1\r\n2",,3\r\n'), [
    ["a", 'b "c", d', ""],
    ["1\r\n2", "", "3"],
  ]);
  assert.deepEqual(fields("a,b"), [["a", "b"]]);
  assert.deepEqual(fields(""), []);
  assert.deepEqual(fields('""\n"x"'), [["x"]]);
});

test("spreadsheets begin with a mark and part by semicolons", () => {
  assert.deepEqual(fields("\uFEFFsku;precio\nA;1,50\n"), [
    ["sku", "precio"],
    ["A", "1,50"],
  ]);
});

test("a record's line is where it begins, whatever is in the one before", () => {
  assert.deepEqual(
    parse('a\n"1\n2\n3"\n\nb').map(({ line }) => line),
    [1, 2, 6],
  );
});

test("a quote that is not closed, or has something behind, is no CSV", () => {
  for (const text of ['a\n"b', 'a\n"b"c']) {
    assert.throws(
      () => parse(text),
      (fault) => fault instanceof CsvFault && fault.line === 2,
    );
  }
});

test("what is written is read again, and no spreadsheet reckons it", () => {
  const values = ["=1+1", "'=1", "''-2", "+3", "@x", "\tz", 'a"b', "a,b", "l1\r\nl2", "plain", "-", ""];
  const text = format([values]);
  const [{ fields: written }] = parse(text);
  for (const field of written) assert.doesNotMatch(field, /^[=+\-@\t\r]/);
  assert.deepEqual(written.map(unguarded), values);
});

test("prices are read as people type them, and only those that the service takes", () => {
  assert.deepEqual(["19.9", "19,90", " 7 ", "1000000"].map(typedAmount), ["19.90", "19.90", "7.00", "1000000.00"]);
  assert.deepEqual(["", "-1", "1.234,50", "1e3", "1000000.01", "1.005"].map(typedAmount), Array(6).fill(null));
});

test("a file says which line is at fault, and of what", () => {
  const text = "Precio,SKU,nombre,existencias,color\n1.5,A,Uno,3,rojo\nx,A,,-1,\n2,B,Dos,,,9\n";
  const { rows, ignored, missing } = rowsOf(text);
  assert.deepEqual([ignored, missing], [["color"], []]);
  assert.deepEqual(rows[0].producto, { sku: "A", nombre: "Uno", precio: "1.50" }, "no column says what describes it");
  assert.deepEqual(
    rows.map(({ existencias }) => existencias),
    [3, null, null],
  );
  assert.deepEqual(
    rows.map(({ line, faults }) => [line, faults.map(({ campo, slug }) => `${campo} ${slug}`.trim())]),
    [
      [2, []],
      [3, ["nombre falta", "precio precio", "existencias existencias", "sku repetido"]],
      [4, ["columnas"]],
    ],
  );
  assert.deepEqual(rowsOf("sku;nombre\nA;Uno\n").missing, ["precio"]);
});

const busy = (retryAfter) => new Problem({ status: 503, slug: "servicio-saturado", retryAfter });

test("a busy service makes everybody wait as long as it says, and no row is lost", async () => {
  const rows = Array.from({ length: 40 }, (_, line) => ({ line }));
  const [waited, outcomes] = [[], []];
  let [calls, running, most] = [0, 0, 0];
  await run({
    rows,
    signal: new AbortController().signal,
    sleep: async (seconds) => waited.push(seconds),
    onOutcome: (row, { kind }) => outcomes.push([row.line, kind]),
    send: async () => {
      calls += 1;
      most = Math.max(most, (running += 1));
      await new Promise(setImmediate);
      running -= 1;
      if (calls === 7) throw busy(9);
      return { kind: "creado" };
    },
  });
  assert.deepEqual(waited, [9]);
  assert.equal(calls, 41);
  assert.ok(most <= 5, `${most} at a time`);
  assert.deepEqual(
    outcomes.map(([line]) => line).sort((a, b) => a - b),
    rows.map(({ line }) => line),
  );
});

test("a refusal is final at once, and a service that stays away is given up", async () => {
  const calls = { 1: 0, 2: 0 };
  const failed = {};
  await run({
    rows: [{ line: 1 }, { line: 2 }],
    signal: new AbortController().signal,
    sleep: async () => {},
    onOutcome: ({ line }, { problem }) => (failed[line] = problem.status),
    send: async ({ line }) => {
      calls[line] += 1;
      throw line === 1 ? new Problem({ status: 422, slug: "datos-invalidos" }) : busy(1);
    },
  });
  assert.deepEqual(
    [calls, failed],
    [
      { 1: 1, 2: 8 },
      { 1: 422, 2: 503 },
    ],
  );
});

test("an import that is told to stop begins no further row", async () => {
  const stop = new AbortController();
  let begun = 0;
  const send = async () => {
    begun += 1;
    stop.abort();
    return { kind: "creado" };
  };
  await run({ rows: Array(50).fill({ line: 1 }), signal: stop.signal, onOutcome: () => {}, send });
  assert.ok(begun <= 5, `${begun} rows`);
});

/** Catalogue and stock in memory, which answer as the services do. */
function shop() {
  const [productos, stock, movimientos] = [new Map(), new Map(), []];
  const refuse = (status, slug) => {
    throw new Problem({ status, slug });
  };
  const api = {
    async request(_method, path, { body }) {
      if (path !== "/productos") {
        const id = path.split("/")[2];
        movimientos.push([id, body.cantidad, body.fisico_esperado]);
        stock.set(id, body.cantidad);
        return { body: {} };
      }
      if (productos.has(body.sku)) refuse(409, "sku-en-uso");
      productos.set(body.sku, { id: `id-${body.sku}`, ...body });
      return { body: productos.get(body.sku) };
    },
    async get(path, { buscar }) {
      if (path !== "/productos") return { fisico: stock.get(path.split("/")[2]) };
      return { elementos: [...productos.values()].filter(({ sku }) => sku.includes(buscar)), siguiente: null };
    },
    async post(_path, { producto_id, cantidad }) {
      if (stock.has(producto_id)) refuse(409, "inventario-existente");
      stock.set(producto_id, cantidad);
    },
    async patch(path, cambios) {
      const known = [...productos.values()].find(({ id }) => path.endsWith(id));
      productos.set(known.sku, { ...known, ...cambios });
    },
  };
  return { api, productos, stock, movimientos };
}

const row = (sku, nombre, existencias = null) => ({
  line: 2,
  producto: { sku, nombre, descripcion: "", precio: "1.00" },
  existencias,
});

test("a row makes a product with its stock; the same again changes nothing", async () => {
  const { api, stock, movimientos } = shop();
  for (const update of [false, true]) {
    const kinds = [];
    for (let time = 0; time < 2; time += 1) {
      kinds.push((await sendRow(api, row(`A${update}`, "Uno", 5), { update, key: "k" })).kind);
    }
    assert.deepEqual(kinds, ["creado", "igual"]);
    assert.equal(stock.get(`id-A${update}`), 5);
  }
  assert.deepEqual(movimientos, []);
});

test("what is there already is left alone, or brought to what the row says", async () => {
  const { api, productos, stock, movimientos } = shop();
  await sendRow(api, row("AB", "Otro"), { update: false, key: "k" });
  await sendRow(api, row("A", "Uno", 5), { update: false, key: "k" });
  assert.equal((await sendRow(api, row("A", "Dos", 9), { update: false, key: "k" })).kind, "existente");
  assert.deepEqual([productos.get("A").nombre, stock.get("id-A")], ["Uno", 5]);
  assert.equal((await sendRow(api, row("A", "Dos", 9), { update: true, key: "k" })).kind, "actualizado");
  assert.deepEqual([productos.get("A").nombre, stock.get("id-A"), movimientos], ["Dos", 9, [["id-A", 9, 5]]]);
  assert.equal(productos.get("AB").nombre, "Otro");
});

test("what the file has no column for stays as it is", async () => {
  const { api, productos } = shop();
  await sendRow(
    api,
    { ...row("A", "Uno"), producto: { sku: "A", nombre: "Uno", descripcion: "larga", precio: "1.00" } },
    {},
  );
  const [{ producto }] = rowsOf("sku,nombre,precio\nA,Dos,1").rows;
  assert.equal((await sendRow(api, { line: 2, producto, existencias: null }, { update: true })).kind, "actualizado");
  assert.deepEqual([productos.get("A").nombre, productos.get("A").descripcion], ["Dos", "larga"]);
});

test("an import cut short between product and stock is made whole by repeating it", async () => {
  const { api, stock } = shop();
  await sendRow(api, row("A", "Uno"), { update: false, key: "k" });
  assert.equal((await sendRow(api, row("A", "Uno", 5), { update: false, key: "k" })).kind, "actualizado");
  assert.equal(stock.get("id-A"), 5);
});

test("what is sold while it is counted is counted once more, and no oftener", async () => {
  const { api, stock, movimientos } = shop();
  const { request } = api;
  await sendRow(api, row("A", "Uno", 5), { update: true, key: "k" });
  let sold = 0;
  const selling = async (method, path, options) => {
    if (path === "/productos" || sold >= sales) return request(method, path, options);
    stock.set("id-A", 5 - (sold += 1));
    throw new Problem({ status: 409, slug: "existencias-cambiadas" });
  };
  let sales = 1;
  await sendRow({ ...api, request: selling }, row("A", "Uno", 9), { update: true, key: "k" });
  assert.deepEqual(movimientos, [["id-A", 9, 4]]);
  sales = 9;
  const again = sendRow({ ...api, request: selling }, row("A", "Uno", 8), { update: true, key: "k" });
  await assert.rejects(again, { slug: "existencias-cambiadas" });
});

test("of two versions each keeps what only it changed, and the other's stands where both did", () => {
  const base = { sku: "A", nombre: "Uno", precio: "1.00", descripcion: "" };
  const propia = { sku: "A", nombre: "Dos", precio: "1.00", descripcion: "mía" };
  const ajena = { sku: "A", nombre: "Uno", precio: "2.00", descripcion: "suya" };
  const found = differences(Object.keys(base), base, propia, ajena);
  assert.deepEqual(
    found.map(({ campo, elegida }) => [campo, elegida]),
    [
      ["nombre", "propia"],
      ["precio", "ajena"],
      ["descripcion", "ajena"],
    ],
  );
  assert.deepEqual(changed(Object.keys(base), base, propia), { nombre: "Dos", descripcion: "mía" });
});
