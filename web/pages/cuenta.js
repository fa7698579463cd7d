/** One's account: who one is, how one logs in, where one is logged in, and what is kept. */

import { get, patch, post } from "../lib/api.js";
import { Field, Form } from "../lib/form.js";
import { html, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { useLoad } from "../lib/load.js";
import { identify, usuario } from "../lib/session.js";
import { Button, Icon, Page, ProblemNote, announce } from "../lib/ui.js";
import { Code, CurrentPassword, NewPassword } from "./cuenta-campos.js";
import { Datos } from "./cuenta-datos.js";
import { SegundoFactor } from "./cuenta-factor.js";
import { Passkeys } from "./cuenta-passkeys.js";
import { Sesiones } from "./cuenta-sesiones.js";

export default function Cuenta() {
  const factor = useLoad((signal) => get("/auth/yo/totp", {}, { signal }), []);
  const [asked, setAsked] = useState(false); // for a code, by a service that knew more than the page did
  const conFactor = factor.data?.activo ?? asked;
  const onObjection = (problem) => {
    if (problem.fields?.codigo && !conFactor) {
      setAsked(true);
      factor.reload();
    }
    throw problem;
  };
  return html`<${Page} title=${t("cuenta.titulo")} narrow>
    <${Perfil} />
    <${Password} conFactor=${conFactor} onObjection=${onObjection} />
    <${SegundoFactor} factor=${factor} />
    <${Passkeys} conFactor=${conFactor} onObjection=${onObjection} />
    <${Sesiones} />
    <${Datos} conFactor=${conFactor} onObjection=${onObjection} />
  <//>`;
}

function Perfil() {
  const { email, nombre, rol, email_verificado } = usuario.value;
  const rename = async (values) => {
    await patch("/auth/yo", { nombre: values.nombre.trim() });
    await identify();
    announce(t("cuenta.guardado"));
  };
  return html`<section class="card" aria-labelledby="perfil">
    <h2 id="perfil">${t("perfil.titulo")}</h2>
    <div class="identity">
      <span class="avatar" aria-hidden="true">${(nombre || email).slice(0, 1).toUpperCase()}</span>
      <div>
        <p><strong>${email}</strong></p>
        <p class="chips">
          <span class="badge neutral"><${Icon} name="cuenta" />${t(`rol.${rol}`)}</span>
          ${
            email_verificado
              ? html`<span class="badge good"><${Icon} name="bien" />${t("perfil.verificado")}</span>`
              : html`<span class="badge warning"><${Icon} name="aviso" />${t("perfil.sinVerificar")}</span>`
          }
        </p>
      </div>
    </div>
    ${!email_verificado && html`<${Verify} />`}
    <${Form} action=${t("accion.guardar")} kind="secondary" onSend=${rename}>
      ${(faults) => html`<${Field}
        label=${t("campo.nombre")} name="nombre" autocomplete="name" defaultValue=${nombre} error=${faults.nombre}
      />`}
    <//>
  </section>`;
}

function Verify() {
  const [state, setState] = useState({ busy: false, problem: null });
  const ask = async () => {
    setState({ busy: true, problem: null });
    try {
      await post("/auth/yo/email/verificacion");
      announce(t("perfil.enlaceEnviado"));
      setState({ busy: false, problem: null });
    } catch (problem) {
      setState({ busy: false, problem });
    }
  };
  return html`<${ProblemNote} problem=${state.problem} />
    <${Button} kind="quiet" busy=${state.busy} onClick=${ask}>${t("perfil.pedirEnlace")}<//>`;
}

function Password({ conFactor, onObjection }) {
  const [round, setRound] = useState(0); // a changed password leaves empty fields
  const change = async ({ actual, nueva, codigo }) => {
    await post("/auth/yo/password", { actual, nueva, ...(conFactor && { codigo: codigo.trim() }) }).catch(onObjection);
    announce(t("password.cambiada"));
    setRound(round + 1);
  };
  return html`<section class="card" aria-labelledby="password">
    <h2 id="password">${t("password.titulo")}</h2>
    <p class="soft">${t("password.cierra")}</p>
    <${Form} key=${round} action=${t("password.accion")} kind="secondary" onSend=${change}>
      ${(faults) => html`
        <${CurrentPassword} name="actual" label=${t("campo.passwordActual")} error=${faults.actual} />
        <${NewPassword} name="nueva" error=${faults.nueva} />
        ${conFactor && html`<${Code} error=${faults.codigo} />`}
      `}
    <//>
  </section>`;
}
