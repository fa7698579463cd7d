/** localStorage. A browser that forbids it forgets, and nothing else happens. No token is kept here. */

const PREFIX = "comanda.";

/** The value kept under that name, or `otherwise`. */
export function recall(name, otherwise = null) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Keeps a value of JSON; `null` forgets it. */
export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Full or forbidden: it lasts as long as the page does.
  }
}

/** Calls back when another tab changes what is kept. */
export function onKeptElsewhere(callback) {
  addEventListener("storage", ({ key }) => {
    if (key?.startsWith(PREFIX)) callback(key.slice(PREFIX.length));
  });
}
