import { html } from "../lib/html.js";
import { Page } from "../lib/ui.js";

export default function Pagina() {
  return html`<${Page} title="registro"><//>`;
}
