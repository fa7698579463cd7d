/** Logging in; afterwards, on to where the person wanted to go. */

import { request } from "../lib/api.js";
import { html, useEffect, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { LogIn } from "../lib/login.js";
import { available, use } from "../lib/passkeys.js";
import { go, link } from "../lib/router.js";
import { entrarConPasskey, usuario } from "../lib/session.js";
import { Button, Page, ProblemNote } from "../lib/ui.js";

export default function Entrar({ query }) {
  const inside = usuario.value !== null;
  useEffect(() => {
    if (inside) go(query.a ?? "/tienda", {}, { replace: true });
  }, [inside]);
  return html`<${Page} title=${t("entrar.titulo")} narrow>
    <div class="card">
      <${LogIn} extra=${html`<a href=${link("/olvidada")}>${t("entrar.olvidada")}</a>`} />
      ${available && html`<${ConPasskey} />`}
    </div>
    <p class="soft">${t("entrar.sinCuenta")} <a href=${link("/registro", query)}>${t("nav.registro")}</a></p>
  <//>`;
}

function ConPasskey() {
  const [state, setState] = useState({ busy: false, problem: null });
  const ask = async () => {
    setState({ busy: true, problem: null });
    try {
      const { body } = await request("POST", "/auth/sesion/passkey/opciones", { anonymous: true });
      await entrarConPasskey(await use(body));
    } catch (problem) {
      setState({ busy: false, problem });
    }
  };
  return html`<${ProblemNote} problem=${state.problem} />
    <${Button} icon="llave" busy=${state.busy} onClick=${ask}>${t("entrar.passkey")}<//>`;
}
