/** Where one is logged in. */

import { remove } from "../lib/api.js";
import { html, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { usePages } from "../lib/load.js";
import { olvidar } from "../lib/session.js";
import { Button, Icon, More, ProblemNote, Skeleton, Time, announce, confirm } from "../lib/ui.js";

export function Sesiones() {
  const pages = usePages("/auth/yo/sesiones", { limite: 10 });
  const [problem, setProblem] = useState(null);

  const end = async (sesion) => {
    setProblem(null);
    try {
      await remove(`/auth/yo/sesiones/${sesion.id}`);
      if (sesion.actual) return olvidar();
      pages.change((items) => items.filter(({ id }) => id !== sesion.id));
      announce(t("sesiones.cerrada"));
    } catch (problem) {
      setProblem(problem);
    }
    return undefined;
  };

  const endAll = async () => {
    const sure = await confirm({
      title: t("sesiones.todas.titulo"),
      text: t("sesiones.todas.texto"),
      action: t("sesiones.todas"),
      danger: true,
    });
    if (!sure) return;
    try {
      await remove("/auth/yo/sesiones");
      olvidar();
    } catch (problem) {
      setProblem(problem);
    }
  };

  return html`<section class="card" aria-labelledby="sesiones">
    <h2 id="sesiones">${t("sesiones.titulo")}</h2>
    <${ProblemNote} problem=${problem ?? pages.problem} onRetry=${pages.problem ? pages.reload : undefined} />
    ${
      pages.items
        ? html`<ul class="sessions">
          ${pages.items.map(
            (sesion) => html`<${Sesion} key=${sesion.id} sesion=${sesion} onEnd=${() => end(sesion)} />`,
          )}
        </ul>`
        : html`<${Skeleton} rows=${2} />`
    }
    <${More} pages=${pages} />
    <${Button} kind="danger" onClick=${endAll}>${t("sesiones.todas")}<//>
  </section>`;
}

function Sesion({ sesion, onEnd }) {
  const name = device(sesion.dispositivo);
  return html`<li class="session" data-testid="sesion">
    <${Icon} name="dispositivo" />
    <span class="grow">
      <strong title=${sesion.dispositivo}>${name}</strong>
      ${sesion.actual && html` <span class="badge good"><${Icon} name="bien" />${t("sesiones.esta")}</span>`}
      <br />
      <span class="soft small">${t("sesiones.usada")} <${Time} value=${sesion.usada_en} relative /></span>
    </span>
    <${Button} kind="quiet" onClick=${onEnd}>${t("sesiones.cerrar")}<span class="visually-hidden"> ${name}</span><//>
  </li>`;
}

const BROWSERS = [
  ["Edge", /Edg\//],
  ["Opera", /OPR\//],
  ["Firefox", /Firefox\//],
  ["Chrome", /Chrome\//],
  ["Safari", /Safari\//],
];
const SYSTEMS = [
  ["Android", /Android/],
  ["iPhone", /iPhone/],
  ["iPad", /iPad/],
  ["Windows", /Windows/],
  ["macOS", /Mac OS/],
  ["Linux", /Linux/],
];

/** A `User-Agent` as people say it, "Firefox, Linux"; whatever is none of those we know, by its first word. */
function device(userAgent) {
  const found = [BROWSERS, SYSTEMS].map((known) => known.find(([, pattern]) => pattern.test(userAgent))?.[0]);
  return found.filter(Boolean).join(", ") || userAgent.split(/[\s/]/)[0] || t("sesiones.desconocida");
}
