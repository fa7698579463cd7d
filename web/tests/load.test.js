import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { keeping, problem } from "./browser.js";

keeping();
const { html, render } = await import("../lib/html.js");
const { usePages } = await import("../lib/load.js");

/** A list of that many, three a page. */
const numbers = (count) => async (address) => {
  const from = Number(new URL(address, "http://tienda").searchParams.get("cursor") ?? 0);
  const elementos = Array.from({ length: count }, (_, at) => ({ id: at })).slice(from, from + 3);
  return Response.json({ elementos, siguiente: from + 3 < count ? String(from + 3) : null });
};

const place = { childNodes: [], firstChild: null, nodeType: 1 };
let pages = null;
let told = () => {};

function Probe({ query }) {
  pages = usePages("/pedidos", query);
  told();
  return null;
}

const show = (query) => render(html`<${Probe} query=${query} />`, place);

/** Once what the list says of itself is so. */
async function until(so) {
  while (!so()) await new Promise((resolve) => (told = resolve));
}

const shown = () => pages.items?.map(({ id }) => id);
const settled = () => !pages.loading;

afterEach(() => render(null, place));

test("what is read again is as long as what is shown", async () => {
  globalThis.fetch = numbers(8);
  show({});
  await until(() => settled() && pages.items.length === 3);
  pages.more();
  await until(() => settled() && pages.items.length === 6);
  globalThis.fetch = numbers(100);
  await pages.reload();
  await until(settled);
  assert.deepEqual(shown(), [0, 1, 2, 3, 4, 5]);
});

test("more that was asked for comes, although it is all read again meanwhile", async () => {
  globalThis.fetch = numbers(8);
  show({});
  await until(() => settled() && pages.items.length === 3);
  await Promise.all([pages.more(), pages.reload()]);
  await until(settled);
  assert.equal(pages.items.length, 6);
});

test("what another question was answered with is not shown as the answer to this one", async () => {
  globalThis.fetch = numbers(2);
  show({ estado: "PENDIENTE" });
  await until(() => settled() && pages.items.length === 2);
  globalThis.fetch = async () => problem(503, "servicio-saturado");
  show({ estado: "CANCELADO" });
  await until(() => settled() && pages.problem);
  assert.deepEqual([pages.items, pages.hasMore], [null, false]);
});
