/** Fields that several forms about accounts have. */

import { Field, PasswordField } from "../lib/form.js";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";

/** The password that one has. */
export function CurrentPassword({ name = "password", label = t("campo.password"), ...rest }) {
  return html`<${PasswordField} name=${name} label=${label} autocomplete="current-password" required ...${rest} />`;
}

/** A password to be chosen, with the rules that it has to meet. */
export function NewPassword({ label = t("campo.passwordNueva"), ...rest }) {
  return html`<${PasswordField}
    label=${label} autocomplete="new-password" hint=${t("password.reglas")} required ...${rest}
  />`;
}

/** A code of the second factor, of the app or a recovery code. */
export function Code({ hint = t("factor.cualquiera"), ...rest }) {
  return html`<${Field}
    label=${t("factor.codigo")} name="codigo" autocomplete="one-time-code" hint=${hint} required ...${rest}
  />`;
}
