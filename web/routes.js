/**
 * The pages: where each is found, who may see it, and the module that draws it, loaded when it is first wanted.
 *
 * @typedef {object} Route
 * @property {string} pattern  of the hash: `/pedidos/:id`
 * @property {() => Promise<{default: Function}>} load  its component gets `{ params, query }`
 * @property {"anyone" | "person" | "admin"} who
 * @property {string} [texts]  the part of `i18n/` that it needs beside the base
 * @property {{label: string, icon: string}} [tab]  its place in the navigation, which holds for all addresses below it
 */

/** @type {Route[]} */
export const ROUTES = [
  {
    pattern: "/tienda",
    who: "person",
    load: () => import("./pages/tienda.js"),
    tab: { label: "nav.tienda", icon: "tienda" },
  },
  { pattern: "/carrito", who: "person", load: () => import("./pages/carrito.js") },
  {
    pattern: "/pedidos",
    who: "person",
    load: () => import("./pages/pedidos.js"),
    tab: { label: "nav.pedidos", icon: "pedidos" },
  },
  { pattern: "/pedidos/:id", who: "person", load: () => import("./pages/pedido.js") },
  {
    pattern: "/cuenta",
    who: "person",
    load: () => import("./pages/cuenta.js"),
    tab: { label: "nav.cuenta", icon: "cuenta" },
  },
  {
    pattern: "/gestion",
    who: "admin",
    texts: "admin",
    load: () => import("./pages/gestion-productos.js"),
    tab: { label: "nav.gestion", icon: "gestion" },
  },
  ...gestion({
    "/gestion/productos/:id": () => import("./pages/gestion-producto.js"),
    "/gestion/importar": () => import("./pages/gestion-importar.js"),
    "/gestion/existencias": () => import("./pages/gestion-existencias.js"),
    "/gestion/existencias/:id": () => import("./pages/gestion-existencia.js"),
    "/gestion/pedidos": () => import("./pages/gestion-pedidos.js"),
    "/gestion/pedidos/:id": () => import("./pages/gestion-pedido.js"),
    "/gestion/usuarios": () => import("./pages/gestion-usuarios.js"),
    "/gestion/cuentas": () => import("./pages/gestion-cuentas.js"),
    "/gestion/registro": () => import("./pages/gestion-registro.js"),
  }),
  {
    pattern: "/operacion",
    who: "admin",
    texts: "admin",
    load: () => import("./pages/operacion.js"),
    tab: { label: "nav.operacion", icon: "operacion" },
  },
  { pattern: "/entrar", who: "anyone", load: () => import("./pages/entrar.js") },
  { pattern: "/registro", who: "anyone", load: () => import("./pages/registro.js") },
  { pattern: "/olvidada", who: "anyone", load: () => import("./pages/olvidada.js") },
  { pattern: "/restablecer", who: "anyone", load: () => import("./pages/restablecer.js") },
  { pattern: "/verificar", who: "anyone", load: () => import("./pages/verificar.js") },
];

/** Pages of the back office. @param {Record<string, Route["load"]>} pages  by pattern @returns {Route[]} */
function gestion(pages) {
  return Object.entries(pages).map(([pattern, load]) => ({ pattern, load, who: "admin", texts: "admin" }));
}
