import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import { escapeText, html, trusted, visible } from "./escape.ts";

describe("HTML", () => {
  test("values become text", () => {
    assert.equal(html`<p>${"<script>alert(1)</script> & co"}</p>`.toString(), "<p>&lt;script&gt;alert(1)&lt;/script&gt; &amp; co</p>");
  });

  test("values do not leave quoted attributes", () => {
    const hostile = `" onload="x" '\``;
    assert.equal(html`<p title="${hostile}"></p>`.toString(), `<p title="&quot; onload=&quot;x&quot; &#39;&#96;"></p>`);
  });

  test("an attribute without quotes is a defect", () => {
    const parts = Object.assign(["<p title=", "></p>"], { raw: [] }) as TemplateStringsArray;
    assert.throws(
      () => html(parts, "x"),
      (error) => UnseenError.isInstance(error) && error.code === "INTERNAL",
    );
  });

  test("markup stays, lists are joined, null is nothing", () => {
    const item = html`<b>${"<"}</b>`;
    assert.equal(html`${[item, [item, "&"]]}${null}${3}${trusted("<hr>")}`.toString(), "<b>&lt;</b><b>&lt;</b>&amp;3<hr>");
  });

  test("characters that hide others become visible", () => {
    assert.equal(visible("a\u202Eb\u0000c\u001b[31md\u2066\u200fe\ud800"), "a\uFFFDb\uFFFDc\uFFFD[31md\uFFFD\uFFFDe\uFFFD");
    assert.equal(escapeText("naïve\tüber\n語 – 👩"), "naïve\tüber\n語 – 👩");
  });
});
