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
