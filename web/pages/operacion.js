/** How the services are doing, live. */

import "../lib/admin.js";
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { useLoad } from "../lib/load.js";
import { get } from "../lib/api.js";
import { repeat, SERVICIOS, useOperation } from "../lib/operation.js";
import { link } from "../lib/router.js";
import { Button, Note, Page, ProblemNote, Skeleton, Time, announce } from "../lib/ui.js";
import { sucesoText } from "./gestion-registro.js";
import { Circuitos, Diagrama, circuitosDe } from "./operacion-diagrama.js";
import { Graficos } from "./operacion-graficos.js";
import { Ahora, Colas } from "./operacion-tablas.js";

const SECURITY_MS = 10_000;

export default function Operacion() {
  const [paused, setPaused] = useState(false);
  const { documents, problems, history } = useOperation(paused);
  const toggle = html`<${Button} onClick=${() => setPaused(!paused)}>
    ${t(paused ? "operacion.seguir" : "operacion.pausar")}
  <//>`;
  return html`<${Page} title=${t("nav.operacion")} actions=${toggle}>
    ${
      documents
        ? html`<${Live} documents=${documents} problems=${problems} history=${history} paused=${paused} />`
        : html`<${Skeleton} rows=${5} />`
    }
  <//>`;
}

function Live({ documents, problems, history, paused }) {
  useNews(documents);
  return html`
    <${State} documents=${documents} problems=${problems} paused=${paused} />
    <div class="live-top">
      <section class="card" aria-labelledby="circuitos">
        <h2 id="circuitos">${t("operacion.circuitos")}</h2>
        <${Diagrama} documents=${documents} />
        <${Circuitos} documents=${documents} />
      </section>
      <div class="stack">
        <${Ahora} documents=${documents} />
        <${Security} paused=${paused} />
      </div>
    </div>
    <${Graficos} documents=${documents} history=${history} />
    <${Colas} documents=${documents} />
  `;
}

/** All well, or who does not answer. */
function State({ documents, problems, paused }) {
  const down = SERVICIOS.filter((servicio) => !documents[servicio]);
  if (paused) return html`<${Note} live><p>${t("operacion.pausada")}</p><//>`;
  if (!down.length) return null;
  const nombres = down.map((name) => t(`nombre.${name}`)).join(", ");
  const why = ({ status, slug }) => html`<code>${status || ""} ${slug}</code>`;
  return html`<${Note} kind="bad" live title=${t("operacion.caidos", { nombres })}>
    ${down.map((name) => html`<p key=${name}>${t(`nombre.${name}`)}: ${why(problems[name])}</p>`)}
  <//>`;
}

/** Says when a circuit opens or closes, also to whoever looks elsewhere on the page. */
function useNews(documents) {
  const before = useRef(null);
  useEffect(() => {
    const states = new Map(circuitosDe(documents).map(({ de, nombre, estado }) => [`${de} ${nombre}`, estado]));
    for (const [key, estado] of states) {
      const [de, a] = key.split(" ").map((name) => t(`nombre.${name}`));
      const was = before.current?.get(key);
      if (was && estado && was !== estado) {
        announce(t(`circuito.cambio.${estado}`, { de, a }), estado === "CERRADO" ? "good" : "bad");
      }
      if (!estado) states.set(key, was); // not known for a moment
    }
    before.current = states;
  }, [documents]);
}

function Security({ paused }) {
  const { data, problem, reload } = useLoad((signal) => get("/auth/auditoria", { limite: 6 }, { signal }), []);
  useEffect(() => {
    if (paused) return undefined;
    const stop = new AbortController();
    let first = true; // the hook has read it already
    const ended = repeat(async () => (first ? (first = false) : await reload()), SECURITY_MS, stop.signal);
    return () => (stop.abort(), ended());
  }, [paused]);
  return html`<section class="card" aria-labelledby="seguridad">
    <div class="card-head">
      <h2 id="seguridad">${t("operacion.seguridad")}</h2>
      <a href=${link("/gestion/registro", { servicio: "auth" })}>${t("operacion.registro")}</a>
    </div>
    <${ProblemNote} problem=${problem} />
    <ul class="events" data-testid="seguridad">
      ${data?.elementos.map(
        ({ id, en, suceso, origen }) => html`<li key=${id}>
          <span class="grow">${sucesoText(suceso)}</span>
          <code class="soft">${origen}</code>
          <span class="soft small"><${Time} value=${en} relative /></span>
        </li>`,
      )}
    </ul>
  </section>`;
}
