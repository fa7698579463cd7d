/** Modal dialogs, by the element that browsers have for it: focus stays inside, Escape closes, focus goes back. */

import { html, signal, useEffect, useId, useRef } from "./html.js";
import { t } from "./i18n.js";
import { Icon } from "./icons.js";

/**
 * @param {{title: string, onClose: () => void, wide?: boolean, children: any}} props  rendered means open
 */
export function Dialog({ title, onClose, wide = false, children }) {
  const element = useRef(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  return html`<dialog
    ref=${element}
    class=${wide ? "wide" : undefined}
    aria-labelledby=${id}
    onCancel=${(event) => {
      event.preventDefault();
      onClose();
    }}
  >
    <div class="dialog-head">
      <h2 id=${id}>${title}</h2>
      <button type="button" class="icon-button" aria-label=${t("accion.cerrar")} onClick=${onClose}>
        <${Icon} name="cerrar" />
      </button>
    </div>
    ${children}
  </dialog>`;
}

const question = signal(null);

/**
 * Asks before something that cannot be undone.
 *
 * @param {{title: string, text: string, action: string, danger?: boolean}} asked  action: what the button says
 * @returns {Promise<boolean>}
 */
export function confirm(asked) {
  return new Promise((resolve) => {
    question.value = { ...asked, resolve };
  });
}

/** Stands once in the layout; shows what `confirm` asks. */
export function Confirmation() {
  const asked = question.value;
  if (!asked) return null;
  const answer = (yes) => {
    question.value = null;
    asked.resolve(yes);
  };
  return html`<${Dialog} title=${asked.title} onClose=${() => answer(false)}>
    <p>${asked.text}</p>
    <div class="actions end">
      <button type="button" class="button secondary" onClick=${() => answer(false)}>${t("accion.no")}</button>
      <button type="button" class="button ${asked.danger ? "danger" : "primary"}" onClick=${() => answer(true)}>
        ${asked.action}
      </button>
    </div>
  <//>`;
}
