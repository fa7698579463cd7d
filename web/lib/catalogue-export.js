/** The whole catalogue as a file for spreadsheets. */

import { get } from "./api.js";
import { format } from "./csv.js";
import { saveAs } from "./download.js";

const COLUMNAS = ["sku", "nombre", "descripcion", "precio", "moneda", "activo"];

/**
 * Reads every product, page by page, and hands over `productos.csv`.
 *
 * @param {(count: number) => void} onProgress  how many were read
 * @returns {Promise<number>}
 */
export async function exportar(onProgress) {
  const rows = [COLUMNAS];
  let cursor = null;
  do {
    const page = await get("/productos", { ordenar: "creado_en", limite: 200, cursor });
    for (const producto of page.elementos) rows.push(COLUMNAS.map((columna) => producto[columna]));
    cursor = page.siguiente;
    onProgress(rows.length - 1);
  } while (cursor);
  saveAs("productos.csv", "text/csv;charset=utf-8", format(rows));
  return rows.length - 1;
}
