/** What is kept of a person: taking it along, and having it erased. */

import { get, post } from "../lib/api.js";
import { saveAs } from "../lib/download.js";
import { Form } from "../lib/form.js";
import { html, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { go } from "../lib/router.js";
import { olvidar, usuario } from "../lib/session.js";
import { keep } from "../lib/storage.js";
import { Button, Dialog, Note, ProblemNote, announce } from "../lib/ui.js";
import { Code, CurrentPassword } from "./cuenta-campos.js";

/** @param {{conFactor: boolean, onObjection: (problem: any) => never}} props */
export function Datos({ conFactor, onObjection }) {
  const [state, setState] = useState({ busy: false, problem: null });
  const [erasing, setErasing] = useState(false);
  const take = async () => {
    setState({ busy: true, problem: null });
    try {
      const datos = { ...(await get("/auth/yo/datos")), pedidos: await everyOrder() };
      saveAs("mis-datos.json", "application/json", JSON.stringify(datos, null, 2));
      setState({ busy: false, problem: null });
    } catch (problem) {
      setState({ busy: false, problem });
    }
  };
  return html`<section class="card" aria-labelledby="datos">
    <h2 id="datos">${t("datos.titulo")}</h2>
    <p class="soft">${t("datos.texto")}</p>
    <${ProblemNote} problem=${state.problem} />
    <div class="actions">
      <${Button} icon="descargar" busy=${state.busy} onClick=${take}>${t("datos.descargar")}<//>
      <${Button} kind="danger" onClick=${() => setErasing(true)}>${t("datos.borrar")}<//>
    </div>
    ${erasing && html`<${Erase} conFactor=${conFactor} onObjection=${onObjection} onClose=${() => setErasing(false)} />`}
  </section>`;
}

async function everyOrder() {
  const pedidos = [];
  for (let cursor = null; ;) {
    const page = await get("/pedidos", { cliente_id: usuario.peek().id, limite: 200, cursor });
    pedidos.push(...page.elementos);
    cursor = page.siguiente;
    if (cursor === null) return pedidos;
  }
}

function Erase({ conFactor, onObjection, onClose }) {
  const erase = async ({ password, codigo }) => {
    const { id } = usuario.peek();
    await post("/auth/yo/borrar", { password, ...(conFactor && { codigo: codigo.trim() }) }).catch(onObjection);
    keep(`carrito.${id}`, null);
    keep(`compra.${id}`, null);
    go("/tienda");
    olvidar();
    announce(t("datos.borrada"));
  };
  return html`<${Dialog} title=${t("datos.borrar")} onClose=${onClose}>
    <${Note} kind="bad"><p>${t("datos.borrarTexto")}</p><//>
    <${Form} action=${t("datos.borrarAccion")} kind="danger" onSend=${erase}>
      ${(faults) => html`
        <${CurrentPassword} error=${faults.password} />
        ${conFactor && html`<${Code} error=${faults.codigo} />`}
      `}
    <//>
  <//>`;
}
