/** One product: made, changed (also while somebody else changes it), taken off sale and put back. */

import "../lib/admin.js";
import { get, patch, request } from "../lib/api.js";
import { Field, Form } from "../lib/form.js";
import { html, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { useLoad } from "../lib/load.js";
import { changed, differences } from "../lib/merge.js";
import { typedAmount } from "../lib/money.js";
import { objection } from "../lib/problems.js";
import { go, link } from "../lib/router.js";
import { Button, Icon, Page, ProblemNote, Skeleton, Time, announce, confirm } from "../lib/ui.js";
import { Conflicto } from "./gestion-conflicto.js";

const CAMPOS = ["sku", "nombre", "precio", "descripcion"];

export default function Producto({ params: { id } }) {
  return id === "nuevo" ? html`<${Nuevo} />` : html`<${Existente} id=${id} />`;
}

function Nuevo() {
  const create = async (values) => {
    const { body } = await request("POST", "/productos", { body: written(values) }).catch(atField);
    announce(t("producto.creado", { nombre: body.nombre }));
    go(`/gestion/existencias/${body.id}`);
  };
  return html`<${Page} title=${t("producto.nuevo")} back=${link("/gestion")} narrow>
    <div class="card">
      <${Form} action=${t("producto.crear")} check=${check} onSend=${create}>
        ${(faults) => html`<${Fields} producto=${{}} faults=${faults} />`}
      <//>
    </div>
  <//>`;
}

function Existente({ id }) {
  const { data, problem, reload } = useLoad((signal) => read(id, signal), [id]);
  return html`<${Page} title=${data?.producto.nombre ?? t("producto.titulo")} back=${link("/gestion")} narrow>
    <${ProblemNote} problem=${problem} onRetry=${reload} />
    ${
      data
        ? html`
          <${Editor} key=${data.etag} ...${data} onChanged=${reload} />
          <${Sale} ...${data} onChanged=${reload} />
        `
        : !problem && html`<${Skeleton} rows=${4} />`
    }
  <//>`;
}

async function read(id, signal) {
  const { body, etag } = await request("GET", `/productos/${id}`, { signal });
  return { producto: body, etag };
}

function Editor({ producto, etag, onChanged }) {
  const [conflict, setConflict] = useState(null); // { base, propia, ajena, etag }

  const save = async (wanted, base, tag) => {
    const cambios = changed(CAMPOS, base, wanted);
    if (!Object.keys(cambios).length) return announce(t("producto.sinCambios"));
    try {
      await patch(`/productos/${producto.id}`, cambios, { headers: { "If-Match": tag } });
    } catch (problem) {
      if (problem.status !== 412) atField(problem);
      const { producto: ajena, etag } = await read(producto.id);
      // If nothing differs, it was this very change, whose answer was lost.
      if (differences(CAMPOS, base, wanted, ajena).length)
        return setConflict({ base, propia: wanted, ajena, etag });
    }
    announce(t("cuenta.guardado"));
    await onChanged();
    return setConflict(null);
  };

  if (conflict) {
    return html`<${Conflicto}
      key=${conflict.etag}
      campos=${differences(CAMPOS, conflict.base, conflict.propia, conflict.ajena)}
      moneda=${producto.moneda}
      actualizado=${conflict.ajena.actualizado_en}
      onChosen=${(chosen) => save({ ...conflict.ajena, ...chosen }, conflict.ajena, conflict.etag)}
      onGiveUp=${onChanged}
    />`;
  }
  return html`<section class="card" aria-label=${t("producto.titulo")}>
    <${Form}
      action=${t("accion.guardar")}
      check=${check}
      onSend=${(values) => save(written(values), producto, etag)}
    >
      ${(faults) => html`<${Fields} producto=${producto} faults=${faults} />`}
    <//>
    <p class="soft small">${t("producto.cambiado")} <${Time} value=${producto.actualizado_en} relative /></p>
  </section>`;
}

function Fields({ producto: { sku, nombre, precio, descripcion, moneda }, faults }) {
  return html`
    <${Field} label=${t("campo.sku")} name="sku" maxlength="64" autocomplete="off" spellcheck=${false} required
      defaultValue=${sku} error=${faults.sku} hint=${t("campo.sku.ayuda")} />
    <${Field} label=${t("campo.producto")} name="nombre" maxlength="200" autocomplete="off" required
      defaultValue=${nombre} error=${faults.nombre} />
    <${Field} label=${moneda ? t("campo.precioEn", { moneda }) : t("campo.precio")} name="precio" inputmode="decimal"
      autocomplete="off" required defaultValue=${precio} error=${faults.precio} />
    <${Field} label=${t("campo.descripcion")} name="descripcion" as="textarea" rows="4" maxlength="5000"
      defaultValue=${descripcion} error=${faults.descripcion} />
  `;
}

function atField(problem) {
  throw problem.slug === "sku-en-uso" ? objection("sku", t("problema.sku-en-uso")) : problem;
}

function check({ sku, nombre, precio }) {
  const faults = {};
  if (!sku.trim()) faults.sku = t("mensaje.Falta.");
  if (!nombre.trim()) faults.nombre = t("mensaje.Falta.");
  if (typedAmount(precio) === null) faults.precio = t("importar.falta.precio");
  return faults;
}

/** What was typed, as the service writes it, so that it can be compared. */
function written({ sku, nombre, precio, descripcion }) {
  return {
    sku: sku.trim(),
    nombre: nombre.trim(),
    precio: typedAmount(precio),
    descripcion: descripcion.replace(/\r\n/g, "\n"),
  };
}

function Sale({ producto, etag, onChanged }) {
  const [state, setState] = useState({ busy: false, problem: null });
  const act = (ask, send, done) => async () => {
    if (!(await confirm({ ...ask, text: t(ask.text, { nombre: producto.nombre }) }))) return;
    setState({ busy: true, problem: null });
    try {
      await send();
      announce(t(done));
      setState({ busy: false, problem: null });
    } catch (problem) {
      setState({ busy: false, problem });
    }
    onChanged();
  };
  const headers = { "If-Match": etag };
  const withdraw = act(
    { title: t("producto.retirar"), text: "producto.retirar.texto", action: t("producto.retirar"), danger: true },
    () => request("DELETE", `/productos/${producto.id}`, { headers }),
    "producto.retirado.hecho",
  );
  const putBack = act(
    { title: t("producto.activar"), text: "producto.activar.texto", action: t("producto.activar") },
    () => patch(`/productos/${producto.id}`, { activo: true }, { headers }),
    "producto.activado",
  );
  return html`<section class="card" aria-labelledby="venta">
    <div class="card-head">
      <h2 id="venta">${t("producto.venta")}</h2>
      ${
        producto.activo
          ? html`<span class="badge good" data-testid="venta"><${Icon} name="bien" />${t("producto.activo")}</span>`
          : html`<span class="badge neutral" data-testid="venta">
              <${Icon} name="cerrar" />${t("producto.retirado")}
            </span>`
      }
    </div>
    <${Stock} id=${producto.id} />
    <${ProblemNote} problem=${state.problem} />
    <div class="actions">
      <a class="button secondary" href=${link(`/gestion/existencias/${producto.id}`)}>${t("producto.existencias")}</a>
      ${
        producto.activo
          ? html`<${Button} kind="danger" busy=${state.busy} onClick=${withdraw}>${t("producto.retirar")}<//>`
          : html`<${Button} busy=${state.busy} onClick=${putBack}>${t("producto.activar")}<//>`
      }
    </div>
  </section>`;
}

function Stock({ id }) {
  const { data, problem } = useLoad((signal) => get(`/inventario/${id}`, {}, { signal }), [id]);
  if (problem?.status === 404) return html`<p class="soft">${t("existencias.sinContar")}</p>`;
  if (problem) return html`<p class="soft">${t("stock.desconocido")}</p>`;
  return html`<p class="soft figures">${data ? t("existencias.resumen", data) : t("estado.cargando")}</p>`;
}
