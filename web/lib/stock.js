/** How much there is of products. */

import { post } from "./api.js";
import { MAX_CANTIDAD } from "./cart.js";

/** The catalogue is worth showing without it, so nobody waits long. */
const TIMEOUT_MS = 4_000;

/**
 * Adds `disponible` to each product of a page, in one call: asking for as many as a line can take, every product of
 * which there are fewer comes back with its figure. Without an answer it stays undefined: not known.
 *
 * @param {{id: string, disponible?: number}[]} productos  at most 100
 * @param {AbortSignal} [signal]
 */
export async function conDisponibilidad(productos, signal) {
  if (!productos.length) return;
  const lineas = productos.map(({ id }) => ({ producto_id: id, cantidad: MAX_CANTIDAD }));
  try {
    const { faltantes } = await post("/inventario/disponibilidad", { lineas }, { signal, timeout: TIMEOUT_MS });
    const known = new Map(faltantes.map(({ producto_id, disponible }) => [producto_id, disponible]));
    for (const producto of productos) producto.disponible = known.get(producto.id) ?? MAX_CANTIDAD;
  } catch (problem) {
    if (signal?.aborted) throw problem;
  }
}
