/** Products out of a file: looked at first, then sent, with what became of each. */

import { Frame } from "../lib/admin.js";
import { Field, translated } from "../lib/form.js";
import { number } from "../lib/format.js";
import { html, useEffect, useState } from "../lib/html.js";
import { explain, has, t } from "../lib/i18n.js";
import { rowsOf } from "../lib/import-rows.js";
import { descargarFallos, importacion, importar, olvidarImportacion, parar } from "../lib/importing.js";
import { link } from "../lib/router.js";
import { Button, Note, Page, announce } from "../lib/ui.js";

const MAX_BYTES = 20_000_000;
const SHOWN = 8;
const FAULTS_SHOWN = 100;

export default function Importar() {
  const [file, setFile] = useState(null); // { name, rows, ignored, missing, fault }
  const going = importacion.value;
  return html`<${Page} title=${t("importar.titulo")} back=${link("/gestion")}>
    ${
      going
        ? html`<${Progress} ...${going} onAgain=${() => (setFile(null), olvidarImportacion())} />`
        : html`<${Choose} onFile=${setFile} />
          ${file && html`<${Preview} key=${file.name} file=${file} />`}`
    }
  <//>`;
}

function Choose({ onFile }) {
  const read = async (event) => {
    const [chosen] = event.target.files;
    if (chosen) onFile(await readFile(chosen));
  };
  return html`<section class="card" aria-labelledby="archivo">
    <h2 id="archivo">${t("importar.archivo.titulo")}</h2>
    <p>${t("importar.columnas")}</p>
    <pre class="sample" tabindex="0">${t("importar.ejemplo")}</pre>
    <${Field} label=${t("importar.archivo")} name="archivo" type="file" accept=".csv,text/csv" onChange=${read} />
  </section>`;
}

async function readFile(chosen) {
  const file = { name: `${chosen.name} ${chosen.lastModified} ${chosen.size}`, rows: [], ignored: [], missing: [] };
  if (chosen.size > MAX_BYTES) return { ...file, fault: t("importar.grande") };
  try {
    return { ...file, ...rowsOf(decoded(await chosen.arrayBuffer())) };
  } catch (fault) {
    return { ...file, fault: fault.line ? t("importar.comilla", { line: fault.line }) : t("importar.ilegible") };
  }
}

/** UTF-8, or what spreadsheets on Windows write where it is none. */
function decoded(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

function Preview({ file: { rows, ignored, missing, fault } }) {
  const [update, setUpdate] = useState(false);
  const problem = fault ?? (missing.length ? t("importar.faltan", { columnas: missing.join(", ") }) : null);
  if (problem ?? !rows.length) return html`<${Note} kind="bad" live><p>${problem ?? t("importar.vacio")}</p><//>`;
  const failures = rows.filter(({ faults }) => faults.length).map((row) => ({ row, faults: row.faults }));
  const good = rows.length - failures.length;
  return html`
    <section class="card" aria-labelledby="vista">
      <h2 id="vista">${t("importar.vista")}</h2>
      <p role="status" data-testid="resumen">
        ${t("importar.resumen", { n: rows.length, good: number(good), bad: number(failures.length) })}
      </p>
      ${ignored.length > 0 && html`<p class="soft">${t("importar.ignoradas", { columnas: ignored.join(", ") })}</p>`}
      <${Sample} rows=${rows} />
      <fieldset class="choices">
        <legend>${t("importar.existentes")}</legend>
        ${[false, true].map(
          (value) => html`<label class="check">
            <input type="radio" name="existentes" checked=${update === value} onChange=${() => setUpdate(value)} />
            <span>${t(value ? "importar.actualizar" : "importar.dejar")}</span>
          </label>`,
        )}
      </fieldset>
      <div class="actions">
        <${Button} kind="primary" disabled=${!good} onClick=${() => importar(rows, { update })}>
          ${t("importar.empezar", { n: good })}
        <//>
      </div>
    </section>
    <${Failures} failures=${failures} />
  `;
}

function Sample({ rows }) {
  return html`<${Frame} label=${t("importar.vista")}>
    <table>
      <thead>
        <tr>
          <th scope="col" class="figure">${t("importar.linea")}</th>
          <th scope="col">${t("campo.sku")}</th><th scope="col">${t("campo.producto")}</th>
          <th scope="col" class="figure">${t("campo.precio")}</th>
          <th scope="col" class="figure">${t("gestion.existencias")}</th>
        </tr>
      </thead>
      <tbody>
        ${rows.slice(0, SHOWN).map(
          ({ line, texts }) => html`<tr key=${line}>
            <td class="figure">${line}</td><td class="nowrap"><code>${texts.sku}</code></td><td>${texts.nombre}</td>
            <td class="figure">${texts.precio}</td><td class="figure">${texts.existencias}</td>
          </tr>`,
        )}
      </tbody>
    </table>
  <//>
  ${rows.length > SHOWN && html`<p class="soft small">${t("importar.mas", { n: rows.length - SHOWN })}</p>`}`;
}

function Progress({ state, total, done, counts, failures, pausedUntil, onAgain }) {
  const running = state === "running";
  useEffect(() => {
    if (!running)
      announce(t(`importar.${state}`, { done: number(done), total: number(total) }), failures.length ? "bad" : "good");
  }, [running]);
  return html`
    <section class="card" aria-labelledby="progreso" data-testid="importacion" data-state=${state}>
      <h2 id="progreso">${t(`importar.${state}`, { done: number(done), total: number(total) })}</h2>
      <progress max=${total} value=${done} aria-labelledby="progreso"></progress>
      ${pausedUntil && html`<${Note} kind="warning" live><p>${t("importar.espera")}</p><//>`}
      <dl class="tiles">
        ${["creado", "actualizado", "igual", "existente"].map(
          (kind) => html`<div class="tile" key=${kind}>
            <dt>${t(`importar.cuenta.${kind}`)}</dt>
            <dd class="figures" data-testid=${kind}>${number(counts[kind] ?? 0)}</dd>
          </div>`,
        )}
        <div class="tile">
          <dt>${t("importar.cuenta.fallo")}</dt>
          <dd class="figures" data-testid="fallo">${number(failures.length)}</dd>
        </div>
      </dl>
      <p class="soft">${t(running ? "importar.siga" : "importar.repetir")}</p>
      <div class="actions">
        ${
          running
            ? html`<${Button} kind="danger" onClick=${parar}>${t("importar.parar")}<//>`
            : html`<a class="button primary" href=${link("/gestion")} onClick=${olvidarImportacion}>
                ${t("importar.ver")}
              </a>
              <${Button} onClick=${onAgain}>${t("importar.otro")}<//>`
        }
      </div>
    </section>
    <${Failures} failures=${failures} />
  `;
}

function Failures({ failures }) {
  if (!failures.length) return null;
  return html`<section class="stack" aria-labelledby="fallos">
    <div class="card-head">
      <h2 id="fallos">${t("importar.fallos", { n: failures.length })}</h2>
      <${Button} icon="descargar" onClick=${() => descargarFallos(failures, reason)}>${t("importar.descargar")}<//>
    </div>
    <${Frame} label=${t("importar.fallos", { n: failures.length })}>
      <table data-testid="fallos">
        <thead>
          <tr>
            <th scope="col" class="figure">${t("importar.linea")}</th>
            <th scope="col">${t("campo.sku")}</th><th scope="col">${t("importar.porque")}</th>
          </tr>
        </thead>
        <tbody>
          ${failures.slice(0, FAULTS_SHOWN).map(
            (failure) => html`<tr key=${failure.row.line}>
              <td class="figure">${failure.row.line}</td>
              <td class="nowrap"><code>${failure.row.texts.sku}</code></td>
              <td>${reason(failure)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    <//>
    ${
      failures.length > FAULTS_SHOWN &&
      html`<p class="soft small">${t("importar.masFallos", { n: failures.length - FAULTS_SHOWN })}</p>`
    }
  </section>`;
}

/** Why a row failed, in one line. */
function reason({ faults, problem }) {
  if (faults) return faults.map(({ campo, slug, line }) => t(`importar.falta.${slug}`, { campo, line })).join(" ");
  const fields = Object.entries(problem.fields).map(([campo, mensaje]) => `${campo}: ${translated(mensaje)}`);
  const own = `importar.fallo.${problem.slug}`;
  return fields.join(" ") || (has(own) ? t(own) : explain(problem));
}
