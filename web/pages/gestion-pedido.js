/** One order as those see it who hand it over: whose it is, and completing it. */

import { conClientes } from "../lib/admin.js";
import { post } from "../lib/api.js";
import { html, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { useLoad } from "../lib/load.js";
import { link } from "../lib/router.js";
import { Button, Note, ProblemNote, announce, confirm } from "../lib/ui.js";
import Pedido from "./pedido.js";

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
  const [state, setState] = useState({ busy: false, problem: null });
  const complete = async () => {
    const sure = await confirm({
      title: t("pedidos.completar"),
      text: t("pedidos.completar.texto"),
      action: t("pedidos.completar"),
    });
    if (!sure) return;
    setState({ busy: true, problem: null });
    try {
      await post(`/pedidos/${id}/completar`);
      announce(t("pedidos.completado"));
      setState({ busy: false, problem: null });
    } catch (problem) {
      setState({ busy: false, problem });
    }
    onDone();
  };
  // With the stock service away the intent stands and finishes by itself: nothing to repeat.
  const stands = state.problem?.slug === "servicio-no-disponible";
  return html`
    ${
      stands
        ? html`<${Note} kind="warning" live><p>${t("pedidos.completara")}</p><//>`
        : html`<${ProblemNote} problem=${state.problem} />`
    }
    <${Button} kind="primary" icon="bien" busy=${state.busy} onClick=${complete}>${t("pedidos.completar")}<//>
  `;
}
