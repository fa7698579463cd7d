/** One's orders, the newest first, as they move. */

import { useChanges } from "../lib/changes.js";
import { money } from "../lib/format.js";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { usePages } from "../lib/load.js";
import { link } from "../lib/router.js";
import { usuario } from "../lib/session.js";
import { Empty, EstadoBadge, Icon, More, Page, ProblemNote, Skeleton, Time } from "../lib/ui.js";

const ESTADOS = ["PENDIENTE", "COMPLETADO", "CANCELADO"];

export default function Pedidos({ query }) {
  const estado = ESTADOS.includes(query.estado) ? query.estado : "";
  // An administrator may see everybody's; here are their own.
  const pages = usePages("/pedidos", { estado, cliente_id: usuario.value.id, limite: 20 });

  useChanges((cambio) => {
    const known = pages.items?.some(({ id }) => id === cambio.id);
    if (known)
      pages.change((items) => items.map((pedido) => (pedido.id === cambio.id ? updated(pedido, cambio) : pedido)));
    else if (cambio.cliente_id === usuario.value.id) pages.reload();
  }, pages.reload);

  return html`<${Page} title=${t("pedidos.titulo")}>
    <nav class="chips" aria-label=${t("pedidos.filtro")}>
      ${["", ...ESTADOS].map(
        (valor) => html`<a
          class="chip" key=${valor} href=${link("/pedidos", { estado: valor })}
          aria-current=${valor === estado ? "true" : undefined}
        >${t(`pedidos.filtro.${valor || "TODOS"}`)}</a>`,
      )}
    </nav>
    <${ProblemNote} problem=${pages.problem} onRetry=${pages.reload} />
    <${List} pages=${pages} estado=${estado} />
    <${More} pages=${pages} />
  <//>`;
}

function List({ pages, estado }) {
  if (!pages.items) return pages.problem ? null : html`<${Skeleton} rows=${5} />`;
  if (!pages.items.length) {
    return html`<${Empty} icon="pedidos" title=${t(estado ? "pedidos.ningunoAsi" : "pedidos.ninguno")}>
      <a class="button primary" href=${link("/tienda")}>${t("carrito.aLaTienda")}</a>
    <//>`;
  }
  return html`<ul class="rows">
    ${pages.items.map((pedido) => html`<li key=${pedido.id}><${Row} pedido=${pedido} /></li>`)}
  </ul>`;
}

function Row({ pedido: { id, estado, fase, lineas, total, moneda, creado_en } }) {
  return html`<a class="row order" href=${link(`/pedidos/${id}`)} data-testid="pedido">
    <span class="grow">
      <strong>${summary(lineas)}</strong>
      <span class="soft small"><${Time} value=${creado_en} /></span>
    </span>
    <${EstadoBadge} estado=${estado} fase=${fase} />
    <span class="amount figures">${money(total, moneda)}</span>
    <${Icon} name="adelante" />
  </a>`;
}

/** "Molinillo manual and 2 more" */
function summary([first, ...others]) {
  return others.length ? t("pedidos.yMas", { nombre: first.nombre, n: others.length }) : first.nombre;
}

/** The order after a change that a stream told of. */
export const updated = (pedido, { estado, fase, motivo, reserva_expira_en, actualizado_en }) =>
  actualizado_en < pedido.actualizado_en
    ? pedido
    : { ...pedido, estado, fase, motivo, reserva_expira_en, actualizado_en };
