/** Gives the person a file that was made here. */

/** @param {string} name @param {string} type  MIME @param {BlobPart} content */
export function saveAs(name, type, content) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const anchor = Object.assign(document.createElement("a"), { href: address, download: name });
  anchor.click();
  URL.revokeObjectURL(address);
}
