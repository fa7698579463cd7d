/** One order as those see it who hand it over: whose it is, and completing it. */

import { conClientes } from "../lib/admin.js";
import { post } from "../lib/api.js";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { useLoad } from "../lib/load.js";
import { link } from "../lib/router.js";
import Pedido, { OrderAction } from "./pedido.js";

export default function PedidoDeCualquiera({ params }) {
  return html`<${Pedido} params=${params} back=${link("/gestion/pedidos")} Extra=${Extra} />`;
}

function Extra({ pedido, onChanged }) {
  return html`
    <${Cliente} id=${pedido.cliente_id} />
    ${pedido.fase === "RESERVADO" && html`<${Complete} id=${pedido.id} onDone=${onChanged} />`}
  `;
}

function Cliente({ id }) {
  const { data } = useLoad(() => named(id), [id]);
  const name = data?.cliente === null ? t("pedidos.cuentaBorrada") : (data?.cliente ?? id);
  return html`<p>
    <span class="soft">${t("pedidos.cliente")}</span>${" "}
    <a href=${link("/gestion/pedidos", { cliente: id })}>${name}</a>
  </p>`;
}

async function named(cliente_id) {
  const one = { cliente_id };
  await conClientes([one]);
  return one;
}

function Complete({ id, onDone }) {
  return html`<${OrderAction}
    kind="primary"
    icon="bien"
    action=${t("pedidos.completar")}
    question=${{ title: t("pedidos.completar"), text: t("pedidos.completar.texto") }}
    send=${() => post(`/pedidos/${id}/completar`)}
    done=${t("pedidos.completado")}
    stands=${t("pedidos.completara")}
    onDone=${onDone}
  />`;
}
