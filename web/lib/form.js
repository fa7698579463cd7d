/** Forms: fields with label, hint and error tied together, and one way of sending them. */

import { html, useEffect, useId, useRef, useState } from "./html.js";
import { has, t } from "./i18n.js";
import { Button, ProblemNote } from "./ui.js";

/**
 * An input with its label. Further props go to the input (`as`: "textarea" or "select" instead).
 *
 * @param {{label: string, name: string, hint?: any, error?: string, as?: string, autofocus?: boolean}} props
 */
export function Field({ label, name, hint, error, as = "input", autofocus = false, children, ...rest }) {
  const id = useId();
  const input = useRef(null);
  useEffect(() => {
    if (autofocus) input.current.focus();
  }, []);
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <${as}
      ref=${input}
      id=${id}
      name=${name}
      autofocus=${autofocus}
      aria-describedby=${described || undefined}
      aria-invalid=${error ? "true" : undefined}
      ...${rest}
    >${children}<//>
    ${hint && html`<div class="hint" id="${id}-hint">${hint}</div>`}
    ${error && html`<p class="field-error" id="${id}-error">${error}</p>`}
  </div>`;
}

/** @param {{label: any, name: string, checked?: boolean}} props */
export function Check({ label, ...rest }) {
  return html`<label class="check"><input type="checkbox" ...${rest} /><span>${label}</span></label>`;
}

/** A password that can be looked at while it is typed. */
export function PasswordField(props) {
  const [shown, setShown] = useState(false);
  return html`<div class="password">
    <${Field} ...${props} type=${shown ? "text" : "password"} spellcheck=${false} autocapitalize="off" />
    <button type="button" class="peek" aria-pressed=${shown} onClick=${() => setShown(!shown)}>
      ${t(shown ? "password.ocultar" : "password.mostrar")}
      <span class="visually-hidden">${props.label}</span>
    </button>
  </div>`;
}

/**
 * A form that sends its fields: shows what is missing or what the service objects to at each field, the rest above,
 * and moves the focus to the first fault.
 *
 * @param {object} props
 * @param {(values: Record<string, string>) => Promise<any>} props.onSend
 * @param {string} props.action  what the button says
 * @param {(faults: Record<string, string>) => any} props.children  the fields, given the message of each
 * @param {(values: Record<string, string>) => Record<string, string>} [props.check]  further faults known without asking
 * @param {string} [props.kind]  of the button
 * @param {any} [props.extra]  beside the button
 */
export function Form({ onSend, action, children, check, kind = "primary", extra }) {
  const form = useRef(null);
  const [state, setState] = useState(WELL);

  useEffect(() => {
    form.current.querySelector("[aria-invalid=true]")?.focus();
  }, [state.faults]);

  const send = async (event) => {
    event.preventDefault();
    if (state.busy) return;
    const values = Object.fromEntries(new FormData(form.current));
    const faults = { ...missing(form.current), ...check?.(values) };
    if (Object.keys(faults).length) return setState({ ...WELL, faults });
    setState({ ...WELL, busy: true });
    try {
      await onSend(values);
      setState(WELL);
    } catch (problem) {
      setState({ ...WELL, ...sorted(problem, form.current) });
    }
  };

  return html`<form ref=${form} class="form" novalidate onSubmit=${send}>
    <${ProblemNote} problem=${state.problem}>
      ${state.others.map(([campo, message]) => html`<p key=${campo}>${campo}: ${message}</p>`)}
    <//>
    ${children(state.faults)}
    <div class="actions">
      <${Button} type="submit" kind=${kind} busy=${state.busy}>${action}<//>
      ${extra}
    </div>
  </form>`;
}

const WELL = { busy: false, problem: null, others: [], faults: {} };

/** What has to be filled in and is not. */
function missing(form) {
  const empty = [...form.elements].filter(({ validity }) => validity?.valueMissing);
  return Object.fromEntries(empty.map(({ name }) => [name, t("mensaje.Falta.")]));
}

/** What belongs to a field of that form, and what to none. */
export function sorted(problem, form) {
  if (problem.slug !== "datos-invalidos") return { problem };
  const said = Object.entries(problem.fields).map(([field, message]) => [field, translated(message)]);
  const faults = Object.fromEntries(said.filter(([field]) => form.elements[field]));
  const others = said.filter(([field]) => !form.elements[field]);
  return { problem: others.length || !said.length ? problem : null, others, faults };
}

/** What has something of the case in it. */
const TEMPLATES = [
  "Debe tener {n} caracteres o más.",
  "Debe tener {n} caracteres o menos.",
  "Contiene «{palabra}» y lo demás es fácil de adivinar: añada otras palabras, que no tengan que ver con la tienda ni con usted.",
];

/** The services speak Spanish; what they say most has a text in every language. */
export function translated(message) {
  if (has(`mensaje.${message}`)) return t(`mensaje.${message}`);
  for (const template of TEMPLATES) {
    const [before, name, after] = template.split(/[{}]/);
    if (!message.startsWith(before) || !message.endsWith(after)) continue;
    return t(`mensaje.${template}`, Object.fromEntries([[name, message.slice(before.length, -after.length)]]));
  }
  return message;
}
