/** The audit logs of the four services: who did what, to what, from where. */

import { Frame, Gestion, useFields } from "../lib/admin.js";
import { moment } from "../lib/format.js";
import { html, useRef } from "../lib/html.js";
import { has, t } from "../lib/i18n.js";
import { usePages } from "../lib/load.js";
import { go, link } from "../lib/router.js";
import { Button, Empty, More, ProblemNote, Skeleton } from "../lib/ui.js";

const SERVICIOS = ["auth", "productos", "inventario", "pedidos"];
const COLUMNAS = ["cuando", "suceso", "objeto", "autor", "origen", "detalle"];
const PATH = "/gestion/registro";

export default function Registro({ query }) {
  const servicio = SERVICIOS.includes(query.servicio) ? query.servicio : SERVICIOS[0];
  const { autor, objeto } = query;
  return html`<${Gestion} title=${t("gestion.registro")}>
    <nav class="chips" aria-label=${t("registro.servicio")}>
      ${SERVICIOS.map(
        (name) => html`<a
          class="chip" key=${name} href=${link(PATH, { servicio: name, autor, objeto })}
          aria-current=${name === servicio ? "true" : undefined}
        >${t(`nombre.${name}`)}</a>`,
      )}
    </nav>
    <${Filters} query=${query} servicio=${servicio} />
    <${Entries} key=${servicio} servicio=${servicio} autor=${autor} objeto=${objeto} />
  <//>`;
}

function Filters({ query: { autor = "", objeto = "" }, servicio }) {
  const form = useRef(null);
  useFields(form, { autor, objeto });
  const send = (event) => {
    event.preventDefault();
    const typed = Object.fromEntries(new FormData(form.current));
    go(PATH, { servicio, autor: typed.autor.trim(), objeto: typed.objeto.trim() });
  };
  return html`<search>
    <form ref=${form} class="filters" onSubmit=${send}>
      ${["autor", "objeto"].map(
        (name) => html`<label key=${name}>
          ${t(`registro.${name}`)}
          <input name=${name} autocomplete="off" spellcheck=${false} maxlength="200" />
        </label>`,
      )}
      <${Button} type="submit">${t("registro.filtrar")}<//>
      ${
        (autor || objeto) &&
        html`<a class="button quiet" href=${link(PATH, { servicio })}>${t("pedidos.filtro.quitar")}</a>`
      }
    </form>
  </search>`;
}

function Entries({ servicio, autor, objeto }) {
  const pages = usePages(`/${servicio}/auditoria`, { autor, objeto, limite: 50 });
  if (!pages.items)
    return pages.problem
      ? html`<${ProblemNote} problem=${pages.problem} onRetry=${pages.reload} />`
      : html`<${Skeleton} rows=${6} />`;
  if (!pages.items.length) return html`<${Empty} icon="pedidos" title=${t("registro.nada")} />`;
  return html`
    <${ProblemNote} problem=${pages.problem} onRetry=${pages.reload} />
    <${Frame} label=${t("gestion.registro")}>
      <table data-testid="registro">
        <thead>
          <tr>
            ${COLUMNAS.map((name) => html`<th scope="col" key=${name}>${t(`registro.${name}`)}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${pages.items.map((apunte) => html`<${Entry} key=${apunte.id} servicio=${servicio} apunte=${apunte} />`)}
        </tbody>
      </table>
    <//>
    <${More} pages=${pages} />
  `;
}

function Entry({ servicio, apunte: { en, suceso, objeto, autor, origen, detalle, peticion } }) {
  const narrowed = (name, value) =>
    value && html`<a href=${link(PATH, { servicio, [name]: value })} title=${value}><code>${short(value)}</code></a>`;
  return html`<tr>
    <td class="nowrap"><time datetime=${en}>${moment(en)}</time></td>
    <td>${sucesoText(suceso)}</td>
    <td class="nowrap">${narrowed("objeto", objeto)}</td>
    <td class="nowrap">${narrowed("autor", autor)}</td>
    <td class="nowrap"><code>${origen}</code></td>
    <td class="soft small details" title=${`X-Request-Id: ${peticion}`}>
      ${Object.entries(detalle).map(([name, value]) => html`<span key=${name}>${name}: ${written(value)}</span>`)}
    </td>
  </tr>`;
}

/** What happened, in words where we have some. */
export const sucesoText = (suceso) => (has(`suceso.${suceso}`) ? t(`suceso.${suceso}`) : suceso);

/** An id by its end, which differs most. */
const short = (text) => (/^[0-9a-f-]{36}$/.test(text) || text.length > 40 ? `…${text.slice(-8)}` : text);

const written = (value) => (typeof value === "string" ? short(value) : JSON.stringify(value));
