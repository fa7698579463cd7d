/** The second factor: setting it up, its recovery codes, removing it. */

import { post } from "../lib/api.js";
import { saveAs } from "../lib/download.js";
import { Form } from "../lib/form.js";
import { html, useEffect, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { Button, Dialog, Icon, Note, ProblemNote, Skeleton, announce } from "../lib/ui.js";
import { Code, CurrentPassword } from "./cuenta-campos.js";

/** @param {{factor: ReturnType<typeof import("../lib/load.js").useLoad>}} props  of `GET /auth/yo/totp` */
export function SegundoFactor({ factor: { data, problem, reload } }) {
  const [open, setOpen] = useState(null); // which dialog
  const close = () => {
    setOpen(null);
    reload();
  };
  // Closed once the page says what came of it, so that the focus does not go to a button that is about to vanish.
  const done = async () => {
    await reload();
    setOpen(null);
  };
  const Opened = { activar: Enrol, codigos: NewCodes, quitar: Remove }[open];
  return html`<section class="card" aria-labelledby="factor">
    <div class="card-head">
      <h2 id="factor">${t("factor.titulo")}</h2>
      ${data?.activo && html`<span class="badge good"><${Icon} name="bien" />${t("factor.activo")}</span>`}
    </div>
    <p class="soft">${t("factor.texto")}</p>
    <${ProblemNote} problem=${problem} onRetry=${reload} />
    ${!data && !problem && html`<${Skeleton} rows=${1} />`}
    ${data?.activo === false &&
    html`<${Button} icon="llave" onClick=${() => setOpen("activar")}>${t("factor.activar")}<//>`}
    ${
      data?.activo &&
      html`
      <p>${t("factor.quedan", { n: data.codigos_restantes })}</p>
      <div class="actions">
        <${Button} onClick=${() => setOpen("codigos")}>${t("factor.nuevos")}<//>
        <${Button} kind="danger" onClick=${() => setOpen("quitar")}>${t("factor.quitar")}<//>
      </div>
    `
    }
    ${Opened && html`<${Opened} onClose=${close} onDone=${done} />`}
  </section>`;
}

/** Password, then the secret for the app, then a code that shows it arrived, then the recovery codes. */
function Enrol({ onClose, onDone }) {
  const [prepared, setPrepared] = useState(null);
  const [codes, setCodes] = useState(null);
  const prepare = async ({ password }) => setPrepared(await post("/auth/yo/totp", { password }));
  const prove = async ({ codigo }) => {
    const { codigos_recuperacion } = await post("/auth/yo/totp/confirmar", { codigo: codigo.trim() });
    setCodes(codigos_recuperacion);
  };
  return html`<${Dialog} title=${t("factor.activar")} onClose=${codes ? undefined : onClose}>
    ${
      codes
        ? html`<${Codes} codes=${codes} onDone=${onDone} />`
        : prepared
          ? html`<${Secret} key="secreto" ...${prepared} onProve=${prove} />`
          : html`<${Form} key="password" action=${t("accion.seguir")} onSend=${prepare}>
            ${(faults) => html`<${CurrentPassword} autofocus hint=${t("factor.porque")} error=${faults.password} />`}
          <//>`
    }
  <//>`;
}

function Secret({ secreto, uri, onProve }) {
  return html`<p>${t("factor.escanee")}</p>
    <${QrCode} text=${uri} />
    <p>
      <span class="soft">${t("factor.aMano")}</span><br />
      <code class="secret" data-testid="secreto">${secreto}</code>
    </p>
    <${Form} action=${t("factor.confirmar")} onSend=${onProve}>
      ${(faults) =>
        html`<${Code} autofocus inputmode="numeric" hint=${t("factor.pideCodigo")} error=${faults.codigo} />`}
    <//>`;
}

/** Black on white in either theme: that is what cameras read. */
function QrCode({ text }) {
  const [code, setCode] = useState(null);
  useEffect(() => {
    import("../vendor/uqr.js").then(({ encode }) => setCode(encode(text, { border: 2 })));
  }, [text]);
  if (!code) return html`<div class="qr"></div>`;
  const path = code.data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ""))).join("");
  const size = `0 0 ${code.size} ${code.size}`;
  return html`<svg class="qr" role="img" aria-label=${t("factor.qr")} viewBox=${size} shape-rendering="crispEdges">
    <path d=${path} />
  </svg>`;
}

function Codes({ codes, onDone }) {
  return html`<${Note} kind="warning" title=${t("codigos.guardelos")} live instead><p>${t("codigos.unaVez")}</p><//>
    <ul class="codes" data-testid="codigos">${codes.map((code) => html`<li key=${code}><code>${code}</code></li>`)}</ul>
    <div class="actions">
      <${Button} icon="descargar" onClick=${() => saveAs("comanda-codigos.txt", "text/plain", codes.join("\n"))}>
        ${t("codigos.descargar")}
      <//>
      <${Button} kind="primary" onClick=${onDone}>${t("codigos.guardados")}<//>
    </div>`;
}

function NewCodes({ onClose, onDone }) {
  const [codes, setCodes] = useState(null);
  const renew = async ({ codigo }) => {
    const { codigos_recuperacion } = await post("/auth/yo/totp/codigos", { codigo: codigo.trim() });
    setCodes(codigos_recuperacion);
  };
  return html`<${Dialog} title=${t("factor.nuevos")} onClose=${codes ? undefined : onClose}>
    ${
      codes
        ? html`<${Codes} codes=${codes} onDone=${onDone} />`
        : html`<p>${t("factor.nuevosTexto")}</p>
          <${Form} action=${t("factor.nuevos")} onSend=${renew}>
            ${(faults) => html`<${Code} autofocus error=${faults.codigo} />`}
          <//>`
    }
  <//>`;
}

function Remove({ onClose, onDone }) {
  const removeFactor = async ({ password, codigo }) => {
    await post("/auth/yo/totp/desactivar", { password, codigo: codigo.trim() });
    announce(t("factor.quitado"));
    await onDone();
  };
  return html`<${Dialog} title=${t("factor.quitar")} onClose=${onClose}>
    <${Form} action=${t("factor.quitar")} kind="danger" onSend=${removeFactor}>
      ${(faults) => html`
        <${CurrentPassword} error=${faults.password} />
        <${Code} error=${faults.codigo} />
      `}
    <//>
  <//>`;
}
