/** Logging in: password, then the second factor of who has one. On its page, and in place when a session ends. */

import { Dialog } from "./dialog.js";
import { Field, Form, PasswordField } from "./form.js";
import { html, useState } from "./html.js";
import { t } from "./i18n.js";
import { objection } from "./problems.js";
import { entrar, olvidar, usuario } from "./session.js";
import { Button } from "./ui.js";

/** @param {{email?: string, fixed?: boolean, onDone?: () => void, extra?: any}} props  fixed: nobody else may log in */
export function LogIn({ email = "", fixed = false, onDone, extra }) {
  const [pending, setPending] = useState(null); // the mfa_token of a password that was right
  const attempt = async (datos) => {
    try {
      await entrar(datos);
      onDone?.();
    } catch (problem) {
      if (problem.slug !== "segundo-factor-requerido") throw problem;
      setPending(problem.extras.mfa_token);
    }
  };
  if (pending) {
    return html`<${SecondFactor}
      key="codigo"
      onSend=${(code) => attempt({ mfa_token: pending, ...code })}
      onBack=${() => setPending(null)}
    />`;
  }
  return html`<${Form}
    key="password"
    action=${t("entrar.accion")}
    onSend=${({ email, password }) => attempt({ email, password })}
    extra=${extra}
  >
    ${(faults) => html`
      <${Field}
        label=${t("campo.email")} name="email" type="email" autocomplete="username" defaultValue=${email}
        readonly=${fixed} error=${faults.email} required
      />
      <${PasswordField}
        label=${t("campo.password")} name="password" autocomplete="current-password" error=${faults.password}
        autofocus=${fixed} required
      />
    `}
  <//>`;
}

function SecondFactor({ onSend, onBack }) {
  const [recovery, setRecovery] = useState(false);
  const name = recovery ? "codigo_de_recuperacion" : "codigo";
  const send = (values) =>
    onSend({ [name]: values[name].trim() }).catch((problem) => {
      throw problem.slug === "credenciales-incorrectas" ? objection(name, t("factor.incorrecto")) : problem;
    });
  return html`<${Form}
    action=${t("entrar.accion")}
    onSend=${send}
    extra=${html`<${Button} kind="quiet" onClick=${onBack}>${t("accion.volver")}<//>`}
  >
    ${(faults) => html`
      <p>${t(recovery ? "factor.pideRecuperacion" : "factor.pideCodigo")}</p>
      <${Field}
        key=${name} label=${t(recovery ? "factor.codigoRecuperacion" : "factor.codigo")} name=${name}
        error=${faults[name] ?? faults.codigo} autocomplete=${recovery ? "off" : "one-time-code"}
        inputmode=${recovery ? "text" : "numeric"} autofocus required
      />
      <div>
        <${Button} kind="quiet" onClick=${() => setRecovery(!recovery)}>
          ${t(recovery ? "factor.usarCodigo" : "factor.usarRecuperacion")}
        <//>
      </div>
    `}
  <//>`;
}

/** Over whatever the person was doing, which goes on afterwards. */
export function LogInAgain() {
  return html`<${Dialog} title=${t("caducada.titulo")}>
    <p>${t("caducada.texto")}</p>
    <${LogIn}
      email=${usuario.value?.email}
      fixed
      extra=${html`<${Button} kind="quiet" onClick=${olvidar}>${t("caducada.salir")}<//>`}
    />
  <//>`;
}
