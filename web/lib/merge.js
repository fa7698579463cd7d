/** Three versions of one thing: as one began to change it, as one wants it, as somebody else has left it. Pure. */

/**
 * The fields in which one's own version is not the present one.
 *
 * @param {string[]} campos
 * @param {Record<string, any>} base
 * @param {Record<string, any>} propia
 * @param {Record<string, any>} ajena
 * @returns {{campo: string, propia: any, ajena: any, elegida: "propia" | "ajena"}[]}  elegida: what only one of the two
 *   changed is that one's; what both did is the other's until the person says otherwise
 */
export function differences(campos, base, propia, ajena) {
  return campos
    .filter((campo) => propia[campo] !== ajena[campo])
    .map((campo) => ({
      campo,
      propia: propia[campo],
      ajena: ajena[campo],
      elegida: ajena[campo] === base[campo] ? "propia" : "ajena",
    }));
}

/** What of `wanted` is not so in `base`, as JSON Merge Patch (RFC 7396) of flat objects. */
export function changed(campos, base, wanted) {
  return Object.fromEntries(
    campos.filter((campo) => wanted[campo] !== base[campo]).map((campo) => [campo, wanted[campo]]),
  );
}
