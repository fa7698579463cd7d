/** Light or dark: as the system has it, unless the person chose. `theme.js` applies that before the first paint. */

import { signal } from "./html.js";
import { keep, recall } from "./storage.js";

export const TEMAS = ["sistema", "claro", "oscuro"];

export const tema = signal(recall("tema", "sistema"));

export function elegirTema(chosen) {
  tema.value = chosen;
  keep("tema", chosen === "sistema" ? null : chosen);
  if (chosen === "sistema") delete document.documentElement.dataset.tema;
  else document.documentElement.dataset.tema = chosen;
}
