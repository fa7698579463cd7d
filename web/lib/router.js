/** Pages by the hash of the address: `#/pedidos/0192…?estado=PENDIENTE`. */

import { signal } from "./html.js";

/** @type {import("../vendor/signals.js").Signal<{path: string, query: Record<string, string>}>} */
export const location = signal(read());

/** How often the person went to another page; 0 for the one that they came with. */
export const visits = signal(0);

addEventListener("hashchange", () => {
  const before = location.value.path;
  location.value = read();
  if (location.value.path !== before) visits.value += 1;
});

/** The address of a page, for `href`. */
export function link(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value);
  return `#${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

/** Goes to a page; `replace`: instead of the present one in the browser's history. */
export function go(path, query, { replace = false } = {}) {
  if (replace) globalThis.location.replace(link(path, query));
  else globalThis.location.hash = link(path, query);
}

/**
 * The first route whose pattern fits (`/pedidos/:id`), with what its names stand for.
 *
 * @template {{pattern: string}} R
 * @param {R[]} routes
 * @returns {{route: R, params: Record<string, string>} | null}
 */
export function match(routes, path) {
  for (const route of routes) {
    const names = [];
    const expression = route.pattern.replace(/:(\w+)/g, (_, name) => {
      names.push(name);
      return "([^/]+)";
    });
    const found = new RegExp(`^${expression}$`).exec(path);
    if (found) return { route, params: Object.fromEntries(names.map((name, at) => [name, decode(found[at + 1])])) };
  }
  return null;
}

/** @returns {{path: string, query: Record<string, string>}} */
function read() {
  const [path, query] = (globalThis.location?.hash ?? "").replace(/^#/, "").split("?");
  return { path: path || "/", query: Object.fromEntries(new URLSearchParams(query)) };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
