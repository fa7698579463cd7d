/** Where the link of a mail leads that verifies an address. It takes a click: programs that read mails follow links. */

import { post } from "../lib/api.js";
import { Form } from "../lib/form.js";
import { html, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { useMailToken } from "../lib/mail-token.js";
import { link } from "../lib/router.js";
import { identify, usuario } from "../lib/session.js";
import { Note, Page } from "../lib/ui.js";

export default function Verificar({ query }) {
  const token = useMailToken(query);
  const [done, setDone] = useState(false);
  const verify = async () => {
    await post("/auth/email/verificar", { token }, { anonymous: true });
    setDone(true);
    if (usuario.peek()) await identify();
  };
  const actions = html`<a class="button primary" href=${link("/tienda")}>${t("carrito.aLaTienda")}</a>`;
  return html`<${Page} title=${t("verificar.titulo")} narrow>
    ${
      done
        ? html`<${Note} kind="good" title=${t("verificar.hecho")} actions=${actions} live instead />`
        : html`<div class="card">
          <p>${t("verificar.texto")}</p>
          <${Form} action=${t("verificar.accion")} onSend=${verify}>${() => null}<//>
        </div>`
    }
  <//>`;
}
