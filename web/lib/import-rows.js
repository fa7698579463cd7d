/** What a file of products says, and what is wrong with it before anything is sent. Pure. */

import { parse, unguarded } from "./csv.js";
import { typedAmount } from "./money.js";

export const COLUMNAS = ["sku", "nombre", "descripcion", "precio", "existencias"];
const NECESARIAS = ["sku", "nombre", "precio"];
const MAX_EXISTENCIAS = 1_000_000_000;

/**
 * @typedef {object} Row
 * @property {number} line  in the file, from 1
 * @property {Record<string, string>} texts  as they stand there, by column
 * @property {{sku: string, nombre: string, descripcion?: string, precio: string}} producto  without what no column says
 * @property {number | null} existencias  null: the file does not say
 * @property {{campo: string, slug: string}[]} faults
 */

/**
 * @param {string} text  CSV whose first record names its columns, in any order
 * @returns {{rows: Row[], ignored: string[], missing: string[]}}  ignored: columns that mean nothing to us
 * @throws {import("./csv.js").CsvFault}
 */
export function rowsOf(text) {
  const [head, ...records] = parse(text);
  const names = (head?.fields ?? []).map((name) => name.trim().toLowerCase());
  const missing = NECESARIAS.filter((name) => !names.includes(name));
  const ignored = names.filter((name) => name && !COLUMNAS.includes(name));
  if (missing.length) return { rows: [], ignored, missing };
  const lines = new Map(); // of each SKU, where it came first
  const rows = records.map(({ line, fields }) => {
    const row = rowOf(
      line,
      Object.fromEntries(COLUMNAS.map((name) => [name, unguarded(fields[names.indexOf(name)] ?? "")])),
    );
    if (!names.includes("descripcion")) delete row.producto.descripcion;
    if (fields.length > names.length) row.faults.push({ campo: "", slug: "columnas" });
    const { sku } = row.producto;
    if (sku && lines.has(sku)) row.faults.push({ campo: "sku", slug: "repetido", line: lines.get(sku) });
    else lines.set(sku, line);
    return row;
  });
  return { rows, ignored, missing };
}

/** @returns {Row} */
function rowOf(line, texts) {
  const faults = [];
  const fault = (campo, slug) => faults.push({ campo, slug });
  const [sku, nombre] = [texts.sku.trim(), texts.nombre.trim()];
  const descripcion = texts.descripcion.replace(/\r\n?/g, "\n");
  const precio = typedAmount(texts.precio);
  if (!sku) fault("sku", "falta");
  else if (sku.length > 64 || /[\r\n]/.test(sku)) fault("sku", "largo");
  if (!nombre) fault("nombre", "falta");
  else if (nombre.length > 200 || /[\r\n]/.test(nombre)) fault("nombre", "largo");
  if (descripcion.length > 5000) fault("descripcion", "largo");
  if (precio === null) fault("precio", "precio");
  const existencias = texts.existencias.trim();
  const valid = /^\d{1,10}$/.test(existencias) && Number(existencias) <= MAX_EXISTENCIAS;
  if (existencias && !valid) fault("existencias", "existencias");
  return {
    line,
    texts,
    producto: { sku, nombre, descripcion, precio },
    existencias: valid ? Number(existencias) : null,
    faults,
  };
}
