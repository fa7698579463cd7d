import assert from "node:assert/strict";
import { test } from "node:test";

import { clock } from "../lib/format.js";
import { cents, decimal, total } from "../lib/money.js";
import { Problem, problemOf, retryAfterSeconds } from "../lib/problems.js";

test("money is counted in cents, exactly", () => {
  assert.equal(cents("19.90"), 1990n);
  assert.equal(cents("-0.5"), -50n);
  assert.equal(decimal(7n), "0.07");
  assert.equal(decimal(-1990n), "-19.90");
  assert.equal(
    total([
      { precio: "0.10", cantidad: 3 },
      { precio: "1000000.00", cantidad: 1_000_000 },
    ]),
    "1000000000000.30",
  );
  assert.equal(total([]), "0.00");
});

test("a countdown says minutes and seconds, and hours when there are some", () => {
  assert.equal(clock(899.2), "15:00");
  assert.equal(clock(5), "0:05");
  assert.equal(clock(3_725), "1:02:05");
  assert.equal(clock(-1), "0:00");
});

test("Retry-After is a number or a date, and never more than an hour", () => {
  assert.equal(retryAfterSeconds("7"), 7);
  assert.equal(retryAfterSeconds("Wed, 21 Oct 2015 07:28:10 GMT", Date.parse("2015-10-21T07:28:00Z")), 10);
  assert.equal(retryAfterSeconds("99999"), 3600);
  assert.equal(retryAfterSeconds("soon"), null);
  assert.equal(retryAfterSeconds(null), null);
});

test("a problem document becomes an error; what is none, too", async () => {
  const headers = { "Retry-After": "3", "X-Request-Id": "abc" };
  const body = { type: "https://comanda.dev/problemas/total-distinto", title: "T", detail: "D", total: "2.00" };
  const problem = await problemOf(new Response(JSON.stringify(body), { status: 409, headers }));
  assert.deepEqual(
    [problem.slug, problem.status, problem.extras, problem.retryAfter, problem.requestId],
    ["total-distinto", 409, { total: "2.00" }, 3, "abc"],
  );
  assert.equal((await problemOf(new Response("<html>", { status: 502 }))).slug, "http-502");
});

test("of several objections to a field the first is shown", () => {
  const errores = [
    { campo: "email", mensaje: "uno" },
    { campo: "email", mensaje: "dos" },
  ];
  assert.deepEqual(new Problem({ slug: "datos-invalidos", status: 422, extras: { errores } }).fields, { email: "uno" });
});
