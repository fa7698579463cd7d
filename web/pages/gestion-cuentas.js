/** Service accounts: programs that use the API. A secret is shown once. */

import { Gestion } from "../lib/admin.js";
import { post, remove } from "../lib/api.js";
import { Check, Field, Form } from "../lib/form.js";
import { html, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { usePages } from "../lib/load.js";
import { Button, Dialog, Empty, Icon, More, Note, ProblemNote, Skeleton, Time, announce, confirm } from "../lib/ui.js";

/** What such an account may be granted: not to manage users. */
const ALCANCES = [
  "productos:leer",
  "productos:escribir",
  "inventario:leer",
  "inventario:escribir",
  "reservas:leer",
  "pedidos:crear",
  "pedidos:propios",
  "pedidos:leer",
  "pedidos:gestionar",
  "operaciones:leer",
  "auditoria:leer",
];

export default function Cuentas() {
  const pages = usePages("/auth/clientes", { limite: 50 });
  const [making, setMaking] = useState(false);
  const [secret, setSecret] = useState(null); // { id, client_secret }
  const made = (cuenta) => {
    setMaking(false);
    setSecret(cuenta);
    pages.reload();
  };
  const add = html`<${Button} kind="primary" icon="mas" onClick=${() => setMaking(true)}>${t("cuentas.nueva")}<//>`;
  return html`<${Gestion} title=${t("gestion.cuentas")} actions=${add}>
    <p class="soft">${t("cuentas.texto")}</p>
    <${ProblemNote} problem=${pages.problem} onRetry=${pages.reload} />
    ${
      pages.items
        ? html`<${List} pages=${pages} onSecret=${setSecret} />`
        : !pages.problem && html`<${Skeleton} rows=${3} />`
    }
    <${More} pages=${pages} />
    ${making && html`<${New} onClose=${() => setMaking(false)} onMade=${made} />`}
    ${secret && html`<${Secret} ...${secret} onDone=${() => setSecret(null)} />`}
  <//>`;
}

function List({ pages, onSecret }) {
  if (!pages.items.length) return html`<${Empty} icon="llave" title=${t("cuentas.ninguna")} />`;
  return html`<ul class="rows" data-testid="cuentas">
    ${pages.items.map(
      (cuenta) =>
        html`<li key=${cuenta.id}><${Cuenta} cuenta=${cuenta} onSecret=${onSecret} onChanged=${pages.reload} /></li>`,
    )}
  </ul>`;
}

function Cuenta({ cuenta: { id, nombre, alcances, activo, ultimo_uso }, onSecret, onChanged }) {
  const [state, setState] = useState({ busy: false, problem: null });
  const act = (verb, send) => async () => {
    const ask = {
      title: t(`cuentas.${verb}`),
      text: t(`cuentas.${verb}.texto`, { nombre }),
      action: t(`cuentas.${verb}`),
    };
    if (!(await confirm({ ...ask, danger: verb === "revocar" }))) return;
    setState({ busy: true, problem: null });
    try {
      await send();
      setState({ busy: false, problem: null });
    } catch (problem) {
      setState({ busy: false, problem });
    }
  };
  const rotate = act("rotar", async () => onSecret({ id, ...(await post(`/auth/clientes/${id}/secreto`, {})) }));
  const revoke = act("revocar", async () => {
    await remove(`/auth/clientes/${id}`);
    announce(t("cuentas.revocada"));
    onChanged();
  });
  return html`<div class="row">
    <span class="grow user">
      <strong>${nombre}</strong>
      <code class="soft small">${id}</code>
      <span class="soft small">${alcances.join(" ")}</span>
      <span class="soft small">
        ${ultimo_uso ? html`${t("cuentas.usada")} <${Time} value=${ultimo_uso} relative />` : t("cuentas.sinUsar")}
      </span>
    </span>
    ${
      activo
        ? html`<span class="row-actions">
          <${Button} kind="quiet" busy=${state.busy} onClick=${rotate}>
            ${t("cuentas.rotar")}<span class="visually-hidden"> ${nombre}</span>
          <//>
          <${Button} kind="quiet" busy=${state.busy} onClick=${revoke}>
            ${t("cuentas.revocar")}<span class="visually-hidden"> ${nombre}</span>
          <//>
        </span>`
        : html`<span class="badge bad"><${Icon} name="cerrar" />${t("cuentas.estaRevocada")}</span>`
    }
    ${state.problem && html`<div class="whole"><${ProblemNote} problem=${state.problem} /></div>`}
  </div>`;
}

function New({ onClose, onMade }) {
  const [chosen, setChosen] = useState(new Set());
  const toggle = (alcance) => {
    const next = new Set(chosen);
    if (!next.delete(alcance)) next.add(alcance);
    setChosen(next);
  };
  const create = async ({ nombre }) =>
    onMade(await post("/auth/clientes", { nombre: nombre.trim(), alcances: [...chosen] }));
  const check = () => (chosen.size ? {} : { alcances: t("cuentas.unAlcance") });
  return html`<${Dialog} title=${t("cuentas.nueva")} onClose=${onClose}>
    <${Form} action=${t("cuentas.crear")} check=${check} onSend=${create}>
      ${(faults) => html`
        <${Field}
          label=${t("cuentas.nombre")} name="nombre" maxlength="200" autocomplete="off" autofocus required
          error=${faults.nombre}
        />
        <fieldset class="choices">
          <legend>${t("cuentas.alcances")}</legend>
          ${ALCANCES.map(
            (alcance) => html`<${Check}
              key=${alcance} name="alcances" label=${html`<code>${alcance}</code>`}
              checked=${chosen.has(alcance)} onChange=${() => toggle(alcance)}
            />`,
          )}
          ${faults.alcances && html`<p class="field-error" role="alert">${faults.alcances}</p>`}
        </fieldset>
      `}
    <//>
  <//>`;
}

/** Announcements are out of reach while a dialog is open, so it says itself whether the secret was copied. */
function Secret({ id, client_secret, onDone }) {
  const [said, setSaid] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(client_secret);
      setSaid(t("cuentas.copiado"));
    } catch {
      setSaid(t("cuentas.noCopiado")); // only on https and localhost
    }
  };
  return html`<${Dialog} title=${t("cuentas.secreto")}>
    <${Note} kind="warning"><p>${t("cuentas.unaVez")}</p><//>
    <dl class="facts">
      <dt>client_id</dt><dd><code>${id}</code></dd>
      <dt>client_secret</dt><dd><code data-testid="secreto">${client_secret}</code></dd>
    </dl>
    <p role="status">${said}</p>
    <div class="actions end">
      <${Button} onClick=${copy}>${t("cuentas.copiar")}<//>
      <${Button} kind="primary" onClick=${onDone}>${t("cuentas.guardado")}<//>
    </div>
  <//>`;
}
