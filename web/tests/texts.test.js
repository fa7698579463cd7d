import assert from "node:assert/strict";
import { test } from "node:test";

import { keeping } from "./browser.js";

keeping();
const { chooseLanguage, explain } = await import("../lib/i18n.js");
const { sorted } = await import("../lib/form.js");
const { Problem } = await import("../lib/problems.js");
await chooseLanguage("en");

const away = (servicio) => explain(new Problem({ status: 503, slug: "servicio-no-disponible", extras: { servicio } }));

test("who does not answer is called by a name that people know", () => {
  assert.equal(away("base-de-datos"), "We cannot reach the database right now.");
  assert.equal(away("algo-nuevo"), "We cannot reach a service right now.");
  assert.equal(away(undefined), "We cannot reach a service right now.");
});

test("what a form has no field for is said above it, with the rest at its field", () => {
  const errores = [
    { campo: "actual", mensaje: "No es la contraseña actual." },
    { campo: "codigo", mensaje: "Falta: el segundo factor está activo." },
  ];
  const problem = new Problem({ status: 422, slug: "datos-invalidos", extras: { errores } });
  const missing = ["codigo", "Required: the second factor is active."];
  assert.deepEqual(sorted(problem, { elements: { actual: {} } }), {
    problem,
    others: [missing],
    faults: { actual: "Not the current password." },
  });
  const all = sorted(problem, { elements: { actual: {}, codigo: {} } });
  assert.deepEqual([all.problem, all.others, all.faults.codigo], [null, [], missing[1]]);
});
