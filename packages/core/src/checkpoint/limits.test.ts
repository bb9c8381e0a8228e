/** The page on formats states the limits that the code enforces. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as checks from "./checks.ts";
import * as wire from "./gguf-wire.ts";
import * as gguf from "./gguf.ts";
import * as onnxEncode from "./onnx-encode.ts";
import * as onnxExternal from "./onnx-external.ts";
import * as onnxReader from "./onnx-reader.ts";
import * as onnxText from "./onnx-text.ts";
import * as protobuf from "./protobuf.ts";
import * as header from "./safetensors-header.ts";
import * as safetensors from "./safetensors.ts";

const page = readFileSync(new URL("../../../../docs/reference/formats.md", import.meta.url), "utf8");
const rows = page.split("\n").map((line) =>
  line
    .split("|")
    .slice(1)
    .map((cell) => cell.trim()),
);
const modules = { checks, wire, gguf, header, safetensors, protobuf, onnxReader, onnxText, onnxExternal, onnxEncode };

test("docs/reference/formats.md lists every limit with its value", () => {
  let found = 0;
  for (const [module, exports] of Object.entries(modules)) {
    for (const [name, value] of Object.entries(exports)) {
      if (!name.startsWith("MAXIMUM_") || typeof value !== "number") continue;
      const row = rows.find(([limit, stated]) => limit === `\`${name}\`${label(module, name)}` && stated === value.toLocaleString("en-US"));
      assert.ok(row, `${name} of ${module}, ${value}`);
      found += 1;
    }
  }
  assert.equal(found, page.match(/^\| `MAXIMUM_/gm)?.length);
});

/** Both formats limit their headers. */
function label(module: string, name: string): string {
  if (name !== "MAXIMUM_HEADER_BYTES") return "";
  return module === "wire" ? " (GGUF)" : " (safetensors)";
}
