/** The cart, and ordering it. */

import { get } from "../lib/api.js";
import { Art } from "../lib/art.js";
import { cambiar, lineas, ponerAlDia, quitar, totalVisto, unidades } from "../lib/cart.js";
import { compra, comprar, enCurso, entendido, reanudar } from "../lib/checkout.js";
import { money } from "../lib/format.js";
import { html, useEffect, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { decimal, cents } from "../lib/money.js";
import { link } from "../lib/router.js";
import { Stepper } from "../lib/stepper.js";
import { Button, Empty, IconButton, Note, Page } from "../lib/ui.js";
import { Outcome, objections } from "./carrito-avisos.js";

export default function Carrito() {
  const [before, setBefore] = useState({}); // prices that moved since they were seen, by product
  const refused = compra.value.state === "refused" && compra.value.problem.slug;

  useEffect(() => {
    reanudar();
    return () => {
      if (!enCurso.peek()) entendido();
    };
  }, []);
  // Prices move, also while one thinks: looked at again on coming here, and when the shop says that they did.
  useEffect(() => {
    const abort = new AbortController();
    refresh(abort.signal).then((moved) => {
      if (!abort.signal.aborted) setBefore(Object.fromEntries(moved.map((linea) => [linea.producto_id, linea.precio])));
    });
    return () => abort.abort();
  }, [refused === "total-distinto"]);

  if (!lineas.value.length && !enCurso.value) {
    return html`<${Page} title=${t("carrito.titulo")} narrow>
      <${Outcome} />
      <${Empty} icon="carrito" title=${t("carrito.vacio")}>
        <a class="button primary" href=${link("/tienda")}>${t("carrito.aLaTienda")}</a>
      <//>
    <//>`;
  }
  const objected = objections(compra.value, lineas.value);
  return html`<${Page} title=${t("carrito.titulo")}>
    <${Outcome} />
    <div class="cart">
      <ul class="rows">
        ${lineas.value.map(
          (linea) => html`<${Line}
            key=${linea.producto_id}
            linea=${linea}
            before=${before[linea.producto_id]}
            objection=${objected.get(linea.producto_id)}
          />`,
        )}
      </ul>
      <${Summary} />
    </div>
  <//>`;
}

/** Takes over present names and prices. @returns {Promise<any[]>} the lines whose price moved; none if nobody knows */
async function refresh(signal) {
  if (enCurso.peek() || !lineas.peek().length) return [];
  const ids = lineas.peek().map(({ producto_id }) => producto_id);
  const page = await get("/productos", { ids: ids.join(","), limite: ids.length }, { signal }).catch(() => null);
  return page && !enCurso.peek() ? ponerAlDia(page.elementos) : [];
}

function Line({ linea, before, objection }) {
  const { producto_id, nombre, cantidad, precio, moneda } = linea;
  const amount = decimal(cents(precio) * BigInt(cantidad));
  return html`<li class="row cart-line" data-testid="linea">
    <${Art} id=${producto_id} />
    <div class="grow">
      <h2>${nombre}</h2>
      <p class="soft small figures">
        ${before && html`<s>${money(before, moneda)}</s> ${" "}`}
        ${t("carrito.cadaUna", { precio: money(precio, moneda) })}
        ${before && html` · <strong>${t("carrito.precioNuevo")}</strong>`}
      </p>
    </div>
    <${Stepper} value=${cantidad} of=${nombre} disabled=${enCurso.value} onChange=${(n) => cambiar(producto_id, n)} />
    <p class="amount figures">${money(amount, moneda)}</p>
    <${IconButton}
      icon="borrar" label=${t("carrito.quitar", { nombre })} disabled=${enCurso.value} onClick=${() => remove(producto_id)}
    />
    ${objection && html`<${Objection} linea=${linea} ...${objection} />`}
  </li>`;
}

/** Its button goes with it, so the focus goes to the heading. */
function remove(producto_id) {
  quitar(producto_id);
  document.querySelector("h1").focus();
}

/** What stands against a line, and the way out. @param {{disponible: number | null}} props  null: no longer sold */
function Objection({ linea: { producto_id, nombre, cantidad }, disponible }) {
  const left = disponible ?? 0;
  const text = disponible === null ? "linea.noALaVenta" : left === 0 ? "linea.agotada" : "linea.faltan";
  const action = html`<${Button} onClick=${() => cambiar(producto_id, left)}>
    ${left > 0 ? t("linea.dejarEn", { n: left }) : t("carrito.quitar", { nombre })}
  <//>`;
  return html`<div class="objection">
    <${Note} kind="warning" actions=${action}><p>${t(text, { n: left, cantidad, nombre })}</p><//>
  </div>`;
}

function Summary() {
  const moneda = lineas.value[0]?.moneda;
  const blocked = objections(compra.value, lineas.value).size > 0;
  return html`<section class="card summary" aria-label=${t("carrito.resumen")}>
    <dl class="sum">
      <dt>${t("carrito.unidades", { n: unidades.value })}</dt>
      <dd class="total figures" data-testid="total">${moneda && money(totalVisto.value, moneda)}</dd>
    </dl>
    <${Button} kind="primary" busy=${enCurso.value} disabled=${blocked} onClick=${() => comprar()}>
      ${t(enCurso.value ? "carrito.pidiendo" : "carrito.pedir")}
    <//>
    <p class="soft small">${t("carrito.promesa")}</p>
  </section>`;
}
