/** Starts the client, and draws what is the same on every page. */

import { Announcements } from "./lib/announce.js";
import { TEMAS, elegirTema, tema } from "./lib/appearance.js";
import { unidades } from "./lib/cart.js";
import { Confirmation } from "./lib/dialog.js";
import { Component, html, render, signal, useEffect, useState } from "./lib/html.js";
import { LANGUAGES, chooseLanguage, lang, loadTexts, start as startTexts, t } from "./lib/i18n.js";
import { Icon } from "./lib/icons.js";
import { LogInAgain } from "./lib/login.js";
import { link, location, match } from "./lib/router.js";
import { alcance, caducada, esAdmin, salir, start as startSession, usuario } from "./lib/session.js";
import { Button, Empty, Note, Page, ProblemNote, Skeleton, announce } from "./lib/ui.js";
import { ROUTES } from "./routes.js";

const HOME = "/tienda";
/** A scope that every administrator has who logged in as the house demands. */
const ADMINISTRA = "operaciones:leer";

/** Whether it is known who the person is. */
const started = signal(false);

function App() {
  const { query } = location.value;
  const path = location.value.path === "/" ? HOME : location.value.path;
  const found = match(ROUTES, path);
  // What anyone may see goes on when its reader logs in or out; all else belongs to one person.
  const owner = found?.route.who === "anyone" ? "" : usuario.value?.id;
  return html`
    <a class="skip" href="#main" onClick=${skip}>${t("nav.saltar")}</a>
    <${Top} path=${path} />
    <main id="main" tabindex="-1">
      <${Guarded} key=${`${path} ${owner}`}>
        <${Screen} ...${found} query=${query} />
      <//>
    </main>
    <${Foot} />
    <${Announcements} />
    <${Confirmation} />
    ${caducada.value && html`<${LogInAgain} />`}
  `;
}

/** The link changes no address: that belongs to the pages. */
function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function Top({ path }) {
  const tabs = usuario.value ? ROUTES.filter(({ tab, who }) => tab && (who !== "admin" || esAdmin.value)) : [];
  return html`<header class="top">
    <div class="top-inner">
      <a class="brand" href=${link(HOME)}><img src="favicon.svg" alt="" width="30" height="30" />Comanda</a>
      ${
        tabs.length > 0 &&
        html`<nav class="tabs" aria-label=${t("nav.principal")}>
        ${tabs.map(
          ({ pattern, tab }) => html`<a
            key=${pattern}
            href=${link(pattern)}
            aria-current=${`${path}/`.startsWith(`${pattern}/`) ? "page" : undefined}
          >
            <${Icon} name=${tab.icon} />${t(tab.label)}
          </a>`,
        )}
      </nav>`
      }
      ${usuario.value
        ? html`<${CartLink} /><${LogOut} />`
        : html`<a class="button quiet" href=${link("/entrar")}>${t("nav.entrar")}</a>`}
    </div>
  </header>`;
}

function CartLink() {
  const n = unidades.value;
  return html`<a class="cart-link" href=${link("/carrito")} aria-label=${t("carrito.enlace", { n })}>
    <${Icon} name="carrito" /><span class="figures" data-testid="unidades">${n}</span>
  </a>`;
}

/** On every page: nobody has to look for it (ASVS 5.0, V7.4.4). */
function LogOut() {
  const leave = () => salir().catch(() => announce(t("salir.sinAviso"), "bad"));
  return html`<${Button} kind="quiet leave" icon="salir" aria-label=${t("nav.salir")} onClick=${leave}>
    <span>${t("nav.salir")}</span>
  <//>`;
}

function Foot() {
  const changed = (act) => (event) => act(event.target.value);
  const speak = (tag) => chooseLanguage(tag).catch(() => announce(t("problema.sin-conexion"), "bad"));
  return html`<footer class="foot">
    <p>Comanda</p>
    <label>
      ${t("pie.idioma")}
      <select value=${lang.value} onChange=${changed(speak)}>
        ${Object.entries(LANGUAGES).map(([tag, name]) => html`<option value=${tag} lang=${tag}>${name}</option>`)}
      </select>
    </label>
    <label>
      ${t("pie.tema")}
      <select value=${tema.value} onChange=${changed(elegirTema)}>
        ${TEMAS.map((name) => html`<option value=${name}>${t(`tema.${name}`)}</option>`)}
      </select>
    </label>
  </footer>`;
}

/** A page that fails does not take the others with it. */
class Guarded extends Component {
  static getDerivedStateFromError() {
    return { failed: true };
  }

  componentDidCatch(error) {
    console.error(error);
  }

  render({ children }, { failed }) {
    if (!failed) return children;
    return html`<${ProblemNote} problem=${{ slug: "pagina" }} onRetry=${() => globalThis.location.reload()} />`;
  }
}

/** The page of a route, or why it is not shown. */
function Screen({ route, params, query }) {
  if (!started.value) return html`<${Skeleton} rows=${4} />`;
  if (!route) return html`<${NotFound} />`;
  if (route.who !== "anyone" && !usuario.value) {
    return html`<${Loaded} load=${() => import("./pages/bienvenida.js")} query=${query} />`;
  }
  if (route.who === "admin" && !esAdmin.value) return html`<${NotFound} />`;
  if (route.who === "admin" && !alcance.value.includes(ADMINISTRA)) return html`<${SecondFactorFirst} />`;
  return html`<${Loaded} load=${route.load} texts=${route.texts} params=${params} query=${query} />`;
}

/** A page whose module and texts come over the network. */
function Loaded({ load, texts, ...rest }) {
  const [state, setState] = useState({});
  const fetchAll = () =>
    Promise.all([load(), texts && loadTexts(texts)]).then(
      ([{ default: Component }]) => setState({ Component }),
      () => setState({ failed: true }),
    );
  useEffect(() => {
    fetchAll();
  }, []);
  if (state.failed)
    return html`<${ProblemNote} problem=${{ slug: "sin-conexion" }} onRetry=${() => globalThis.location.reload()} />`;
  return state.Component ? html`<${state.Component} ...${rest} />` : html`<${Skeleton} rows=${4} />`;
}

function NotFound() {
  return html`<${Page} title=${t("noEncontrada.titulo")} narrow>
    <${Empty} icon="buscar" title=${t("noEncontrada.texto")}>
      <a class="button primary" href=${link(HOME)}>${t("noEncontrada.volver")}</a>
    <//>
  <//>`;
}

function SecondFactorFirst() {
  return html`<${Page} title=${t("factorAntes.titulo")} narrow>
    <${Note} kind="warning" actions=${html`<a class="button secondary" href=${link("/cuenta")}>${t("nav.cuenta")}</a>`}>
      <p>${t("factorAntes.texto")}</p>
    <//>
  <//>`;
}

await startTexts();
render(html`<${App} />`, document.getElementById("app"));
await startSession();
started.value = true;
