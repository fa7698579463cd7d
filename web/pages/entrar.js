/** Logging in; afterwards, on to where the person wanted to go. */

import { html, useEffect } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { LogIn } from "../lib/login.js";
import { go, link } from "../lib/router.js";
import { usuario } from "../lib/session.js";
import { Page } from "../lib/ui.js";

export default function Entrar({ query }) {
  const inside = usuario.value !== null;
  useEffect(() => {
    if (inside) go(query.a ?? "/tienda", {}, { replace: true });
  }, [inside]);
  return html`<${Page} title=${t("entrar.titulo")} narrow>
    <div class="card">
      <${LogIn} extra=${html`<a href=${link("/olvidada")}>${t("entrar.olvidada")}</a>`} />
    </div>
    <p class="soft">${t("entrar.sinCuenta")} <a href=${link("/registro", query)}>${t("nav.registro")}</a></p>
  <//>`;
}
