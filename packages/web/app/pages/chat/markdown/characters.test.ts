/**
 * Characters by name and by number, and those that hide.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeEntities, showHidden } from "./characters.ts";

test("characters by name and number become themselves, once", () => {
  assert.equal(decodeEntities("a &lt;b&gt; &amp;lt; &#65;&#x42; &mdash; &unknown; & &lt"), "a <b> &lt; AB — &unknown; & &lt");
  assert.equal(decodeEntities("&#0;&#xD800;&#x110000;&#9999999;"), "\ufffd".repeat(4));
  assert.equal(decodeEntities("&constructor;&__proto__;&toString;"), "&constructor;&__proto__;&toString;");
});

test("characters that change the order or hide are written out", () => {
  assert.equal(showHidden("if (a\u202e\u2066) b\u200b\ufeff"), "if (a‹202e›‹2066›) b‹200b›‹feff›");
  assert.equal(showHidden("plain ünïcode 文"), "plain ünïcode 文");
});
