/** Money as the services write it, a decimal string with two digits; counted in integer cents, never in floats. */

/** @param {string} text @returns {bigint} */
export function cents(text) {
  const [, sign, whole, fraction = ""] = /^(-?)(\d+)(?:\.(\d{1,2}))?$/.exec(text);
  const value = BigInt(whole) * 100n + BigInt(fraction.padEnd(2, "0"));
  return sign ? -value : value;
}

/** @param {bigint} value @returns {string} */
export function decimal(value) {
  const digits = String(value < 0n ? -value : value).padStart(3, "0");
  return `${value < 0n ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** The sum of price times quantity. @param {{precio: string, cantidad: number}[]} lineas */
export const total = (lineas) =>
  decimal(lineas.reduce((sum, { precio, cantidad }) => sum + cents(precio) * BigInt(cantidad), 0n));

const MAX_CENTS = 100_000_000n;

/** What somebody typed, "19,9" or "19.90", as the services write it; null if it is no price that they take. */
export function typedAmount(text) {
  const plain = text.trim().replace(",", ".");
  if (!/^\d{1,7}(\.\d{1,2})?$/.test(plain)) return null;
  return cents(plain) <= MAX_CENTS ? decimal(cents(plain)) : null;
}
