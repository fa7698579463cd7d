/** Everybody's orders, the newest first, as they move. */

import { Gestion, conClientes, useFields } from "../lib/admin.js";
import { useChanges } from "../lib/changes.js";
import { money } from "../lib/format.js";
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { usePages } from "../lib/load.js";
import { go, link } from "../lib/router.js";
import { Button, Empty, EstadoBadge, Icon, More, ProblemNote, Skeleton, Time } from "../lib/ui.js";
import { updated } from "./pedidos.js";

const ESTADOS = ["PENDIENTE", "COMPLETADO", "CANCELADO"];
const DAY = { type: "date", min: "2000-01-01", max: "2999-12-31" };
const REST_MS = 500;

export default function Pedidos({ query }) {
  const pages = usePages("/pedidos", { ...asked(query), limite: 30 }, conClientes);
  const [placed, setPlaced] = useState([]); // ids of those since, not shown so that the list does not jump
  const nuevos = placed.filter((nuevo) => !pages.items?.some(({ id }) => id === nuevo)).length;
  useEffect(() => setPlaced([]), [JSON.stringify(query)]);
  const reload = () => {
    setPlaced([]);
    return pages.reload();
  };

  useChanges((cambio) => {
    if (pages.items?.some(({ id }) => id === cambio.id)) {
      pages.change((items) => items.map((pedido) => (pedido.id === cambio.id ? updated(pedido, cambio) : pedido)));
    } else if (cambio.de === null && fits(cambio, asked(query))) setPlaced((before) => [...before, cambio.id]);
  }, reload);

  return html`<${Gestion} title=${t("gestion.pedidos")}>
    <${Filters} query=${query} />
    <div role="status">
      ${nuevos > 0 && html`<${Button} icon="pedidos" onClick=${reload}>${t("pedidos.nuevos", { n: nuevos })}<//>`}
    </div>
    <${ProblemNote} problem=${pages.problem} onRetry=${reload} />
    <${List} pages=${pages} />
    <${More} pages=${pages} />
  <//>`;
}

/** Whether it is among those that were asked for. */
function fits(cambio, { estado, desde, hasta, cliente_id }) {
  const en = Date.parse(cambio.en);
  if (desde && en < Date.parse(desde)) return false;
  if (hasta && en >= Date.parse(hasta)) return false;
  return (!estado || estado === cambio.estado) && (!cliente_id || cliente_id === cambio.cliente_id);
}

/** What the address says, as the service is asked. Days are those of the person's time zone, `hasta` is included. */
function asked({ estado, desde, hasta, cliente }) {
  return {
    estado: ESTADOS.includes(estado) ? estado : "",
    desde: midnight(desde, 0),
    hasta: midnight(hasta, 1),
    cliente_id: cliente,
  };
}

function midnight(day, later) {
  const parts = /^(2\d{3})-(\d{2})-(\d{2})$/.exec(day ?? "");
  return parts ? new Date(parts[1], parts[2] - 1, Number(parts[3]) + later).toISOString() : "";
}

/** Sends what is chosen once it has rested: an arrow key chooses on its way, a year is typed digit by digit. */
function Filters({ query: { estado = "", desde = "", hasta = "", cliente = "" } }) {
  const form = useRef(null);
  const rest = useRef(null);
  useFields(form, { estado, desde, hasta, cliente });
  useEffect(() => () => clearTimeout(rest.current), []);

  const send = () => {
    clearTimeout(rest.current);
    if (!form.current.checkValidity()) return;
    const chosen = Object.fromEntries(new FormData(form.current));
    go("/gestion/pedidos", { ...chosen, cliente: chosen.cliente.trim() });
  };
  const changed = () => {
    clearTimeout(rest.current);
    rest.current = setTimeout(send, REST_MS);
  };
  const field = (name, rules) => html`<label>
    ${t(`pedidos.filtro.${name}`)}
    <input name=${name} autocomplete="off" ...${rules} />
  </label>`;
  return html`<search>
    <form ref=${form} class="filters" onChange=${changed} onSubmit=${(event) => (event.preventDefault(), send())}>
      <label>
        ${t("pedidos.filtro.estado")}
        <select name="estado">
          ${["", ...ESTADOS].map(
            (valor) => html`<option value=${valor}>${t(`pedidos.filtro.${valor || "TODOS"}`)}</option>`,
          )}
        </select>
      </label>
      ${field("desde", DAY)} ${field("hasta", DAY)} ${field("cliente", { type: "text" })}
      <${Button} type="submit">${t("registro.filtrar")}<//>
      <a class="button quiet" href=${link("/gestion/pedidos")} onClick=${() => clearTimeout(rest.current)}>
        ${t("pedidos.filtro.quitar")}
      </a>
    </form>
  </search>`;
}

function List({ pages }) {
  if (!pages.items) return pages.problem ? null : html`<${Skeleton} rows=${6} />`;
  if (!pages.items.length) return html`<${Empty} icon="pedidos" title=${t("pedidos.ningunoAsi")} />`;
  return html`<ul class="rows" data-testid="pedidos">
    ${pages.items.map((pedido) => html`<li key=${pedido.id}><${Row} ...${pedido} /></li>`)}
  </ul>`;
}

function Row({ id, estado, fase, lineas, total, moneda, creado_en, cliente, cliente_id }) {
  return html`<a class="row order" href=${link(`/gestion/pedidos/${id}`)} data-testid="pedido">
    <span class="grow">
      <strong>${cliente === null ? t("pedidos.cuentaBorrada") : (cliente ?? cliente_id)}</strong>
      <span class="soft small">
        <${Time} value=${creado_en} /> · ${t("pedidos.lineas", { n: lineas.length })}
      </span>
    </span>
    <${EstadoBadge} estado=${estado} fase=${fase} />
    <span class="amount figures">${money(total, moneda)}</span>
    <${Icon} name="adelante" />
  </a>`;
}
