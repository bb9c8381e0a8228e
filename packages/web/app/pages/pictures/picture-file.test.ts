import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { MAXIMUM_BYTES, readPicture, typeOf } from "./picture-file.ts";

test("a picture is told by how it begins", async () => {
  const example = await readFile(new URL("../../../../unseen/models/xray-cnn/example.png", import.meta.url));
  assert.equal(typeOf(example), "image/png");
  assert.equal(typeOf(Uint8Array.of(0xff, 0xd8, 0xff, 0xe0)), "image/jpeg");
  assert.equal(typeOf(new TextEncoder().encode("RIFF1234WEBPVP8 ")), "image/webp");
  for (const text of ["", "<svg xmlns='http://www.w3.org/2000/svg'/>", "GIF89a", "%PDF-1.7", "RIFF1234WAVE"])
    assert.equal(typeOf(new TextEncoder().encode(text)), null, text);
});

test("too large a file is refused before it is read", async () => {
  await assert.rejects(readPicture(new Blob([new Uint8Array(MAXIMUM_BYTES + 1)]), "large.png"), /is the most/);
});

test("what is no picture is refused whatever its name says", async () => {
  await assert.rejects(readPicture(new Blob(["hello"]), "scan.png"), /no PNG, JPEG or WebP/);
});
