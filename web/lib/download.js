/** Gives the person a file that was made here. */

/** Long enough for a browser that asks first where to put it. */
const KEPT_MS = 60_000;

/** @param {string} name @param {string} type  MIME @param {BlobPart} content */
export function saveAs(name, type, content) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const anchor = Object.assign(document.createElement("a"), { href: address, download: name });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}
