import assert from "node:assert/strict";
import { test } from "node:test";
import { WireView } from "./wire-view.ts";

test("shows ids, the mask that went with them, and numbers, and counts what is too long", () => {
  const view = new WireView();
  const ids = Array.from({ length: 30 }, (_, id) => id + 100);
  const mask = ids.map((id) => id % 2);
  view.record({ host: "http://h", direction: "sent", ids, mask });
  view.record({ host: "http://h", direction: "received", ids: [], values: [0.5, 2] });
  assert.deepEqual([view.sent, view.masks, view.numbers.received], [ids, [mask], [[0.5, 2]]]);
  const [first, second, third, last] = view.lines() as [string, string, string, string];
  assert.match(first, /^ {2}host saw {3}100 101 .* 123 … \(30 tokens\)$/);
  assert.match(second, /^ {2}host saw {3}mask 0 1 0 .* 1 … \(15 of 30\)$/);
  assert.match(third, /^ {2}host said {2}0\.5000 2\.000 \(2 numbers\)$/);
  assert.match(last, /http:\/\/h; ids under your key, no text/);
});

test("ids without a mask have no line for one", () => {
  const view = new WireView();
  view.record({ host: "http://h", direction: "sent", ids: [1, 2] });
  view.record({ host: "http://h", direction: "received", ids: [3] });
  assert.deepEqual(view.masks, []);
  assert.deepEqual(
    view.lines().map((line) => line.trim()),
    ["host saw   1 2 (2 tokens)", "host said  3 (1 token)", "(http://h; ids under your key, no text)"],
  );
});
