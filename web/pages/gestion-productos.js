/** All products, also those that are not on sale. */

import { Gestion } from "../lib/admin.js";
import { exportar } from "../lib/catalogue-export.js";
import { money } from "../lib/format.js";
import { html, useEffect, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { usePages, useRested } from "../lib/load.js";
import { go, link } from "../lib/router.js";
import { Button, Empty, Icon, More, ProblemNote, SearchField, Skeleton, announce } from "../lib/ui.js";

const FILTROS = { "": null, activos: true, retirados: false };

export default function Productos({ query }) {
  const [typed, setTyped] = useState(query.buscar ?? "");
  const buscar = useRested(typed.trim());
  const estado = query.estado in FILTROS ? query.estado : "";
  const pages = usePages("/productos", { buscar, activo: FILTROS[estado], ordenar: "nombre", limite: 50 });

  useEffect(() => {
    if (buscar !== (query.buscar ?? "")) go("/gestion", { ...query, buscar }, { replace: true });
  }, [buscar]);

  return html`<${Gestion} title=${t("gestion.productos")} actions=${html`<${Actions} />`}>
    <search class="finder">
      <${SearchField} value=${typed} onType=${setTyped} />
      <label class="sort">
        <span class="visually-hidden">${t("productos.filtro")}</span>
        <select
          value=${estado}
          onChange=${(event) => go("/gestion", { ...query, estado: event.target.value }, { replace: true })}
        >
          ${Object.keys(FILTROS).map(
            (name) => html`<option value=${name}>${t(`productos.${name || "todos"}`)}</option>`,
          )}
        </select>
      </label>
    </search>
    <${ProblemNote} problem=${pages.problem} onRetry=${pages.reload} />
    <${List} pages=${pages} />
    <${More} pages=${pages} />
  <//>`;
}

function Actions() {
  return html`
    <a class="button primary" href=${link("/gestion/productos/nuevo")}><${Icon} name="mas" />${t("producto.nuevo")}</a>
    <a class="button secondary" href=${link("/gestion/importar")}>${t("importar.accion")}</a>
    <${Export} />
  `;
}

function Export() {
  const [state, setState] = useState({ count: null, problem: null });
  const run = async () => {
    setState({ count: 0, problem: null });
    try {
      const count = await exportar((count) => setState({ count, problem: null }));
      announce(t("exportar.hecho", { n: count }));
      setState({ count: null, problem: null });
    } catch (problem) {
      setState({ count: null, problem });
    }
  };
  return html`
    <${Button} busy=${state.count !== null} icon="descargar" onClick=${run}>
      ${state.count ? t("exportar.leidos", { n: state.count }) : t("exportar.accion")}
    <//>
    <${ProblemNote} problem=${state.problem} />
  `;
}

function List({ pages }) {
  if (!pages.items) return pages.problem ? null : html`<${Skeleton} rows=${6} />`;
  if (!pages.items.length) return html`<${Empty} icon="tienda" title=${t("productos.ninguno")} />`;
  return html`<ul class="rows" data-testid="productos">
    ${pages.items.map(
      ({ id, sku, nombre, precio, moneda, activo }) => html`<li key=${id}>
        <a class="row order" href=${link(`/gestion/productos/${id}`)}>
          <span class="grow"><strong>${nombre}</strong><code class="soft">${sku}</code></span>
          ${!activo && html`<span class="badge neutral"><${Icon} name="cerrar" />${t("producto.retirado")}</span>`}
          <span class="amount figures">${money(precio, moneda)}</span>
          <${Icon} name="adelante" />
        </a>
      </li>`,
    )}
  </ul>`;
}
