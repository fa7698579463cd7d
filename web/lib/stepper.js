/** How many: one less, the figure, one more. */

import { MAX_CANTIDAD } from "./cart.js";
import { html } from "./html.js";
import { t } from "./i18n.js";
import { Icon } from "./icons.js";

/**
 * @param {{value: number, of: string, max?: number, disabled?: boolean, onChange: (value: number) => void}} props
 *   of: what is counted; max: what there is
 */
export function Stepper({ value, of, max = MAX_CANTIDAD, disabled = false, onChange }) {
  const step = (icon, by, label, off) => html`<button
    type="button"
    class="icon-button"
    aria-label=${t(label, { nombre: of })}
    disabled=${disabled || off}
    onClick=${() => onChange(value + by)}
  >
    <${Icon} name=${icon} />
  </button>`;
  return html`<div class="stepper" role="group" aria-label=${t("cantidad.de", { nombre: of })}>
    ${step("menos", -1, "cantidad.menos", false)}
    <input
      class="figures"
      inputmode="numeric"
      aria-label=${t("cantidad.de", { nombre: of })}
      value=${value}
      disabled=${disabled}
      onChange=${(event) => {
        const typed = /^\d+$/.test(event.target.value.trim()) ? Number(event.target.value) : value;
        event.target.value = typed;
        if (typed !== value) onChange(typed);
      }}
    />
    ${step("mas", 1, "cantidad.mas", value >= max)}
  </div>`;
}
