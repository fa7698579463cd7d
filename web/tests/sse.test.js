import assert from "node:assert/strict";
import { test } from "node:test";

import { parser } from "../lib/sse.js";

const WHOLE = 'id: 7\nevent: pedido\ndata: {"a": 1}\n\n: beat\n\ndata: one\ndata:two\n\n';
const EVENTS = [
  { event: "pedido", data: '{"a": 1}', id: "7" },
  { event: "message", data: "one\ntwo", id: "7" },
];

test("events with names, ids and several lines; comments are none", () => {
  assert.deepEqual(parser()(WHOLE), EVENTS);
});

test("it makes no difference where the text is cut", () => {
  for (let at = 0; at <= WHOLE.length; at += 1) {
    const parse = parser();
    assert.deepEqual([...parse(WHOLE.slice(0, at)), ...parse(WHOLE.slice(at))], EVENTS, `cut at ${at}`);
  }
});

test("lines end with CR, LF or both, also when those are cut apart", () => {
  const text = WHOLE.replaceAll("\n", "\r\n");
  for (let at = 0; at <= text.length; at += 1) {
    const parse = parser();
    assert.deepEqual([...parse(text.slice(0, at)), ...parse(text.slice(at))], EVENTS, `cut at ${at}`);
  }
  assert.deepEqual(parser()(`${WHOLE.replaceAll("\n", "\r")}:`), EVENTS);
});

test("an event that was not finished is not told", () => {
  assert.deepEqual(parser()("data: half\n"), []);
});
