/** How much there is of everything, what is running out, and the way to each. */

import { Gestion, productosPorId } from "../lib/admin.js";
import { get } from "../lib/api.js";
import { number } from "../lib/format.js";
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { useLoad, usePages, useRested } from "../lib/load.js";
import { go, link } from "../lib/router.js";
import { Button, Empty, Icon, More, ProblemNote, SearchField, Skeleton } from "../lib/ui.js";

const UMBRAL = 10;
const LIMITE = 50;
/** Of the pages of 200 that a look for what is scarce reads before it asks whether to go on. */
const PAGINAS = 25;

export default function Existencias({ query }) {
  const pocas = query.ver === "pocas";
  return html`<${Gestion} title=${t("gestion.existencias")}>
    <nav class="chips" aria-label=${t("existencias.filtro")}>
      ${["", "pocas"].map(
        (ver) => html`<a
          class="chip" key=${ver} href=${link("/gestion/existencias", { ver, umbral: ver && query.umbral })}
          aria-current=${ver === (pocas ? "pocas" : "") ? "true" : undefined}
        >${t(`existencias.${ver || "todas"}`)}</a>`,
      )}
    </nav>
    ${pocas ? html`<${Scarce} query=${query} />` : html`<${Everything} />`}
  <//>`;
}

function Everything() {
  const [typed, setTyped] = useState("");
  const buscar = useRested(typed.trim());
  return html`
    <search class="finder">
      <${SearchField} value=${typed} onType=${setTyped} />
    </search>
    ${buscar ? html`<${Found} key=${buscar} buscar=${buscar} />` : html`<${All} />`}
  `;
}

function All() {
  const pages = usePages("/inventario", { limite: LIMITE }, conProductos);
  return html`<${Listed} pages=${pages} /><${More} pages=${pages} />`;
}

/** By the catalogue's search; the stock of each is asked for by itself, for there is no search in the stock. */
function Found({ buscar }) {
  const pages = usePages("/productos", { buscar, limite: 20 }, conExistencias);
  return html`<${Listed} pages=${pages} /><${More} pages=${pages} />`;
}

function Listed({ pages }) {
  return html`
    <${ProblemNote} problem=${pages.problem} onRetry=${pages.reload} />
    ${pages.items ? html`<${List} items=${pages.items} />` : !pages.problem && html`<${Skeleton} rows=${6} />`}
  `;
}

function List({ items }) {
  if (!items.length) return html`<${Empty} icon="tienda" title=${t("existencias.nada")} />`;
  return html`<ul class="rows" data-testid="existencias">
    ${items.map(
      ({ producto_id, producto, fisico, reservado, disponible }) => html`<li key=${producto_id}>
        <a class="row stock-row" href=${link(`/gestion/existencias/${producto_id}`)}>
          <span class="grow">
            <strong>${producto?.nombre ?? t("existencias.sinNombre")}</strong>
            <code class="soft">${producto?.sku ?? producto_id}</code>
          </span>
          ${
            fisico === undefined
              ? html`<span class="soft">${t("existencias.sinContar")}</span>`
              : html`<dl class="figures-inline figures">
                <div><dt>${t("existencias.fisico")}</dt><dd>${number(fisico)}</dd></div>
                <div><dt>${t("existencias.reservado")}</dt><dd>${number(reservado)}</dd></div>
                <div><dt>${t("existencias.disponible")}</dt><dd><strong>${number(disponible)}</strong></dd></div>
              </dl>`
          }
          <${Icon} name="adelante" />
        </a>
      </li>`,
    )}
  </ul>`;
}

/** What there is little of. The service cannot be asked for that, so all of its stock is read. */
function Scarce({ query }) {
  const umbral = /^\d{1,9}$/.test(query.umbral ?? "") ? Number(query.umbral) : UMBRAL;
  const [typed, setTyped] = useState(String(umbral));
  const rested = useRested(typed, 400);
  useEffect(() => {
    if (/^\d{1,9}$/.test(rested) && Number(rested) !== umbral) {
      go("/gestion/existencias", { ver: "pocas", umbral: rested }, { replace: true });
    }
  }, [rested]);
  return html`
    <label class="threshold">
      ${t("existencias.umbral")}
      <input
        class="figures" inputmode="numeric" name="umbral" maxlength="9"
        value=${typed} onInput=${(event) => setTyped(event.target.value)}
      />
    </label>
    <${ScarceList} key=${umbral} umbral=${umbral} />
  `;
}

function ScarceList({ umbral }) {
  const [pages, setPages] = useState(PAGINAS);
  const [shown, setShown] = useState(LIMITE);
  const { data, problem, loading, reload } = useLoad((signal) => scarce(umbral, pages, signal), [pages]);
  const few = data?.items.slice(0, shown);
  const named = useLoad((signal) => namesOf(few ?? [], signal), [data, shown]);
  const known = useRef(new Map());
  for (const [id, producto] of named.data ?? []) known.current.set(id, producto);
  const ready = few
    ?.filter(({ producto_id }) => named.data || known.current.has(producto_id))
    .map((item) => ({ ...item, producto: known.current.get(item.producto_id) }));
  return html`
    <${ProblemNote} problem=${problem} onRetry=${reload} />
    <p class="soft" role="status">
      ${loading ? t("existencias.buscando") : data && t("existencias.encontradas", { n: data.items.length, umbral })}
    </p>
    ${
      ready && (ready.length || named.data)
        ? html`<${List} items=${ready} />`
        : !problem && html`<${Skeleton} rows=${4} />`
    }
    ${
      data?.items.length > shown &&
      html`<div class="more"><${Button} onClick=${() => setShown(shown + LIMITE)}>${t("accion.mas")}<//></div>`
    }
    ${
      data?.unread &&
      html`<div class="more">
        <${Button} busy=${loading} onClick=${() => setPages(pages + PAGINAS)}>${t("existencias.seguir")}<//>
      </div>`
    }
  `;
}

/** @returns {Promise<{items: any[], unread: boolean}>}  the scarcest first */
async function scarce(umbral, pages, signal) {
  const items = [];
  let cursor = null;
  for (let page = 0; page < pages; page += 1) {
    const answer = await get("/inventario", { limite: 200, cursor }, { signal });
    items.push(...answer.elementos.filter(({ disponible }) => disponible <= umbral));
    cursor = answer.siguiente;
    if (!cursor) break;
  }
  return { items: items.sort((one, other) => one.disponible - other.disponible), unread: cursor !== null };
}

/** Adds `producto` to stock. */
async function conProductos(items, signal) {
  const productos = await namesOf(items, signal);
  for (const item of items) item.producto = productos.get(item.producto_id);
}

/** Products by id, of 200 at a time; without the catalogue there are only ids. */
async function namesOf(items, signal) {
  const ids = items.map(({ producto_id }) => producto_id);
  const known = new Map();
  for (let at = 0; at < ids.length; at += 200) {
    const page = await productosPorId(ids.slice(at, at + 200), signal).catch(() => []);
    for (const [id, producto] of page) known.set(id, producto);
  }
  return known;
}

/** Makes stock out of products. */
async function conExistencias(productos, signal) {
  const asked = productos.map(async (producto, at) => {
    const stock = await get(`/inventario/${producto.id}`, {}, { signal }).catch((problem) => {
      if (problem.status !== 404) throw problem;
      return {};
    });
    productos[at] = { ...stock, producto_id: producto.id, producto };
  });
  await Promise.all(asked);
}
