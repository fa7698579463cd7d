/** A picture for a product that has none: always the same for the same product, and quiet beside its name. */

import { html } from "./html.js";

const SHAPES = [
  (a, b) => html`<circle cx=${60 + a} cy="110" r="70" /><circle cx=${150 + b} cy="40" r="54" />`,
  (a, b) =>
    html`<path d=${`M0 ${90 + a}C60 ${30 + b} 140 ${140 - a} 240 ${50 + a}V150H0z`} />
      <circle cx=${180 - a} cy="42" r="26" />`,
  (a, b) =>
    html`<rect x=${30 + a} y="28" width="86" height="150" rx="43" />
      <rect x=${130 + b} y="64" width="86" height="150" rx="43" />`,
  (a, b) =>
    html`<path d=${`M${40 + a} 150A80 80 0 0 1 ${200 + a} 150z`} /><circle cx=${120 + a} cy=${44 + b / 2} r="22" />`,
];
const COLOURS = 6;

/** @param {{id: string}} props  of the product */
export function Art({ id }) {
  const seed = hash(id);
  const shapes = SHAPES[(seed >>> 28) % SHAPES.length];
  const colour = (seed >>> 20) % COLOURS;
  return html`<svg
    class="art art-${colour}"
    viewBox="0 0 240 150"
    preserveAspectRatio="xMidYMid slice"
    aria-hidden="true"
    focusable="false"
  >
    ${shapes((seed >>> 12) % 24, (seed >>> 5) % 24)}
  </svg>`;
}

/** FNV-1a, 32 bits, stirred at the end: ids of the same minute differ in a few digits only. */
function hash(text) {
  let value = 0x811c9dc5;
  for (const letter of text) value = Math.imul(value ^ letter.codePointAt(0), 0x01000193) >>> 0;
  return Math.imul(value ^ (value >>> 15), 0x2c1b3c6d) >>> 0;
}
