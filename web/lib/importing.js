/** The import that is going on, if one is: it goes on while its person looks at other pages. */

import { get, patch, post, request } from "./api.js";
import { newKey } from "./attempt.js";
import { format } from "./csv.js";
import { saveAs } from "./download.js";
import { batch, computed, effect, signal } from "./html.js";
import { COLUMNAS } from "./import-rows.js";
import { run, sendRow } from "./import-run.js";
import { usuario } from "./session.js";

const DRAWN_MS = 200;

/**
 * @typedef {{row: import("./import-rows.js").Row, faults?: any[], problem?: any}} Failure
 * @type {import("../vendor/signals.js").Signal<null | {state: "running" | "done" | "stopped", total: number,
 *   done: number, counts: Record<string, number>, failures: Failure[], pausedUntil: number | null}>}
 */
export const importacion = signal(null);

let stopping = null;

/** Who logs out stops it: the rest does not go out as somebody else's. */
const owner = computed(() => usuario.value?.id);
effect(() => {
  owner.value;
  stopping?.abort();
  importacion.value = null;
});

/**
 * @param {import("./import-rows.js").Row[]} rows
 * @param {{update: boolean}} options  update: bring what is there to what the file says, instead of leaving it
 */
export async function importar(rows, { update }) {
  const mine = (stopping = new AbortController());
  const { signal: stop } = mine;
  const person = owner.peek();
  const key = newKey();
  const failures = rows.filter(({ faults }) => faults.length).map((row) => ({ row, faults: row.faults }));
  const now = { state: "running", total: rows.length, done: failures.length, counts: {}, failures, pausedUntil: null };
  const draw = () => {
    if (owner.peek() === person) importacion.value = { ...now, counts: { ...now.counts }, failures: [...now.failures] };
  };
  let drawn = 0;

  addEventListener("beforeunload", warn);
  draw();
  try {
    await run({
      rows: rows.filter(({ faults }) => !faults.length),
      send: (row) =>
        sendRow({ get, patch, post, request }, row, { update, key, signal: stop }).catch((problem) => {
          if (problem.status === 401) mine.abort(); // the session is over: no fault of the row
          throw problem;
        }),
      signal: stop,
      onPause: (until) => {
        now.pausedUntil = until;
        draw();
      },
      onOutcome: (row, { kind, problem }) => {
        now.done += 1;
        now.counts[kind] = (now.counts[kind] ?? 0) + 1;
        if (problem) now.failures.push({ row, problem });
        if (performance.now() - drawn < DRAWN_MS) return; // drawing thousands of times would freeze the page
        drawn = performance.now();
        draw();
      },
    });
  } finally {
    removeEventListener("beforeunload", warn);
    now.state = stop.aborted ? "stopped" : "done";
    now.failures.sort((one, other) => one.row.line - other.row.line);
    batch(draw);
  }
}

export const parar = () => stopping?.abort();

export function olvidarImportacion() {
  importacion.value = null;
}

/**
 * Hands over the rows that failed, as they were, with the reason: to be mended and imported again.
 *
 * @param {(failure: any) => string} reason
 */
export function descargarFallos(failures, reason) {
  const rows = failures.map((failure) => [
    failure.row.line,
    ...COLUMNAS.map((name) => failure.row.texts[name]),
    reason(failure),
  ]);
  saveAs("fallos.csv", "text/csv;charset=utf-8", format([["linea", ...COLUMNAS, "error"], ...rows]));
}

function warn(event) {
  event.preventDefault();
}
