/** Somebody else was faster (412): both versions, field by field, and the person chooses. */

import { money } from "../lib/format.js";
import { Form } from "../lib/form.js";
import { html, useEffect, useRef } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { Button, Icon, Time } from "../lib/ui.js";

/**
 * @param {object} props
 * @param {ReturnType<typeof import("../lib/merge.js").differences>} props.campos
 * @param {string} props.moneda
 * @param {string} props.actualizado  when the other version was written
 * @param {(chosen: Record<string, any>) => Promise<any>} props.onChosen
 * @param {() => void} props.onGiveUp
 */
export function Conflicto({ campos, moneda, actualizado, onChosen, onGiveUp }) {
  const heading = useRef(null);
  useEffect(() => heading.current.focus(), []);
  const send = (values) =>
    onChosen(Object.fromEntries(campos.map(({ campo, ...both }) => [campo, both[values[campo]]])));

  return html`<section class="card conflict" aria-labelledby="conflicto" data-testid="conflicto">
    <h2 id="conflicto" tabindex="-1" ref=${heading}><${Icon} name="aviso" />${t("conflicto.titulo")}</h2>
    <p>${t("conflicto.texto")} <${Time} value=${actualizado} relative /></p>
    <${Form}
      action=${t("conflicto.guardar")}
      onSend=${send}
      extra=${html`<${Button} kind="quiet" onClick=${onGiveUp}>${t("conflicto.dejar")}<//>`}
    >
      ${() =>
        campos.length
          ? campos.map((campo) => html`<${Choice} key=${campo.campo} ...${campo} moneda=${moneda} />`)
          : html`<p>${t("conflicto.iguales")}</p>`}
    <//>
  </section>`;
}

function Choice({ campo, propia, ajena, elegida, moneda }) {
  const shown = (value) => (campo === "precio" ? money(value, moneda) : value || t("conflicto.vacio"));
  const option = (whose, value) => html`<label class="version">
    <input type="radio" name=${campo} value=${whose} defaultChecked=${elegida === whose} />
    <span><span class="soft small">${t(`conflicto.${whose}`)}</span><br />${shown(value)}</span>
  </label>`;
  return html`<fieldset class="versions">
    <legend>${t(`conflicto.campo.${campo}`)}</legend>
    ${option("ajena", ajena)} ${option("propia", propia)}
  </fieldset>`;
}
