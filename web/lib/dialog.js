/** Modal dialogs, by the element that browsers have for it: focus stays inside, Escape closes, focus goes back. */

import { computed, effect, html, signal, useEffect, useId, useRef } from "./html.js";
import { t } from "./i18n.js";
import { Icon } from "./icons.js";
import { location } from "./router.js";
import { usuario } from "./session.js";

/**
 * Stays while something in it is being sent: what comes of that is shown here.
 *
 * @param {{title: string, onClose?: () => void, wide?: boolean, children: any}} props  rendered means open; without
 *   onClose only what is in it closes it
 */
export function Dialog({ title, onClose, wide = false, children }) {
  const element = useRef(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    const open = () => dialog.showModal();
    open();
    dialog.addEventListener("close", open); // a second Escape is not held off by what the first was told
    return () => {
      dialog.removeEventListener("close", open);
      dialog.close();
      const away = before === document.body || !before?.isConnected;
      (away ? document.querySelector("h1") : before)?.focus();
    };
  }, []);
  const leave = () => element.current.querySelector("[aria-busy=true]") || onClose?.();
  return html`<dialog
    ref=${element}
    class=${wide ? "wide" : undefined}
    aria-labelledby=${id}
    closedby=${onClose ? undefined : "none"}
    onCancel=${(event) => {
      event.preventDefault();
      leave();
    }}
  >
    <div class="dialog-head">
      <h2 id=${id}>${title}</h2>
      ${
        onClose &&
        html`<button type="button" class="icon-button" aria-label=${t("accion.cerrar")} onClick=${leave}>
          <${Icon} name="cerrar" />
        </button>`
      }
    </div>
    ${children}
  </dialog>`;
}

const question = signal(null);
const asker = computed(() => `${location.value.path} ${usuario.value?.id}`);

/** Who went to another page, or is somebody else now, has not said yes. */
effect(() => {
  asker.value;
  answer(false);
});

function answer(yes) {
  const asked = question.peek();
  question.value = null;
  asked?.resolve(yes);
}

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
