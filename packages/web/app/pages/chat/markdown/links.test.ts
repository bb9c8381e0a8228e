/**
 * Which addresses may be opened from an answer.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { safeLink } from "./links.ts";

const HERE = "http://127.0.0.1:8800";

test("addresses of the web and of mail may be opened, as they really are", () => {
  assert.equal(safeLink("https://example.com/a?b=c#d", HERE), "https://example.com/a?b=c#d");
  assert.equal(safeLink("HTTP://Example.COM", HERE), "http://example.com/");
  assert.equal(safeLink("mailto:a@b.example", HERE), "mailto:a@b.example");
  // A Cyrillic letter among Latin ones shows.
  assert.equal(safeLink("https://b\u0430nk.example/", HERE), "https://xn--bnk-6cd.example/");
});

test("everything else may not", () => {
  for (const address of [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "\u0001javascript:alert(1)",
    " javascript:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "blob:https://example.com/1",
    "file:///etc/passwd",
    "ftp://example.com/",
    "/chat",
    "//example.com/",
    "chat",
    "",
    "https://",
    "https://user@example.com/",
    "https://user:password@example.com/",
    `${HERE}/#access=stolen`,
    `https://example.com/${"a".repeat(2_000)}`,
  ])
    assert.equal(safeLink(address, HERE), null, address);
});
