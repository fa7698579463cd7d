/** The stock of one product: what there is, goods in and out, counting anew, and the ledger. */

import { Frame } from "../lib/admin.js";
import { get, post, request } from "../lib/api.js";
import { newKey } from "../lib/attempt.js";
import { Field, Form } from "../lib/form.js";
import { moment, number } from "../lib/format.js";
import { html, useRef, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { useLoad, usePages } from "../lib/load.js";
import { objection } from "../lib/problems.js";
import { link } from "../lib/router.js";
import { More, Note, Page, ProblemNote, Skeleton, announce } from "../lib/ui.js";

const TIPOS = ["ENTRADA", "SALIDA", "AJUSTE"];

export default function Existencia({ params: { id } }) {
  const producto = useLoad((signal) => get(`/productos/${id}`, {}, { signal }), [id]);
  const stock = useLoad((signal) => read(id, signal), [id]);
  const [round, setRound] = useState(0);
  const [counted, setCounted] = useState(null); // by two at once: { propia, fisico }
  const [latest, setLatest] = useState(null); // movement that was recorded here
  const moved = async (movimiento) => {
    if (movimiento) {
      setLatest(movimiento);
      setCounted(null);
    }
    await stock.reload();
    setRound((before) => before + 1);
  };
  const begun = async (other) => {
    setCounted(other);
    await moved();
  };
  const title = producto.data?.nombre ?? (producto.problem ? id : t("existencias.titulo"));

  return html`<${Page} title=${title} back=${link("/gestion/existencias")} narrow>
    ${
      producto.data &&
      html`<p class="soft">
        <code>${producto.data.sku}</code> ·${" "}
        <a href=${link(`/gestion/productos/${id}`)}>${t("existencias.alProducto")}</a>
      </p>`
    }
    <${ProblemNote} problem=${stock.problem} onRetry=${stock.reload} />
    ${!stock.data && !stock.problem && html`<${Skeleton} rows=${3} />`}
    ${stock.data?.missing && html`<${Begin} id=${id} onDone=${begun} />`}
    ${
      stock.data?.existencias &&
      html`
        ${
          counted &&
          html`<${Note} kind="warning" live instead title=${t("existencias.otroConto.titulo")}>
            <p>${t("existencias.otroConto", { propia: number(counted.propia), fisico: number(counted.fisico) })}</p>
          <//>`
        }
        <${Figures} ...${stock.data.existencias} />
        <${Move} id=${id} existencias=${stock.data.existencias} onDone=${moved} />
        <${Ledger} id=${id} round=${round} latest=${latest} />
      `
    }
  <//>`;
}

async function read(id, signal) {
  try {
    return { existencias: await get(`/inventario/${id}`, {}, { signal }) };
  } catch (problem) {
    if (problem.status !== 404) throw problem;
    return { missing: true };
  }
}

function Figures({ fisico, reservado, disponible }) {
  const tile = (name, value) => html`<div class="tile">
    <dt>${t(`existencias.${name}`)}</dt>
    <dd class="figures" data-testid=${name}>${number(value)}</dd>
  </div>`;
  return html`<dl class="tiles">
    ${tile("fisico", fisico)} ${tile("reservado", reservado)} ${tile("disponible", disponible)}
  </dl>`;
}

/** Nobody has counted it yet. */
function Begin({ id, onDone }) {
  const begin = async (values) => {
    const propia = Number(values.cantidad);
    try {
      await post("/inventario", { producto_id: id, cantidad: propia });
    } catch (problem) {
      if (problem.slug !== "inventario-existente") throw problem;
      const { fisico } = await get(`/inventario/${id}`);
      if (fisico !== propia) return onDone({ propia, fisico }); // the same: the answer of the time before was lost
    }
    announce(t("existencias.empezado"));
    return onDone(null);
  };
  return html`<section class="card" aria-labelledby="empezar">
    <h2 id="empezar">${t("existencias.empezar")}</h2>
    <p class="soft">${t("existencias.empezar.texto")}</p>
    <${Form} action=${t("existencias.empezar.accion")} check=${check} onSend=${begin}>
      ${(faults) => html`<${Quantity} error=${faults.cantidad} />`}
    <//>
  </section>`;
}

function Quantity({ label = t("existencias.cantidad"), ...rest }) {
  return html`<${Field} label=${label} name="cantidad" inputmode="numeric" autocomplete="off" required ...${rest} />`;
}

const check = ({ cantidad }) => (/^\d{1,9}$/.test(cantidad.trim()) ? {} : { cantidad: t("existencias.entero") });

function Move({ id, existencias, onDone }) {
  const [tipo, setTipo] = useState(TIPOS[0]);
  const [changed, setChanged] = useState(null); // what there is, if it is not what the person saw
  const [round, setRound] = useState(0);
  const attempt = useRef({ body: "", clave: "" });

  const send = async ({ cantidad, motivo }) => {
    const body = { tipo, cantidad: Number(cantidad), ...(motivo.trim() && { motivo: motivo.trim() }) };
    if (tipo === "AJUSTE") body.fisico_esperado = existencias.fisico;
    // The same again, after a lost answer, is the same movement.
    if (attempt.current.body !== JSON.stringify(body))
      attempt.current = { body: JSON.stringify(body), clave: newKey() };
    const headers = { "Idempotency-Key": attempt.current.clave };
    setChanged(null);
    const refused = async (problem) => {
      if (problem.slug === "existencias-insuficientes") {
        await onDone();
        throw objection("cantidad", tooFew(tipo, existencias, problem));
      }
      if (problem.slug !== "existencias-cambiadas") throw problem;
      setChanged({ antes: existencias.fisico, fisico: problem.extras.fisico });
      await onDone();
    };
    const answer = await request("POST", `/inventario/${id}/movimientos`, { body, headers }).catch(refused);
    if (!answer) return;
    attempt.current = { body: "", clave: "" };
    announce(t(`movimiento.hecho.${tipo}`));
    await onDone(answer.body);
    setRound(round + 1);
  };

  return html`<section class="card" aria-labelledby="mover">
    <h2 id="mover">${t("movimiento.titulo")}</h2>
    <div class="chips" role="group" aria-label=${t("movimiento.tipo")}>
      ${TIPOS.map(
        (name) => html`<button type="button" class="chip" key=${name} aria-pressed=${String(name === tipo)}
          onClick=${() => setTipo(name)}>${t(`movimiento.${name}`)}</button>`,
      )}
    </div>
    ${
      changed &&
      html`<${Note} kind="warning" live title=${t("movimiento.cambiadas.titulo")}>
        <p>${t("movimiento.cambiadas", { antes: number(changed.antes), fisico: number(changed.fisico) })}</p>
      <//>`
    }
    <${Form} key=${round} action=${t(`movimiento.accion.${tipo}`)} check=${check} onSend=${send}>
      ${(faults) => html`
        <${Quantity}
          label=${t(tipo === "AJUSTE" ? "movimiento.contado" : "existencias.cantidad")}
          hint=${tipo === "AJUSTE" ? t("movimiento.ajuste.ayuda", { fisico: number(existencias.fisico) }) : undefined}
          error=${faults.cantidad}
        />
        <${Field}
          label=${t("movimiento.motivo")} name="motivo" maxlength="500" autocomplete="off" error=${faults.motivo}
        />
      `}
    <//>
  </section>`;
}

/** What is reserved stays; how much that is now, the refusal says: what was expected to be there is. */
function tooFew(tipo, { fisico }, { extras: { faltantes } }) {
  const [{ disponible }] = faltantes;
  if (tipo === "AJUSTE") return t("movimiento.bajoLoReservado", { reservado: number(fisico - disponible) });
  return t("movimiento.noHay", { disponible: number(disponible) });
}

/** @param {{id: string, round: number, latest: any}} props  latest: movement that may be many pages away */
function Ledger({ id, round, latest }) {
  const pages = usePages(`/inventario/${id}/movimientos`, { limite: 50 });
  const seen = useRef(round);
  if (seen.current !== round) {
    seen.current = round;
    queueMicrotask(pages.reload);
  }
  const away = latest && pages.hasMore && !pages.items.some((movimiento) => movimiento.id === latest.id);
  return html`<section class="stack" aria-labelledby="libro">
    <div class="card-head">
      <h2 id="libro">${t("libro.titulo")}</h2>
      <span class="soft small">${t("libro.orden")}</span>
    </div>
    <${ProblemNote} problem=${pages.problem} onRetry=${pages.reload} />
    ${away && html`<${Entries} title=${t("libro.reciente")} name="reciente" items=${[latest]} />`}
    ${pages.items && html`<${Entries} title=${t("libro.titulo")} name="libro" items=${pages.items} />`}
    <${More} pages=${pages} />
  </section>`;
}

function Entries({ title, name, items }) {
  return html`<${Frame} label=${title}>
    <table data-testid=${name}>
      ${name !== "libro" && html`<caption>${title}</caption>`}
      <thead>
        <tr>
          <th scope="col">${t("libro.cuando")}</th><th scope="col">${t("libro.tipo")}</th>
          <th scope="col" class="figure">${t("libro.cambio")}</th><th scope="col">${t("libro.motivo")}</th>
        </tr>
      </thead>
      <tbody>
        ${items.map((movimiento) => html`<${Entry} key=${movimiento.id} ...${movimiento} />`)}
      </tbody>
    </table>
  <//>`;
}

function Entry({ tipo, cantidad, motivo, pedido_id, creado_en }) {
  return html`<tr>
    <td class="nowrap"><time datetime=${creado_en}>${moment(creado_en)}</time></td>
    <td>${t(`movimiento.${tipo}`)}</td>
    <td class="figure">${number(cantidad, { signDisplay: "exceptZero" })}</td>
    <td>${pedido_id ? html`<a href=${link(`/gestion/pedidos/${pedido_id}`)}>${t("libro.pedido")}</a>` : motivo}</td>
  </tr>`;
}
