/** Sends the rows of an import: a few at a time, patient with a service that is busy, harmless when repeated. */

import { sleep } from "./clock.js";

/** Browsers open six connections to an address at most; one stays free for the person. */
const PARALLEL = 5;
const TRIES = 8;
const BACKOFF_SECONDS = [1, 2, 4, 8, 15, 30];

/**
 * @typedef {{kind: "creado" | "actualizado" | "igual" | "existente" | "fallo", problem?: any}} Outcome
 */

/**
 * @param {object} given
 * @param {import("./import-rows.js").Row[]} given.rows  without faults
 * @param {(row: any, signal: AbortSignal) => Promise<Outcome>} given.send  of one row; may be repeated
 * @param {(row: any, outcome: Outcome) => void} given.onOutcome
 * @param {(until: number | null) => void} [given.onPause]  everything waits until then (`performance.now()`)
 * @param {AbortSignal} given.signal
 * @param {(seconds: number, signal: AbortSignal) => Promise<void>} [given.sleep]
 */
export async function run({ rows, send, onOutcome, onPause = () => {}, signal, sleep: rest = slept }) {
  let next = 0;
  let pause = null; // while a service asks for patience; one for all who send

  const wait = (seconds) => {
    onPause(performance.now() + seconds * 1000);
    pause ??= rest(seconds, signal).finally(() => {
      pause = null;
      onPause(null);
    });
    return pause;
  };

  const outcome = async (row) => {
    for (let failures = 0; ; failures += 1) {
      while (pause) await pause;
      if (signal.aborted) return null;
      try {
        return await send(row, signal);
      } catch (problem) {
        if (signal.aborted) return null;
        const again = problem.isTransient || problem.slug === "peticion-en-curso";
        if (!again || failures + 1 >= TRIES) return { kind: "fallo", problem };
        await wait(Math.max(problem.retryAfter ?? BACKOFF_SECONDS[Math.min(failures, BACKOFF_SECONDS.length - 1)], 1));
      }
    }
  };

  const worker = async () => {
    while (next < rows.length && !signal.aborted) {
      const row = rows[next++];
      const result = await outcome(row);
      if (result) onOutcome(row, result);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

/**
 * Sends one row: the product, then its stock. What is there already is left or brought to what the row says.
 *
 * @param {{request: Function, get: Function, post: Function, patch: Function}} api
 * @param {import("./import-rows.js").Row} row
 * @param {{update: boolean, key: string, signal: AbortSignal}} options  key: of this import, for adjustments of stock
 * @returns {Promise<Outcome>}
 */
export async function sendRow(api, row, { update, key, signal }) {
  const { producto, existencias } = row;
  const { id, kind } = await put(api, producto, update, signal);
  if (existencias === null) return { kind };
  const moved = await count(
    api,
    { id, existencias, update: update || kind === "creado" },
    `${key}-${row.line}`,
    signal,
  );
  return { kind: kind === "igual" && moved ? "actualizado" : kind };
}

async function put(api, producto, update, signal) {
  try {
    const { body } = await api.request("POST", "/productos", { body: producto, signal });
    return { id: body.id, kind: "creado" };
  } catch (problem) {
    if (problem.slug !== "sku-en-uso") throw problem;
    const known = await bySku(api, producto.sku, signal);
    if (!known) throw problem;
    const differs = Object.keys(producto).some((campo) => known[campo] !== producto[campo]);
    if (!differs) return { id: known.id, kind: "igual" };
    if (!update) return { id: known.id, kind: "existente" };
    await api.patch(`/productos/${known.id}`, producto, { signal });
    return { id: known.id, kind: "actualizado" };
  }
}

/** The search finds substrings, so that of a short SKU may be pages away. */
async function bySku(api, sku, signal) {
  let cursor = null;
  do {
    const page = await api.get("/productos", { buscar: sku, limite: 200, cursor }, { signal });
    const found = page.elementos.find((producto) => producto.sku === sku);
    if (found) return found;
    cursor = page.siguiente;
  } while (cursor);
  return null;
}

/**
 * Whether the stock was changed. Where nobody has counted yet, it is begun, so that repeating an import that was cut
 * short makes it whole.
 */
async function count(api, { id, existencias, update }, key, signal) {
  try {
    await api.post("/inventario", { producto_id: id, cantidad: existencias }, { signal });
    return true;
  } catch (problem) {
    if (problem.slug !== "inventario-existente") throw problem;
    if (!update) return false;
  }
  try {
    return await adjust(api, id, existencias, key, signal);
  } catch (problem) {
    if (problem.slug !== "existencias-cambiadas") throw problem; // an order was completed between the two calls
    return adjust(api, id, existencias, key, signal);
  }
}

async function adjust(api, id, existencias, key, signal) {
  const { fisico } = await api.get(`/inventario/${id}`, {}, { signal });
  if (fisico === existencias) return false;
  const body = { tipo: "AJUSTE", cantidad: existencias, fisico_esperado: fisico };
  const headers = { "Idempotency-Key": `${key}-${fisico}` };
  await api.request("POST", `/inventario/${id}/movimientos`, { body, headers, signal });
  return true;
}

const slept = (seconds, signal) => sleep(seconds * 1000, signal);
