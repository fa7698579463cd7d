/** The present figures in tables. */

import { Frame } from "../lib/admin.js";
import { number } from "../lib/format.js";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { SERVICIOS } from "../lib/operation.js";
import { figure } from "../lib/plot.js";
import { Icon, Time } from "../lib/ui.js";

const COLUMNAS = ["enCurso", "porSegundo", "errores", "p50", "p95", "p99"];

export function Ahora({ documents }) {
  return html`<section class="stack" aria-labelledby="ahora">
    <h2 id="ahora">${t("operacion.ahora")}</h2>
    <${Frame} label=${t("operacion.ahora")}>
      <table data-testid="ahora">
        <thead>
          <tr>
            <th scope="col">${t("operacion.servicio")}</th>
            ${COLUMNAS.map((name) => html`<th scope="col" class="figure" key=${name}>${t(`cifra.${name}`)}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${SERVICIOS.map(
            (servicio) => html`<${Row} key=${servicio} servicio=${servicio} documento=${documents[servicio]} />`,
          )}
        </tbody>
      </table>
    <//>
  </section>`;
}

function Row({ servicio, documento }) {
  const head = html`<th scope="row">
    <span class="nowrap ${documento ? "up" : "down"}">
      <${Icon} name=${documento ? "bien" : "cerrar"} />${t(`nombre.${servicio}`)}
    </span>
    ${
      documento &&
      html`<span class="since soft nowrap">
        ${documento.version} · <${Time} value=${documento.arrancado_en} relative />
      </span>`
    }
  </th>`;
  if (!documento) return html`<tr>${head}<td colspan=${COLUMNAS.length}>${t("operacion.noResponde")}</td></tr>`;
  const { en_curso, por_segundo, errores_por_segundo, latencia_ms } = documento.peticiones;
  return html`<tr>
    ${head}
    <td class="figure">${number(en_curso)}</td>
    <td class="figure">${figure(por_segundo, "")}</td>
    <td class="figure">${figure(errores_por_segundo, "")}</td>
    ${["p50", "p95", "p99"].map((name) => html`<td class="figure" key=${name}>${figure(latencia_ms[name], "ms")}</td>`)}
  </tr>`;
}

/** Who waits for what, and how many may. */
export function Colas({ documents }) {
  const colas = SERVICIOS.flatMap((servicio) =>
    (documents[servicio]?.colas ?? []).map((cola) => ({ servicio, ...cola })),
  );
  if (!colas.length) return null;
  return html`<section class="stack" aria-labelledby="colas">
    <h2 id="colas">${t("operacion.colas")}</h2>
    <${Frame} label=${t("operacion.colas")}>
      <table data-testid="colas">
        <thead>
          <tr>
            <th scope="col">${t("operacion.servicio")}</th><th scope="col">${t("cola.nombre")}</th>
            <th scope="col" class="figure">${t("cola.ahora")}</th>
            <th scope="col" class="figure">${t("cola.maximo")}</th>
            <th scope="col">${t("cola.lleno")}</th>
          </tr>
        </thead>
        <tbody>
          ${colas.map(
            ({ servicio, nombre, en_espera, maximo }) => html`<tr key=${`${servicio} ${nombre}`}>
              <td>${t(`nombre.${servicio}`)}</td>
              <td class="nowrap"><code>${nombre}</code></td>
              <td class="figure">${number(en_espera)}</td>
              <td class="figure">${number(maximo)}</td>
              <td><meter max=${maximo} high=${maximo * 0.8} value=${en_espera} aria-label=${nombre}></meter></td>
            </tr>`,
          )}
        </tbody>
      </table>
    <//>
  </section>`;
}
