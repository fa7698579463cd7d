/** Plots of the last five minutes. */

import { html, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { SERVICIOS } from "../lib/operation.js";
import { Plot, figure } from "../lib/plot.js";
import { Frame } from "../lib/admin.js";

const FASES = ["SOLICITADO", "RESERVADO", "COMPLETANDO", "CANCELANDO"];
const PERCENTILES = ["p50", "p95", "p99"];
const RUTAS = 10;

export function Graficos({ documents, history }) {
  const [servicio, setServicio] = useState("pedidos");
  const drawn = (title, unit, series, extra) => html`<${Plot}
    title=${t(title)} unit=${unit} extra=${extra}
    series=${series} columns=${history.columns(series.map(({ name }) => name))}
  />`;
  const each = (name) => SERVICIOS.map((one) => ({ name: `${one}.${name}`, label: t(`nombre.${one}`) }));
  const choice = html`<label class="choose">
    <span class="visually-hidden">${t("operacion.servicio")}</span>
    <select value=${servicio} onChange=${(event) => setServicio(event.target.value)}>
      ${SERVICIOS.map((name) => html`<option value=${name}>${t(`nombre.${name}`)}</option>`)}
    </select>
  </label>`;

  return html`<section class="stack" aria-labelledby="graficos">
    <h2 id="graficos">${t("operacion.graficos")}</h2>
    <div class="plots">
      ${drawn("grafico.pedidos", "/s", [{ name: "altas", label: t("grafico.altas") }])}
      ${drawn(
        "grafico.fases",
        "",
        FASES.map((fase) => ({ name: `fase.${fase}`, label: t(`fase.${fase}`) })),
      )}
      ${drawn("grafico.peticiones", "/s", each("porSegundo"))} ${drawn("grafico.errores", "/s", each("errores"))}
      ${drawn(
        "grafico.latencia",
        "ms",
        PERCENTILES.map((name) => ({ name: `${servicio}.${name}`, label: name })),
        choice,
      )}
      ${drawn("grafico.colas", "", each("cola"))}
    </div>
    <${Rutas} servicio=${servicio} rutas=${documents[servicio]?.peticiones.rutas} />
  </section>`;
}

function Rutas({ servicio, rutas }) {
  if (!rutas?.length) return null;
  const title = t("operacion.rutas", { servicio: t(`nombre.${servicio}`) });
  return html`<h3>${title}</h3>
    <${Frame} label=${title}>
      <table>
        <thead>
          <tr>
            <th scope="col">${t("operacion.ruta")}</th>
            ${["porSegundo", "errores", ...PERCENTILES].map(
              (name) => html`<th scope="col" class="figure" key=${name}>${t(`cifra.${name}`)}</th>`,
            )}
          </tr>
        </thead>
        <tbody>
          ${rutas.slice(0, RUTAS).map(
            ({ metodo, ruta, por_segundo, errores_por_segundo, ...percentiles }) => html`<tr key=${`${metodo} ${ruta}`}>
              <td class="nowrap"><code>${metodo} ${ruta}</code></td>
              <td class="figure">${figure(por_segundo, "")}</td>
              <td class="figure">${figure(errores_por_segundo, "")}</td>
              ${PERCENTILES.map((name) => html`<td class="figure" key=${name}>${figure(percentiles[name], "ms")}</td>`)}
            </tr>`,
          )}
        </tbody>
      </table>
    <//>`;
}
