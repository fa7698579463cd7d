/** Where the link of a mail leads that sets a new password. */

import { post } from "../lib/api.js";
import { Form } from "../lib/form.js";
import { html, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { useMailToken } from "../lib/mail-token.js";
import { link } from "../lib/router.js";
import { olvidar } from "../lib/session.js";
import { Note, Page } from "../lib/ui.js";
import { NewPassword } from "./cuenta-campos.js";

export default function Restablecer({ query }) {
  const token = useMailToken(query);
  const [done, setDone] = useState(false);
  const set = async ({ nueva }) => {
    await post("/auth/password/restablecer", { token, nueva }, { anonymous: true });
    olvidar(); // every session has ended, this browser's too
    setDone(true);
  };
  const actions = html`<a class="button primary" href=${link("/entrar")}>${t("nav.entrar")}</a>`;
  return html`<${Page} title=${t("restablecer.titulo")} narrow>
    ${
      done
        ? html`<${Note} kind="good" title=${t("restablecer.hecho")} actions=${actions} live instead>
            <p>${t("restablecer.entre")}</p>
          <//>`
        : html`<div class="card">
          <${Form}
            action=${t("restablecer.accion")}
            onSend=${set}
            extra=${html`<a href=${link("/olvidada")}>${t("restablecer.otro")}</a>`}
          >
            ${(faults) => html`<${NewPassword} name="nueva" error=${faults.nueva} />`}
          <//>
        </div>`
    }
  <//>`;
}
