/** Style sheets that few pages need. */

const loaded = new Map();

/** Resolves when it is in force; a page without its styles is better than none. @param {string} href */
export function stylesheet(href) {
  if (!loaded.has(href)) {
    const promise = new Promise((resolve) => {
      const element = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
      element.addEventListener("load", resolve);
      element.addEventListener("error", resolve);
      document.head.append(element);
    });
    loaded.set(href, promise);
  }
  return loaded.get(href);
}
