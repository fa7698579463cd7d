/** What the pages of the back office share. Importing it loads their style sheet. */

import { get } from "./api.js";
import { html, useLayoutEffect, useRef } from "./html.js";
import { t } from "./i18n.js";
import { link, location } from "./router.js";
import { stylesheet } from "./stylesheet.js";
import { Page } from "./ui.js";

await stylesheet("admin.css");

const SECCIONES = {
  "/gestion": "productos",
  "/gestion/existencias": "existencias",
  "/gestion/pedidos": "pedidos",
  "/gestion/usuarios": "usuarios",
  "/gestion/cuentas": "cuentas",
  "/gestion/registro": "registro",
};

/** A list of the back office: a page with the way to the other lists. Props as those of `Page`. */
export function Gestion({ children, ...rest }) {
  const nav = useRef(null);
  useLayoutEffect(() => {
    const current = nav.current.querySelector("[aria-current]");
    if (current) nav.current.scrollLeft = current.offsetLeft - (nav.current.clientWidth - current.offsetWidth) / 2;
  }, []);
  return html`<${Page} ...${rest}>
    <nav ref=${nav} class="sections" aria-label=${t("gestion.secciones")}>
      ${Object.entries(SECCIONES).map(
        ([path, name]) => html`<a
          class="chip" key=${path} href=${link(path)}
          aria-current=${location.value.path === path ? "page" : undefined}
        >${t(`gestion.${name}`)}</a>`,
      )}
    </nav>
    ${children}
  <//>`;
}

/** Scrolls sideways by itself, with the keyboard too. @param {{label: string, children: any}} props */
export function Frame({ label, children }) {
  return html`<div class="table-frame" role="group" tabindex="0" aria-label=${label}>${children}</div>`;
}

/**
 * Keeps the fields of a form at what the address says, but for the one that the person is in.
 *
 * @param {{current: HTMLFormElement}} form  @param {Record<string, string>} values  by the names of the fields
 */
export function useFields(form, values) {
  useLayoutEffect(() => {
    for (const [name, value] of Object.entries(values)) {
      const field = form.current.elements[name];
      if (field !== document.activeElement) field.value = value;
    }
  }, Object.values(values));
}

/** Products by id, of those that exist. @param {string[]} ids  at most 200 @returns {Promise<Map<string, any>>} */
export async function productosPorId(ids, signal) {
  if (!ids.length) return new Map();
  const { elementos } = await get("/productos", { ids: [...new Set(ids)].join(","), limite: 200 }, { signal });
  return new Map(elementos.map((producto) => [producto.id, producto]));
}

/** Whether it was erased at the wish of whom it belonged to: its address is none any more. */
export const borrada = ({ email }) => email.endsWith("@borrado.invalid");

const cuentas = new Map();

/** Adds `cliente`, the email, to each order; null for an account that is gone, undefined if auth does not say. */
export async function conClientes(pedidos) {
  const asked = pedidos.map(async (pedido) => {
    pedido.cliente = await email(pedido.cliente_id);
  });
  await Promise.all(asked);
}

function email(id) {
  if (!cuentas.has(id)) {
    const answer = get(`/auth/usuarios/${id}`, {}, { timeout: 4_000 }).then(
      (usuario) => (borrada(usuario) ? null : usuario.email),
      (problem) => {
        if (problem.status === 404 || problem.status === 422) return null; // 422: a service placed it
        cuentas.delete(id);
        return undefined;
      },
    );
    cuentas.set(id, answer);
  }
  return cuentas.get(id);
}
