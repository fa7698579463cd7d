/** Short messages that are shown for a while and read out: "Saved", "Added to the cart". */

import { html, signal } from "./html.js";
import { t } from "./i18n.js";
import { Icon } from "./icons.js";

const SHOWN_MS = 5_000;

const messages = signal([]);
let count = 0;

/**
 * @param {string} text
 * @param {"good" | "bad" | "unseen"} [kind]  unseen: read out only, where the eye needs no word
 */
export function announce(text, kind = "good") {
  const id = (count += 1);
  messages.value = [...messages.value.slice(-1), { id, text, kind }];
  setTimeout(() => dismiss(id), SHOWN_MS);
}

/** Stands once in the layout, from the start: a live region that appears with its text is not read. */
export function Announcements() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${messages.value.map(
      ({ id, text, kind }) => html`<div class=${kind === "unseen" ? "visually-hidden" : `toast ${kind}`} key=${id}>
        <${Icon} name=${kind === "bad" ? "aviso" : "bien"} />
        <span>${text}</span>
        <button type="button" class="icon-button" aria-label=${t("accion.cerrar")} onClick=${() => dismiss(id)}>
          <${Icon} name="cerrar" />
        </button>
      </div>`,
    )}
  </div>`;
}

function dismiss(id) {
  messages.value = messages.value.filter((message) => message.id !== id);
}
