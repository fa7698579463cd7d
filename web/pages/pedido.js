/** One order: what it holds, where it stands, and how it came there; it moves by itself. */

import { get, post } from "../lib/api.js";
import { useChanges } from "../lib/changes.js";
import { connection } from "../lib/events.js";
import { moment, money } from "../lib/format.js";
import { html, useState } from "../lib/html.js";
import { has, t } from "../lib/i18n.js";
import { useLoad } from "../lib/load.js";
import { link } from "../lib/router.js";
import {
  Button,
  Countdown,
  EstadoBadge,
  Icon,
  Note,
  Page,
  ProblemNote,
  Skeleton,
  announce,
  confirm,
} from "../lib/ui.js";
import { updated } from "./pedidos.js";

/** In these an order can be cancelled by whom it belongs to. */
const CANCELABLES = new Set(["SOLICITADO", "RESERVADO"]);

/**
 * @param {{params: {id: string}, back?: string, Extra?: Function}} props  Extra: beside the state, gets
 *   `{ pedido, onChanged }`
 */
export default function Pedido({ params: { id }, back = link("/pedidos"), Extra }) {
  const { data, problem, reload, change } = useLoad((signal) => read(id, signal), [id]);

  useChanges((cambio) => {
    if (cambio.id !== id) return;
    if (!data && problem) return reload();
    change(({ pedido, pasos }) => ({ pedido: updated(pedido, cambio), pasos: withStep(pasos, cambio) }));
  }, reload);

  return html`<${Page} title=${t("pedido.titulo")} back=${back}>
    <${ProblemNote} problem=${problem} onRetry=${reload} />
    ${
      data
        ? html`<${Detail} ...${data} Extra=${Extra} onChanged=${reload} />`
        : !problem && html`<${Skeleton} rows=${3} />`
    }
  <//>`;
}

async function read(id, signal) {
  const [pedido, pasos] = await Promise.all([
    get(`/pedidos/${id}`, {}, { signal }),
    get(`/pedidos/${id}/historial`, {}, { signal }),
  ]);
  return { pedido, pasos };
}

/** Once each, also if it was read and told. */
function withStep(pasos, { en, de, a, causa }) {
  return pasos.some((paso) => paso.a === a && paso.en === en) ? pasos : [...pasos, { en, de, a, causa }];
}

function Detail({ pedido, pasos, Extra, onChanged }) {
  return html`<div class="order-detail">
    <div class="stack">
      <section class="card" aria-labelledby="estado">
        <div class="card-head">
          <h2 id="estado">${t("pedido.estado")}</h2>
          <${EstadoBadge} estado=${pedido.estado} fase=${pedido.fase} />
        </div>
        <p role="status">${t(`pedido.fase.${pedido.fase}`)}</p>
        ${pedido.estado === "CANCELADO" && html`<${Reason} motivo=${pedido.motivo} />`}
        ${
          pedido.fase === "RESERVADO" &&
          pedido.reserva_expira_en &&
          html`<${TimeLeft} until=${pedido.reserva_expira_en} />`
        }
        ${Extra && html`<${Extra} pedido=${pedido} onChanged=${onChanged} />`}
        ${CANCELABLES.has(pedido.fase) && html`<${Cancel} id=${pedido.id} onDone=${onChanged} />`}
      </section>
      <${Lines} pedido=${pedido} />
    </div>
    <${Timeline} pedido=${pedido} pasos=${pasos} />
  </div>`;
}

function Reason({ motivo }) {
  return html`<p class="soft">${has(`motivo.${motivo}`) ? t(`motivo.${motivo}`) : t("pedido.motivo", { motivo })}</p>`;
}

function TimeLeft({ until }) {
  const [over, setOver] = useState(false);
  const end = Date.parse(until);
  return html`<p class="time-left">
    <${Icon} name="reloj" />
    ${
      over
        ? t("pedido.agotado")
        : html`<span>${t("pedido.queda")} <${Countdown} until=${end} onEnd=${() => setOver(true)} /></span>`
    }
  </p>`;
}

function Cancel({ id, onDone }) {
  return html`<${OrderAction}
    kind="danger"
    action=${t("pedido.cancelar")}
    question=${{ title: t("pedido.cancelar.titulo"), text: t("pedido.cancelar.texto") }}
    send=${() => post(`/pedidos/${id}/cancelar`, {})}
    done=${t("pedido.cancelado")}
    stands=${t("pedido.cancelara")}
    onDone=${onDone}
  />`;
}

/**
 * What ends an order, asked about first.
 *
 * @param {object} props
 * @param {string} props.action  what the button says
 * @param {{title: string, text: string}} props.question
 * @param {() => Promise<any>} props.send
 * @param {string} props.done  said afterwards
 * @param {string} props.stands  said when the stock service is away: the intent stands and finishes by itself
 * @param {() => void} props.onDone  also after a failure
 */
export function OrderAction({ kind, icon, action, question, send, done, stands, onDone }) {
  const [state, setState] = useState({ busy: false, problem: null });
  const act = async () => {
    if (!(await confirm({ ...question, action, danger: kind === "danger" }))) return;
    setState({ busy: true, problem: null });
    try {
      await send();
      announce(done);
      setState({ busy: false, problem: null });
    } catch (problem) {
      setState({ busy: false, problem });
    }
    onDone();
  };
  return html`
    ${
      state.problem?.isNoted
        ? html`<${Note} kind="warning" live><p>${stands}</p><//>`
        : html`<${ProblemNote} problem=${state.problem} />`
    }
    <${Button} kind=${kind} icon=${icon} busy=${state.busy} onClick=${act}>${action}<//>
  `;
}

function Lines({ pedido: { lineas, total, moneda } }) {
  return html`<section class="card" aria-labelledby="lineas">
    <h2 id="lineas">${t("pedido.lineas")}</h2>
    <ul class="order-lines">
      ${lineas.map(
        ({ producto_id, nombre, cantidad, precio_unitario, importe }) => html`<li key=${producto_id}>
          <span class="grow">
            ${nombre}<br /><span class="soft small figures">${cantidad} × ${money(precio_unitario, moneda)}</span>
          </span>
          <span class="figures">${money(importe, moneda)}</span>
        </li>`,
      )}
    </ul>
    <dl class="sum">
      <dt>${t("pedido.total")}</dt>
      <dd class="total figures">${money(total, moneda)}</dd>
    </dl>
  </section>`;
}

function Timeline({ pedido, pasos }) {
  const open = pedido.estado === "PENDIENTE";
  return html`<section class="card" aria-labelledby="historia">
    <div class="card-head">
      <h2 id="historia">${t("pedido.historia")}</h2>
      ${open && html`<span class="on-air ${connection.value}">${t(`vivo.${connection.value}`)}</span>`}
    </div>
    <ol class="timeline" aria-live="polite" data-testid="historial">
      ${pasos.map(
        (
          { a, en },
          at,
        ) => html`<li key=${`${a}${en}`} class=${at === pasos.length - 1 ? `latest ${a.toLowerCase()}` : ""}>
          <strong>${t(`paso.${a}`)}</strong>
          <time class="soft small figures" datetime=${en}>${moment(en)}</time>
        </li>`,
      )}
      ${open && html`<li class="next"><span class="soft">${t(`pedido.sigue.${pedido.fase}`)}</span></li>`}
    </ol>
    <p class="soft small">${t("pedido.numero")} <code>${pedido.id}</code></p>
  </section>`;
}
