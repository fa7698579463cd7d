/** What a visitor sees: what this is, and the two doors. */

import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { link, location } from "../lib/router.js";
import { demora, resume } from "../lib/session.js";
import { Icon, Page, ProblemNote } from "../lib/ui.js";

const PROMISES = [
  ["tienda", "bienvenida.catalogo"],
  ["reloj", "bienvenida.reserva"],
  ["pedidos", "bienvenida.vivo"],
];

export default function Bienvenida() {
  const back = location.value.path === "/" ? {} : { a: location.value.path };
  return html`<${Page} title=${t("bienvenida.titulo")}>
    <${ProblemNote} problem=${demora.value} onRetry=${resume} />
    <div class="hero">
      <p class="lead">${t("bienvenida.texto")}</p>
      <div class="actions">
        <a class="button primary" href=${link("/registro", back)}>${t("nav.registro")}</a>
        <a class="button secondary" href=${link("/entrar", back)}>${t("nav.entrar")}</a>
      </div>
    </div>
    <ul class="promises">
      ${PROMISES.map(
        ([icon, text]) => html`<li class="card" key=${icon}>
          <${Icon} name=${icon} />
          <h2>${t(`${text}.titulo`)}</h2>
          <p class="soft">${t(`${text}.texto`)}</p>
        </li>`,
      )}
    </ul>
  <//>`;
}
