/** Passkeys: adding one, seeing them, removing one. */

import { get, post, remove } from "../lib/api.js";
import { Field, Form } from "../lib/form.js";
import { html, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { useLoad } from "../lib/load.js";
import { available, create } from "../lib/passkeys.js";
import { Button, Dialog, Icon, ProblemNote, Skeleton, Time, announce, confirm } from "../lib/ui.js";
import { Code, CurrentPassword } from "./cuenta-campos.js";

/** @param {{conFactor: boolean, onObjection: (problem: any) => never}} props */
export function Passkeys({ conFactor, onObjection }) {
  const { data, problem, reload } = useLoad((signal) => get("/auth/yo/passkeys", {}, { signal }), []);
  const [adding, setAdding] = useState(false);
  const [failed, setFailed] = useState(null);
  const passkeys = data?.elementos;
  if (!available && !passkeys?.length) return null;

  const drop = async (passkey) => {
    const sure = await confirm({
      title: t("passkeys.quitar.titulo"),
      text: t("passkeys.quitar.texto", { nombre: passkey.nombre }),
      action: t("passkeys.quitar"),
      danger: true,
    });
    if (!sure) return;
    setFailed(null);
    try {
      await remove(`/auth/yo/passkeys/${passkey.id}`);
      announce(t("passkeys.quitada"));
      reload();
    } catch (problem) {
      setFailed(problem);
    }
  };
  const close = () => {
    setAdding(false);
    reload();
  };

  return html`<section class="card" aria-labelledby="passkeys">
    <h2 id="passkeys">${t("passkeys.titulo")}</h2>
    <p class="soft">${t("passkeys.texto")}</p>
    <${ProblemNote} problem=${failed ?? problem} onRetry=${problem ? reload : undefined} />
    ${!passkeys && !problem && html`<${Skeleton} rows=${1} />`}
    ${
      passkeys?.length > 0 &&
      html`<ul class="sessions">
        ${passkeys.map(
          (passkey) => html`<${Passkey} key=${passkey.id} passkey=${passkey} onRemove=${() => drop(passkey)} />`,
        )}
      </ul>`
    }
    ${available && html`<${Button} icon="llave" onClick=${() => setAdding(true)}>${t("passkeys.crear")}<//>`}
    ${adding && html`<${Add} conFactor=${conFactor} onObjection=${onObjection} onClose=${close} />`}
  </section>`;
}

function Passkey({ passkey: { nombre, creada_en, usada_en }, onRemove }) {
  return html`<li class="session" data-testid="passkey">
    <${Icon} name="llave" />
    <span class="grow">
      <strong>${nombre}</strong><br />
      <span class="soft small">
        ${t(usada_en ? "passkeys.usada" : "passkeys.creada")} <${Time} value=${usada_en ?? creada_en} relative />
      </span>
    </span>
    <${Button} kind="quiet" onClick=${onRemove}>
      ${t("passkeys.quitar")}<span class="visually-hidden"> ${nombre}</span>
    <//>
  </li>`;
}

/** Password, then what the browser asks for, then it is registered. */
function Add({ conFactor, onObjection, onClose }) {
  const add = async ({ nombre, password, codigo }) => {
    const body = { password, ...(conFactor && { codigo: codigo.trim() }) };
    const credencial = await create(await post("/auth/yo/passkeys/opciones", body).catch(onObjection));
    await post("/auth/yo/passkeys", { nombre: nombre.trim(), credencial });
    announce(t("passkeys.creada.aviso"));
    onClose();
  };
  return html`<${Dialog} title=${t("passkeys.crear")} onClose=${onClose}>
    <${Form} action=${t("accion.seguir")} onSend=${add}>
      ${(faults) => html`
        <${Field}
          label=${t("campo.nombre")} name="nombre" hint=${t("passkeys.nombre")} maxlength="100" autocomplete="off"
          error=${faults.nombre} autofocus required
        />
        <${CurrentPassword} hint=${t("factor.porque")} error=${faults.password} />
        ${conFactor && html`<${Code} error=${faults.codigo} />`}
      `}
    <//>
  <//>`;
}
