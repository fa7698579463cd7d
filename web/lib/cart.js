/** The cart of the person who is logged in, kept in this browser: what they want, and the price they saw. */

import { computed, effect, signal } from "./html.js";
import { total } from "./money.js";
import { usuario } from "./session.js";
import { keep, onKeptElsewhere, recall } from "./storage.js";

export const MAX_LINEAS = 100;
export const MAX_CANTIDAD = 1_000_000;

/** @typedef {{producto_id: string, cantidad: number, precio: string, moneda: string, nombre: string}} Linea */

/** @type {import("../vendor/signals.js").Signal<Linea[]>} */
export const lineas = signal([]);
export const unidades = computed(() => lineas.value.reduce((sum, { cantidad }) => sum + cantidad, 0));
export const totalVisto = computed(() => total(lineas.value));

/** One more, or more, of a product. False when the cart is full. */
export function agregar(producto, cantidad = 1) {
  const before = lineas.value.find(({ producto_id }) => producto_id === producto.id);
  if (!before && lineas.value.length >= MAX_LINEAS) return false;
  const { precio, moneda, nombre } = producto;
  const linea = {
    producto_id: producto.id,
    cantidad: bounded((before?.cantidad ?? 0) + cantidad),
    precio,
    moneda,
    nombre,
  };
  write(before ? lineas.value.map((other) => (other === before ? linea : other)) : [...lineas.value, linea]);
  return true;
}

/** Sets how many of a product; 0 takes it out. */
export function cambiar(producto_id, cantidad) {
  const changed = lineas.value.map((linea) =>
    linea.producto_id === producto_id ? { ...linea, cantidad: bounded(cantidad) } : linea,
  );
  write(changed.filter(({ cantidad }) => cantidad > 0));
}

export const quitar = (producto_id) => cambiar(producto_id, 0);

/** Takes over what the catalogue says now. @returns {Linea[]} the lines as they were whose price is another now */
export function ponerAlDia(productos) {
  const known = new Map(productos.map((producto) => [producto.id, producto]));
  const moved = lineas.value.filter(
    (linea) => known.has(linea.producto_id) && known.get(linea.producto_id).precio !== linea.precio,
  );
  write(
    lineas.value.map((linea) => {
      const { precio, moneda, nombre } = known.get(linea.producto_id) ?? linea;
      return { ...linea, precio, moneda, nombre };
    }),
  );
  return moved;
}

/**
 * Takes out what was ordered, and leaves what came in meanwhile.
 *
 * @param {{producto_id: string, cantidad: number}[]} pedidas
 */
export function vaciar(pedidas) {
  const ordered = new Map(pedidas.map(({ producto_id, cantidad }) => [producto_id, cantidad]));
  const left = lineas.value.map((linea) => ({
    ...linea,
    cantidad: linea.cantidad - (ordered.get(linea.producto_id) ?? 0),
  }));
  write(left.filter(({ cantidad }) => cantidad > 0));
}

const name = () => `carrito.${usuario.peek()?.id}`;

function write(value) {
  lineas.value = value;
  keep(name(), value.length ? value : null);
}

const bounded = (cantidad) => Math.min(Math.max(Math.trunc(cantidad) || 0, 0), MAX_CANTIDAD);

/** Each person has a cart of their own, also on a shared computer. */
const owner = computed(() => usuario.value?.id);
effect(() => {
  lineas.value = owner.value ? recall(`carrito.${owner.value}`, []) : [];
});

/** An order that had been sent when the page was left is asked for again, on whatever page. */
effect(() => {
  if (!owner.value || !recall(`compra.${owner.value}`)) return;
  import("./checkout.js").then(
    ({ reanudar }) => reanudar(),
    () => {}, // the cart's page tries again
  );
});

onKeptElsewhere((changed) => {
  if (changed === name()) lineas.value = recall(changed, []);
});
