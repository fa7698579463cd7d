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
 * A form that sends its fields: shows what the service objects to at each field, the rest above, and moves the focus
 * to the first fault.
 *
 * @param {object} props
 * @param {(values: Record<string, string>) => Promise<any>} props.onSend
 * @param {string} props.action  what the button says
 * @param {(faults: Record<string, string>) => any} props.children  the fields, given the message of each
 * @param {(values: Record<string, string>) => Record<string, string>} [props.check]  faults known without asking
 * @param {string} [props.kind]  of the button
 * @param {any} [props.extra]  beside the button
 */
export function Form({ onSend, action, children, check, kind = "primary", extra }) {
  const form = useRef(null);
  const [state, setState] = useState({ busy: false, problem: null, faults: {} });

  useEffect(() => {
    form.current.querySelector("[aria-invalid=true]")?.focus();
  }, [state.faults]);

  const send = async (event) => {
    event.preventDefault();
    if (state.busy) return;
    const values = Object.fromEntries(new FormData(form.current));
    const faults = check?.(values) ?? {};
    if (Object.keys(faults).length) return setState({ busy: false, problem: null, faults });
    setState({ busy: true, problem: null, faults: {} });
    try {
      await onSend(values);
      setState({ busy: false, problem: null, faults: {} });
    } catch (problem) {
      setState({ busy: false, ...sorted(problem, form.current) });
    }
  };

  return html`<form ref=${form} class="form" novalidate onSubmit=${send}>
    <${ProblemNote} problem=${state.problem} />
    ${children(state.faults)}
    <div class="actions">
      <${Button} type="submit" kind=${kind} busy=${state.busy}>${action}<//>
      ${extra}
    </div>
  </form>`;
}

/** What belongs to a field of that form, and what to none. */
function sorted(problem, form) {
  if (problem.slug !== "datos-invalidos") return { problem, faults: {} };
  const named = Object.entries(problem.fields).filter(([field]) => form.elements[field]);
  const faults = Object.fromEntries(named.map(([field, message]) => [field, translated(message)]));
  return named.length ? { problem: null, faults } : { problem, faults };
}

/** The services speak Spanish; what they say most has a text in every language. */
export function translated(message) {
  const name = `mensaje.${message}`;
  return has(name) ? t(name) : message;
}
