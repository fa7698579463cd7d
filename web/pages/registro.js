/** A new account; who makes one is logged in with it. */

import { post } from "../lib/api.js";
import { Field, Form } from "../lib/form.js";
import { html, useEffect } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { go, link } from "../lib/router.js";
import { entrar, usuario } from "../lib/session.js";
import { Page, announce } from "../lib/ui.js";
import { NewPassword } from "./cuenta-campos.js";

export default function Registro({ query }) {
  const inside = usuario.value !== null;
  useEffect(() => {
    if (inside) go(query.a ?? "/tienda", {}, { replace: true });
  }, [inside]);

  const register = async ({ email, nombre, password }) => {
    await post("/auth/usuarios", { email: email.trim(), nombre: nombre.trim(), password }, { anonymous: true });
    await entrar({ email: email.trim(), password });
    announce(t("registro.hecho"));
  };
  return html`<${Page} title=${t("registro.titulo")} narrow>
    <div class="card">
      <${Form} action=${t("registro.accion")} onSend=${register}>
        ${(faults) => html`
          <${Field}
            label=${t("campo.email")} name="email" type="email" autocomplete="email" error=${faults.email} required
          />
          <${Field} label=${t("campo.nombreOpcional")} name="nombre" autocomplete="name" error=${faults.nombre} />
          <${NewPassword} name="password" label=${t("campo.password")} error=${faults.password} />
        `}
      <//>
    </div>
    <p class="soft">${t("registro.conCuenta")} <a href=${link("/entrar", query)}>${t("nav.entrar")}</a></p>
  <//>`;
}
