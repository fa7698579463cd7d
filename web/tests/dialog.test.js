import assert from "node:assert/strict";
import { test } from "node:test";

import { keeping, loggedIn } from "./browser.js";

keeping();
const { confirm } = await import("../lib/dialog.js");
const { location } = await import("../lib/router.js");
const { olvidar } = await import("../lib/session.js");
await loggedIn("1");

const QUESTION = { title: "Complete it", text: "For good.", action: "Complete" };

test("a question is answered with no when its page is left, and not when its filters change", async () => {
  let answer = null;
  const asked = confirm(QUESTION).then((yes) => (answer = yes));
  location.value = { path: "/", query: { estado: "PENDIENTE" } };
  await null;
  assert.equal(answer, null);
  location.value = { path: "/gestion/pedidos", query: {} };
  assert.equal(await asked, false);
});

test("nobody says yes to what somebody else was asked", async () => {
  const asked = confirm(QUESTION);
  olvidar();
  assert.equal(await asked, false);
});
