/** Asks for a link to set a new password. The answer tells nobody whether there is such an account. */

import { post } from "../lib/api.js";
import { Field, Form } from "../lib/form.js";
import { html, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { link } from "../lib/router.js";
import { Note, Page } from "../lib/ui.js";

export default function Olvidada() {
  const [sentTo, setSentTo] = useState(null);
  const ask = async ({ email }) => {
    await post("/auth/password/olvidada", { email: email.trim() }, { anonymous: true });
    setSentTo(email.trim());
  };
  return html`<${Page} title=${t("olvidada.titulo")} back=${link("/entrar")} narrow>
    ${
      sentTo
        ? html`<${Note} kind="good" title=${t("olvidada.enviado")} live instead>
            <p>${t("olvidada.mire", { email: sentTo })}</p>
          <//>`
        : html`<div class="card">
          <p>${t("olvidada.texto")}</p>
          <${Form} action=${t("olvidada.accion")} onSend=${ask}>
            ${(faults) => html`<${Field}
              label=${t("campo.email")} name="email" type="email" autocomplete="email" error=${faults.email} required
            />`}
          <//>
        </div>`
    }
  <//>`;
}
