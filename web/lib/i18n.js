/** The languages: which one, its texts, and how a text is filled in. */

import { computed, signal } from "./html.js";
import { keep, recall } from "./storage.js";

export const LANGUAGES = { es: "Español", en: "English" };

/** The language in force, `es` or `en`. */
export const lang = signal("es");

/** How that language is written where the person lives: `en-GB` counts days otherwise than `en-US`. */
export const locale = computed(() => navigator.languages.find((tag) => tag.startsWith(lang.value)) ?? lang.value);

const texts = signal({});
const parts = new Set(["base"]);
let wanted = lang.peek();

/** Loads the texts: in the language chosen here before, else in the first of the browser's that we speak. */
export async function start() {
  const known = [recall("lang"), ...navigator.languages.map((tag) => tag.slice(0, 2)), "en"];
  await choose(known.find((tag) => tag in LANGUAGES));
}

/** Changes the language, at once and for later visits. */
export async function chooseLanguage(tag) {
  await choose(tag);
  keep("lang", tag);
}

/** Adds the texts of a part of the client, `i18n/<language>-<part>.js`, now and in whatever language comes. */
export async function loadTexts(part) {
  if (parts.has(part)) return;
  parts.add(part);
  try {
    await choose(wanted);
  } catch (error) {
    parts.delete(part);
    throw error;
  }
}

/**
 * The text under a name, with `{names}` filled in. A text in forms (`{one, other}`) is chosen by `values.n`.
 * A name without a text is itself.
 */
export function t(name, values = {}) {
  const text = texts.value[name];
  if (text === undefined) return name;
  const chosen = typeof text === "string" ? text : (text[plural(values.n)] ?? text.other);
  return chosen.replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}

/** Whether there is a text of that name. */
export const has = (name) => name in texts.value;

/** What to tell a person about a problem: our words for its slug, else the service's own. */
export function explain(problem) {
  const name = `problema.${problem.slug}`;
  const seconds = problem.retryAfter ?? "";
  const servicio = `servicio.${problem.extras?.servicio}`;
  const servicioText = t(has(servicio) ? servicio : "servicio.undefined");
  if (has(name)) return t(name, { ...problem.extras, seconds, servicio: servicioText });
  return problem.detail || problem.title || t("problema.desconocido");
}

/** Of two that are wanted one after the other, the second is shown, whichever arrives last. */
async function choose(tag) {
  const before = wanted;
  wanted = tag;
  try {
    const loaded = await Promise.all([...parts].map((part) => load(tag, part)));
    if (wanted !== tag) return;
    texts.value = Object.assign({}, tag === lang.value && texts.value, ...loaded);
  } catch (error) {
    if (wanted === tag) wanted = before;
    throw error;
  }
  lang.value = tag;
  document.documentElement.lang = tag;
}

const load = async (tag, part) =>
  (await import(part === "base" ? `../i18n/${tag}.js` : `../i18n/${tag}-${part}.js`)).default;

const plural = (n) => new Intl.PluralRules(lang.value).select(Number(n));
