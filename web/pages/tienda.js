/** The catalogue: search, sort, and put into the cart. */

import { Art } from "../lib/art.js";
import { agregar, cambiar, lineas } from "../lib/cart.js";
import { money } from "../lib/format.js";
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { usePages, useRested } from "../lib/load.js";
import { go } from "../lib/router.js";
import { Stepper } from "../lib/stepper.js";
import { conDisponibilidad } from "../lib/stock.js";
import { Button, Empty, More, Page, ProblemNote, SearchField, Skeleton, announce } from "../lib/ui.js";

const ORDENES = ["nombre", "precio"];
const LIMITE = 24;
const POCAS = 10;

export default function Tienda({ query }) {
  const [typed, setTyped] = useState(query.buscar ?? "");
  const buscar = useRested(typed.trim());
  const ordenar = ORDENES.includes(query.ordenar) ? query.ordenar : ORDENES[0];
  const pages = usePages("/productos", { activo: true, buscar, ordenar, limite: LIMITE }, conDisponibilidad);

  // Whoever follows a link to the shop wants what it says.
  useEffect(() => {
    if ((query.buscar ?? "") !== buscar) setTyped(query.buscar ?? "");
  }, [query.buscar]);

  // In the address, so that it is still there after a reload or on the way back.
  useEffect(() => {
    if (buscar !== (query.buscar ?? "")) go("/tienda", { ...query, buscar }, { replace: true });
  }, [buscar]);

  return html`<${Page} title=${t("tienda.titulo")}>
    <search class="finder">
      <${SearchField} value=${typed} onType=${setTyped} />
      <label class="sort">
        <span class="visually-hidden">${t("tienda.ordenar")}</span>
        <select
          value=${ordenar}
          onChange=${(event) => go("/tienda", { ...query, ordenar: event.target.value }, { replace: true })}
        >
          ${ORDENES.map((orden) => html`<option value=${orden}>${t(`orden.${orden}`)}</option>`)}
        </select>
      </label>
    </search>
    <${ProblemNote} problem=${pages.problem} onRetry=${pages.reload} />
    <p class="visually-hidden" role="status">
      ${!pages.loading && pages.items && t("tienda.encontrados", { n: pages.items.length })}
    </p>
    <${Catalogue} pages=${pages} buscar=${buscar} onClear=${() => setTyped("")} />
    <${More} pages=${pages} />
  <//>`;
}

function Catalogue({ pages, buscar, onClear }) {
  if (!pages.items) return pages.problem ? null : html`<${Skeleton} rows=${8} kind="cards" />`;
  if (!pages.items.length && buscar) {
    return html`<${Empty} icon="buscar" title=${t("tienda.nada", { buscar })}>
      <${Button} onClick=${onClear}>${t("tienda.verTodo")}<//>
    <//>`;
  }
  if (!pages.items.length) return html`<${Empty} icon="tienda" title=${t("tienda.vacia")} />`;
  return html`<ul class="cards" aria-busy=${pages.loading ? "true" : undefined}>
    ${pages.items.map((producto) => html`<${Card} key=${producto.id} producto=${producto} />`)}
  </ul>`;
}

function Card({ producto }) {
  const inCart = lineas.value.find(({ producto_id }) => producto_id === producto.id)?.cantidad ?? 0;
  const act = useRef(null);
  // The button that was pressed gives way to another: the focus goes there, not away.
  useEffect(() => {
    if (act.current.dataset.left) act.current.querySelector("button:last-of-type").focus();
    delete act.current.dataset.left;
  }, [inCart > 0]);
  const leaving = () => {
    act.current.dataset.left = "true";
  };
  return html`<li class="card product" data-testid="producto" data-sku=${producto.sku}>
    <${Art} id=${producto.id} />
    <div class="product-text">
      <h2>${producto.nombre}</h2>
      <p class="soft small">${producto.descripcion}</p>
    </div>
    <p class="price figures">${money(producto.precio, producto.moneda)}</p>
    <${Availability} disponible=${producto.disponible} />
    <div class="product-act" ref=${act}>
      ${
        inCart > 0
          ? html`<${Stepper}
            value=${inCart} of=${producto.nombre} max=${producto.disponible}
            onChange=${(cantidad) => {
              if (cantidad === 0) leaving();
              cambiar(producto.id, cantidad);
            }}
          />`
          : html`<${Button}
              kind="primary" icon="mas" disabled=${producto.disponible === 0}
              onClick=${() => add(producto) && leaving()}
            >
            ${t("tienda.agregar")}<span class="visually-hidden"> ${producto.nombre}</span>
          <//>`
      }
    </div>
  </li>`;
}

function Availability({ disponible }) {
  if (disponible === undefined) return html`<p class="stock neutral">${t("stock.desconocido")}</p>`;
  if (disponible === 0) return html`<p class="stock bad">${t("stock.agotado")}</p>`;
  if (disponible < POCAS) return html`<p class="stock warning">${t("stock.quedan", { n: disponible })}</p>`;
  return html`<p class="stock good">${t("stock.disponible")}</p>`;
}

function add(producto) {
  const added = agregar(producto);
  announce(t(added ? "tienda.agregado" : "carrito.lleno", { nombre: producto.nombre }), added ? "unseen" : "bad");
  return added;
}
