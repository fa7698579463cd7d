/** Figures and times in the person's language and time zone. */

import { now as present } from "./clock.js";
import { locale } from "./i18n.js";

const kept = new Map();

/** @param {string} text decimal @param {string} currency ISO 4217 */
export const money = (text, currency) => formatter("NumberFormat", { style: "currency", currency }).format(text);

export const number = (value, options = {}) => formatter("NumberFormat", options).format(value);

/** "3 nov 2026, 14:05" */
export const dateTime = (time) =>
  formatter("DateTimeFormat", { dateStyle: "medium", timeStyle: "short" }).format(new Date(time));

/** "3 nov 2026, 14:05:09" */
export const moment = (time) =>
  formatter("DateTimeFormat", { dateStyle: "medium", timeStyle: "medium" }).format(new Date(time));

/** "hace 5 minutos", "hace 3 días" */
export function ago(time, now = present()) {
  const seconds = (new Date(time) - now) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
  return formatter("RelativeTimeFormat", { numeric: "auto" }).format(Math.round(seconds / size), unit);
}

/** Minutes and seconds, "14:05"; with hours from one on. */
export function clock(seconds) {
  const left = Math.max(0, Math.ceil(seconds));
  const parts = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, index) => String(part).padStart(index ? 2 : 1, "0")).join(":");
}

const UNITS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** An Intl object is dear to make. */
function formatter(kind, options) {
  const key = `${locale.value} ${kind} ${JSON.stringify(options)}`;
  if (!kept.has(key)) kept.set(key, new Intl[kind](locale.value, options));
  return kept.get(key);
}
