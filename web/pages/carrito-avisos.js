/** What the person is told while an order is being placed, and when it was refused. */

import { lineas } from "../lib/cart.js";
import { compra, comprar, detener, entendido, yaMismo } from "../lib/checkout.js";
import { money } from "../lib/format.js";
import { html, useEffect, useRef } from "../lib/html.js";
import { explain, has, t } from "../lib/i18n.js";
import { link } from "../lib/router.js";
import { Button, Countdown, Note, ProblemDetails } from "../lib/ui.js";

/** What stands against lines of the cart as it is now, by product: how many there are, null if it is not sold. */
export function objections({ state, problem }, lineas) {
  if (state !== "refused") return new Map();
  const left = new Map(
    (problem.extras.faltantes ?? []).map(({ producto_id, disponible }) => [producto_id, disponible]),
  );
  for (const id of problem.extras.productos ?? []) left.set(id, null);
  return new Map(
    lineas
      .filter(({ producto_id, cantidad }) => left.has(producto_id) && cantidad > (left.get(producto_id) ?? 0))
      .map(({ producto_id }) => [producto_id, { disponible: left.get(producto_id) }]),
  );
}

export function Outcome() {
  const { state, problem } = compra.value;
  if (state === "waiting" || (state === "sending" && problem)) return html`<${Waiting} />`;
  if (state === "stopped") return html`<${Stopped} />`;
  if (state !== "refused") return null;
  if (problem.slug === "total-distinto") return html`<${OtherTotal} />`;
  return html`<${Refused} />`;
}

/** A service is away. Nothing is lost, and nothing needs to be done. */
function Waiting() {
  const { state, problem, until } = compra.value;
  const actions = html`
    ${state === "waiting" && html`<${Button} onClick=${yaMismo}>${t("compra.ahora")}<//>`}
    <${Button} kind="quiet" onClick=${detener}>${t("compra.detener")}<//>
  `;
  return html`<div data-testid="espera">
    <${Note} kind="warning" title=${explain(problem)} actions=${actions} live>
      <p>${t("compra.seguimos")}</p>
      <p>
        ${state === "waiting" ? html`${t("compra.reintento")} <${Countdown} until=${until} />` : t("compra.probando")}
      </p>
      <${ProblemDetails} problem=${problem} />
    <//>
  </div>`;
}

function Stopped() {
  const actions = html`
    <a class="button secondary" href=${link("/pedidos")}>${t("compra.verPedidos")}</a>
    <${Button} kind="quiet" onClick=${entendido}>${t("compra.entendido")}<//>
  `;
  return html`<${Note} title=${t("compra.detenida")} actions=${actions} live><p>${t("compra.detenidaTexto")}</p><//>`;
}

function OtherTotal() {
  const { problem, attempt } = compra.value;
  const moneda = lineas.value[0]?.moneda;
  const { total } = problem.extras;
  const actions = html`
    <${Button} kind="primary" onClick=${() => comprar(total)}>
      ${t("compra.aceptar", { total: money(total, moneda) })}
    <//>
    <${Button} kind="quiet" onClick=${entendido}>${t("compra.revisar")}<//>
  `;
  return html`<${Note} kind="warning" title=${t("compra.otroTotal")} actions=${actions} live>
    <p>${t("compra.otroTotalTexto", { antes: money(attempt.total, moneda), total: money(total, moneda) })}</p>
  <//>`;
}

function Refused() {
  const { problem } = compra.value;
  const top = useRef(null);
  useEffect(() => {
    top.current.scrollIntoView({ block: "nearest" });
  }, []);
  const lines = objections(compra.value, lineas.value).size > 0;
  if (!lines && (problem.extras.faltantes || problem.extras.productos)) return html`<${Mended} top=${top} />`;
  const reason = problem.extras.motivo;
  const actions = html`
    ${
      problem.slug === "demasiados-pendientes" &&
      html`<a class="button secondary" href=${link("/pedidos", { estado: "PENDIENTE" })}>${t("compra.verPedidos")}</a>`
    }
    ${!lines && html`<${Button} kind="quiet" onClick=${entendido}>${t("compra.entendido")}<//>`}
  `;
  return html`<div ref=${top}>
    <${Note} kind="bad" title=${explain(problem)} actions=${actions} live>
      ${reason && html`<p>${has(`motivo.${reason}`) ? t(`motivo.${reason}`) : reason}</p>`}
      ${lines && html`<p>${t("compra.arregle")}</p>`}
      <${ProblemDetails} problem=${problem} />
    <//>
  </div>`;
}

function Mended({ top }) {
  return html`<div ref=${top}><${Note} kind="good" live><p>${t("compra.arreglado")}</p><//></div>`;
}
