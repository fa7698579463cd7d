/** Where one is logged in. */

import { post, remove } from "../lib/api.js";
import { Form } from "../lib/form.js";
import { html, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { usePages } from "../lib/load.js";
import { olvidar, salir } from "../lib/session.js";
import { Button, Dialog, Icon, More, ProblemNote, Skeleton, Time, announce, confirm } from "../lib/ui.js";
import { CurrentPassword } from "./cuenta-campos.js";

/** Who logged in long ago has to say the password. */
const RECIENTE = "autenticacion-reciente-requerida";

export function Sesiones() {
  const pages = usePages("/auth/yo/sesiones", { limite: 10 });
  const [problem, setProblem] = useState(null);
  const [asking, setAsking] = useState(null); // { sesion }, what the password is asked for; all of them without one

  const ended = (sesion) => {
    if (sesion.actual) return olvidar();
    pages.change((items) => items.filter(({ id }) => id !== sesion.id));
    return announce(t("sesiones.cerrada"));
  };
  const refused = (problem, sesion) => (problem.slug === RECIENTE ? setAsking({ sesion }) : setProblem(problem));

  const end = async (sesion) => {
    setProblem(null);
    try {
      await remove(`/auth/yo/sesiones/${sesion.id}`);
      ended(sesion);
    } catch (problem) {
      if (problem.status === 404) ended(sesion); // from elsewhere, meanwhile
      else refused(problem, sesion);
    }
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
      refused(problem);
    }
  };

  const endWithPassword = async ({ password }) => {
    const { sesion } = asking;
    await post("/auth/yo/sesiones/terminar", { password, ...(sesion && { sesion: sesion.id }) });
    setAsking(null);
    if (sesion) ended(sesion);
    else await salir().catch(() => announce(t("salir.sinAviso"), "bad")); // what the password ended are all others
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
    ${
      asking &&
      html`<${Dialog} title=${t(asking.sesion ? "sesiones.una.titulo" : "sesiones.todas.titulo")} onClose=${() => setAsking(null)}>
        <p>${t("sesiones.porque")}</p>
        <${Form}
          action=${t(asking.sesion ? "sesiones.cerrar" : "sesiones.todas")} kind="danger" onSend=${endWithPassword}
        >
          ${(faults) => html`<${CurrentPassword} error=${faults.password} autofocus />`}
        <//>
      <//>`
    }
  </section>`;
}

function Sesion({ sesion, onEnd }) {
  const [busy, setBusy] = useState(false);
  const end = async () => {
    setBusy(true);
    await onEnd();
    setBusy(false);
  };
  const name = device(sesion.dispositivo);
  return html`<li class="session" data-testid="sesion">
    <${Icon} name="dispositivo" />
    <span class="grow">
      <strong title=${sesion.dispositivo}>${name}</strong>
      ${sesion.actual && html` <span class="badge good"><${Icon} name="bien" />${t("sesiones.esta")}</span>`}
      <br />
      <span class="soft small">${t("sesiones.usada")} <${Time} value=${sesion.usada_en} relative /></span>
    </span>
    <${Button} kind="quiet" busy=${busy} onClick=${end}>
      ${t("sesiones.cerrar")}<span class="visually-hidden"> ${name}</span>
    <//>
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
