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
  const moved = async () => {
    await stock.reload();
    setRound((before) => before + 1);
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
    ${stock.data?.missing && html`<${Begin} id=${id} onDone=${moved} />`}
    ${
      stock.data?.existencias &&
      html`
        <${Figures} ...${stock.data.existencias} />
        <${Move} id=${id} existencias=${stock.data.existencias} onDone=${moved} />
        <${Ledger} id=${id} round=${round} />
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
  const begin = async ({ cantidad }) => {
    try {
      await post("/inventario", { producto_id: id, cantidad: Number(cantidad) });
      announce(t("existencias.empezado"));
    } catch (problem) {
      if (problem.slug !== "inventario-existente") throw problem; // or an answer was lost: it stands
    }
    await onDone();
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
    try {
      await request("POST", `/inventario/${id}/movimientos`, { body, headers });
    } catch (problem) {
      if (problem.slug === "existencias-insuficientes") throw objection("cantidad", tooFew(tipo, existencias, problem));
      if (problem.slug !== "existencias-cambiadas") throw problem;
      setChanged({ antes: existencias.fisico, fisico: problem.extras.fisico });
      return onDone();
    }
    attempt.current = { body: "", clave: "" };
    announce(t(`movimiento.hecho.${tipo}`));
    await onDone();
    return setRound(round + 1);
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

/** What is reserved stays. */
function tooFew(tipo, { reservado }, { extras: { faltantes } }) {
  if (tipo === "AJUSTE") return t("movimiento.bajoLoReservado", { reservado: number(reservado) });
  return t("movimiento.noHay", { disponible: number(faltantes[0].disponible) });
}

function Ledger({ id, round }) {
  const pages = usePages(`/inventario/${id}/movimientos`, { limite: 50 });
  const seen = useRef(round);
  if (seen.current !== round) {
    seen.current = round;
    queueMicrotask(pages.reload);
  }
  return html`<section class="stack" aria-labelledby="libro">
    <div class="card-head">
      <h2 id="libro">${t("libro.titulo")}</h2>
      <span class="soft small">${t("libro.orden")}</span>
    </div>
    <${ProblemNote} problem=${pages.problem} onRetry=${pages.reload} />
    ${
      pages.items &&
      html`<${Frame} label=${t("libro.titulo")}>
        <table data-testid="libro">
          <thead>
            <tr>
              <th scope="col">${t("libro.cuando")}</th><th scope="col">${t("libro.tipo")}</th>
              <th scope="col" class="figure">${t("libro.cambio")}</th><th scope="col">${t("libro.motivo")}</th>
            </tr>
          </thead>
          <tbody>
            ${pages.items.map((movimiento) => html`<${Entry} key=${movimiento.id} ...${movimiento} />`)}
          </tbody>
        </table>
      <//>`
    }
    <${More} pages=${pages} />
  </section>`;
}

function Entry({ tipo, cantidad, motivo, pedido_id, creado_en }) {
  return html`<tr>
    <td class="nowrap"><time datetime=${creado_en}>${moment(creado_en)}</time></td>
    <td>${t(`movimiento.${tipo}`)}</td>
    <td class="figure">${number(cantidad, { signDisplay: "exceptZero" })}</td>
    <td>${pedido_id ? html`<a href=${link(`/gestion/pedidos/${pedido_id}`)}>${t("libro.pedido")}</a>` : motivo}</td>
  </tr>`;
}
