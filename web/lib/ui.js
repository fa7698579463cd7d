/** What pages are built of: the page itself, buttons, notes, states, waiting. Fields are in `form.js`. */

import { html, useEffect, useRef } from "./html.js";
import { now } from "./clock.js";
import { ago, clock, dateTime } from "./format.js";
import { explain, t } from "./i18n.js";
import { Icon } from "./icons.js";
import { useNow } from "./load.js";
import { visits } from "./router.js";

export { Icon } from "./icons.js";
export { Confirmation, Dialog, confirm } from "./dialog.js";
export { announce } from "./announce.js";

/**
 * A page: its heading, which gets the focus when the person came from another page, and what stands beside it.
 *
 * @param {{title: string, back?: string, actions?: any, narrow?: boolean, children: any}} props  back: an address
 */
export function Page({ title, back, actions, narrow = false, children }) {
  const heading = useRef(null);
  useEffect(() => {
    if (visits.value === 0) return;
    scrollTo(0, 0);
    heading.current.focus({ preventScroll: true });
  }, []);
  useEffect(() => {
    document.title = `${title} · Comanda`;
  }, [title]);
  return html`<div class=${narrow ? "page narrow" : "page"}>
    ${back && html`<a class="back" href=${back}><${Icon} name="atras" />${t("accion.volver")}</a>`}
    <div class="page-head">
      <h1 ref=${heading} tabindex="-1">${title}</h1>
      ${actions && html`<div class="actions">${actions}</div>`}
    </div>
    ${children}
  </div>`;
}

/**
 * A button that cannot be pressed twice while it is at work.
 *
 * @param {{kind?: "primary" | "secondary" | "quiet" | "danger", icon?: string, busy?: boolean,
 *   disabled?: boolean}} props
 */
export function Button({
  kind = "secondary",
  icon,
  busy = false,
  disabled = false,
  type = "button",
  children,
  ...rest
}) {
  return html`<button
    type=${type}
    class="button ${kind}"
    aria-disabled=${busy || disabled ? "true" : undefined}
    aria-busy=${busy ? "true" : undefined}
    ...${rest}
    onClick=${(event) => {
      if (busy || disabled) event.preventDefault();
      else rest.onClick?.(event);
    }}
  >
    ${busy ? html`<span class="spinner" aria-hidden="true"></span>` : icon && html`<${Icon} name=${icon} />`}${children}
  </button>`;
}

/** A round button with an icon only; `label` says what it does. */
export function IconButton({ icon, label, kind = "quiet", ...rest }) {
  return html`<button type="button" class="icon-button ${kind}" aria-label=${label} title=${label} ...${rest}>
    <${Icon} name=${icon} />
  </button>`;
}

/**
 * Something that the person should know; `live`: read out when it appears; `instead`: in place of what had the focus,
 * which it takes.
 *
 * @param {{kind?: "info" | "good" | "warning" | "bad", title?: string, live?: boolean, instead?: boolean,
 *   actions?: any}} props
 */
export function Note({ kind = "info", title, live = false, instead = false, actions, children }) {
  const element = useRef(null);
  useEffect(() => {
    if (instead) element.current.focus();
  }, []);
  return html`<div
    ref=${element}
    class="note ${kind}"
    role=${live ? (kind === "bad" ? "alert" : "status") : undefined}
    tabindex=${instead ? -1 : undefined}
  >
    <${Icon} name=${kind === "good" ? "bien" : "aviso"} />
    <div class="note-body">
      ${title && html`<p class="note-title">${title}</p>`} ${children}
      ${actions && html`<div class="actions">${actions}</div>`}
    </div>
  </div>`;
}

/**
 * What went wrong, in words, with what support needs folded away.
 *
 * @param {{problem: import("./problems.js").Problem | null, onRetry?: () => void, children?: any}} props
 */
export function ProblemNote({ problem, onRetry, children }) {
  if (!problem) return null;
  return html`<${Note}
    kind="bad"
    live
    actions=${onRetry && html`<${Button} onClick=${onRetry}>${t("accion.reintentar")}<//>`}
  >
    <p>${explain(problem)}</p>
    ${children}
    <${ProblemDetails} problem=${problem} />
  <//>`;
}

/** For whoever has to find it in the logs. */
export function ProblemDetails({ problem }) {
  return html`<details class="problem-details">
    <summary>${t("error.detalles")}</summary>
    <dl>
      <dt>${t("error.codigo")}</dt>
      <dd><code>${problem.status ? `${problem.status} ` : ""}${problem.slug}</code></dd>
      ${problem.detail && html`<dt>${t("error.respuesta")}</dt><dd>${problem.detail}</dd>`}
      ${problem.requestId && html`<dt>${t("error.peticion")}</dt><dd><code>${problem.requestId}</code></dd>`}
    </dl>
  </details>`;
}

/** The state of an order: a word, a sign and a colour. @param {{estado: string, fase?: string}} props */
export function EstadoBadge({ estado, fase }) {
  const shown = fase && fase !== estado ? fase : estado;
  return html`<span class="badge ${estado.toLowerCase()}" data-testid="estado" data-estado=${estado}>
    <${Icon} name=${{ COMPLETADO: "bien", CANCELADO: "cerrar" }[estado] ?? "reloj"} />${t(`fase.${shown}`)}
  </span>`;
}

/** Nothing there, and what to do about it. */
export function Empty({ icon, title, children }) {
  return html`<div class="empty">
    <${Icon} name=${icon} />
    <p class="empty-title">${title}</p>
    ${children}
  </div>`;
}

/** Grey bars where something will stand, so that nothing jumps. */
export function Skeleton({ rows = 3, kind = "row" }) {
  return html`<div class="skeletons ${kind}" role="status">
    <span class="visually-hidden">${t("estado.cargando")}</span>
    ${Array.from({ length: rows }, (_, at) => html`<div class="skeleton" key=${at}></div>`)}
  </div>`;
}

/** A search as one types. @param {{value: string, onType: (text: string) => void}} props */
export function SearchField({ value, onType }) {
  return html`<label class="search">
    <span class="visually-hidden">${t("tienda.buscar")}</span>
    <${Icon} name="buscar" />
    <input
      type="search" name="buscar" maxlength="100" autocomplete="off" placeholder=${t("tienda.buscar")}
      value=${value} onInput=${(event) => onType(event.target.value)}
    />
  </label>`;
}

/** The button below a list that has more. @param {{pages: ReturnType<typeof import("./load.js").usePages>}} props */
export function More({ pages }) {
  if (!pages.hasMore) return null;
  return html`<div class="more">
    <${Button} busy=${pages.loading} onClick=${pages.more}>${t("accion.mas")}<//>
  </div>`;
}

/** A time, said as people do, exact on hover and for machines. */
export function Time({ value, relative = false }) {
  useNow(relative, 30_000);
  const shown = relative ? ago(value, Math.max(now(), Date.parse(value))) : dateTime(value); // clocks differ a little
  return html`<time datetime=${value} title=${dateTime(value)}>${shown}</time>`;
}

/**
 * Seconds left until a moment, counted down.
 *
 * @param {{until: number, onEnd?: () => void}} props  until: milliseconds, in the services' time
 */
export function Countdown({ until, onEnd }) {
  const left = (until - useNow(true, 500)) / 1000;
  useEffect(() => {
    if (left <= 0) onEnd?.();
  }, [left <= 0]);
  return html`<span class="countdown" role="timer">${clock(left)}</span>`;
}
