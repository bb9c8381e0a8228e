import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { deflateSync } from "node:zlib";
import type { ImagePreprocessing } from "@unseen/core/blueprint/interface.ts";
import type { ErrorCode, UnseenError } from "@unseen/core/errors.ts";
import fc from "fast-check";
import sharp, { type Sharp } from "sharp";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { decodePicture, MAXIMUM_PICTURE_BYTES } from "./decode.ts";
import { preprocess, readPicture } from "./preprocess.ts";
import { resize, type Picture } from "./resample.ts";

const settings: ImagePreprocessing = {
  width: 28,
  height: 28,
  channels: 1,
  rescale: 1,
  mean: [0],
  deviation: [1],
  layout: "NCHW",
  shortestEdge: null,
  resample: "bilinear",
};
const colours: ImagePreprocessing = { ...settings, channels: 3, mean: [0, 0, 0], deviation: [1, 1, 1] };

const refuses =
  (code: ErrorCode, message = /./) =>
  (error: UnseenError): boolean =>
    error.code === code && message.test(error.line);

/** Pixels that differ. */
function pixels(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 97 + (i >> 3) * 31) % 256);
}

const encode = (data: Uint8Array, width: number, height: number, channels: 1 | 2 | 3 | 4): Sharp =>
  sharp(Buffer.from(data), { raw: { width, height, channels } });

test("a grey PNG of the model's own size comes through bit for bit", async () => {
  const greys = pixels(28 * 28);
  const file = await encode(greys, 28, 28, 1).toColourspace("b-w").png().toBuffer();
  const { shape, values } = await readPicture(file, settings);
  assert.deepEqual(shape, [1, 1, 28, 28]);
  assert.deepEqual([...values], [...greys]);
});

test("colours come through bit for bit, in the order of the layout", async () => {
  const data = pixels(4 * 2 * 3);
  const file = await encode(data, 4, 2, 3).png().toBuffer();
  const small = { ...colours, width: 4, height: 2 };
  assert.deepEqual([...(await readPicture(file, { ...small, layout: "NHWC" })).values], [...data]);
  const planes = [0, 1, 2].flatMap((channel) => [...data].filter((_, i) => i % 3 === channel));
  const planar = await readPicture(file, small);
  assert.deepEqual([...planar.values], planes);
  assert.deepEqual(planar.shape, [1, 3, 2, 4]);
  const grey = await readPicture(file, { ...settings, width: 4, height: 2, layout: "NHW" });
  assert.deepEqual(grey.shape, [1, 2, 4]);
  assert.deepEqual(
    [...grey.values],
    Array.from({ length: 8 }, (_, i) => (data[3 * i]! * 19595 + data[3 * i + 1]! * 38470 + data[3 * i + 2]! * 7471 + 32768) >>> 16),
  );
});

test("values are scaled, centred and divided per channel", () => {
  const picture: Picture = { width: 1, height: 1, channels: 3, pixels: Uint8Array.of(255, 51, 0) };
  const { values } = preprocess(picture, {
    ...colours,
    width: 1,
    height: 1,
    rescale: 1 / 255,
    mean: [0.5, 0, 0.5],
    deviation: [0.5, 2, 0.25],
  });
  [1, 0.1, -2].forEach((value, i) => assert.ok(Math.abs(values[i]! - value) < 1e-12));
});

test("the photographs are decoded and resized to Pillow's very bytes", needs("data/vision/cat.jpg"), async () => {
  const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex").slice(0, 16);
  // Computed with Pillow 12.3.
  for (const [name, decoded, ...resized] of PILLOW) {
    const picture = await decodePicture(await readFile(sharedPath(`data/vision/${name}.jpg`)!));
    assert.equal(digest(picture.pixels), decoded, name);
    for (const [place, resample] of (["nearest", "bilinear", "bicubic", "lanczos"] as const).entries()) {
      const both = Buffer.concat([resize(picture, 224, 224, resample).pixels, resize(picture, 701, 503, resample).pixels]);
      assert.equal(digest(both), resized[place], `${name} ${resample}`);
    }
  }
});

test("resizing keeps an even colour even, and a size that is already right changes nothing", () => {
  const sizes = fc.integer({ min: 1, max: 40 });
  fc.assert(
    fc.property(
      fc.tuple(sizes, sizes, sizes, sizes, fc.integer({ min: 0, max: 255 })),
      fc.constantFrom("nearest" as const, "bilinear" as const, "bicubic" as const, "lanczos" as const),
      ([width, height, toWidth, toHeight, grey], resample) => {
        const even: Picture = { width, height, channels: 1, pixels: new Uint8Array(width * height).fill(grey) };
        const result = resize(even, toWidth, toHeight, resample);
        assert.equal(result.pixels.length, toWidth * toHeight);
        assert.ok(result.pixels.every((value) => value === grey));
        const other: Picture = { ...even, pixels: pixels(width * height) };
        assert.deepEqual(resize(other, width, height, resample).pixels, other.pixels);
      },
    ),
    { numRuns: 300 },
  );
});

test("the shorter side is fitted and the centre cut out; what lies outside is black", () => {
  const wide: Picture = { width: 8, height: 2, channels: 1, pixels: Uint8Array.from({ length: 16 }, (_, i) => i) };
  const rgb: Picture = { ...wide, channels: 3, pixels: Uint8Array.from({ length: 48 }, (_, i) => wide.pixels[Math.floor(i / 3)]!) };
  const cut = preprocess(rgb, { ...settings, width: 2, height: 2, shortestEdge: 2 });
  assert.deepEqual([...cut.values], [3, 4, 11, 12]);
  const padded = preprocess(rgb, { ...settings, width: 10, height: 4, shortestEdge: 2 });
  assert.deepEqual(Array.from(padded.values.slice(10, 20)), [0, 0, 1, 2, 3, 4, 5, 6, 7, 0]);
  assert.deepEqual(Array.from(padded.values.slice(0, 10)), Array(10).fill(0));
});

test("other formats give the same pixels where they are lossless; only the first frame of several is read", async () => {
  const data = pixels(6 * 6 * 3);
  for (const file of [
    await encode(data, 6, 6, 3).webp({ lossless: true }).toBuffer(),
    await encode(data, 6, 6, 3).tiff({ compression: "lzw" }).toBuffer(),
  ])
    assert.deepEqual([...(await decodePicture(file)).pixels], [...data]);
  const frames = Buffer.concat([new Uint8Array(4 * 4 * 3).fill(255), new Uint8Array(4 * 4 * 3)]);
  const gif = await sharp(frames, { raw: { width: 4, height: 8, channels: 3, pageHeight: 4 } })
    .gif()
    .toBuffer();
  const { width, height, pixels: first } = await decodePicture(gif);
  assert.deepEqual([width, height], [4, 4]);
  assert.ok(first.every((value) => value === 255));
});

test("pictures are turned upright, and lose their transparency as they are", async () => {
  const data = Uint8Array.of(10, 10, 10, 200, 200, 200);
  const turned = await encode(data, 2, 1, 3).withMetadata({ orientation: 6 }).png().toBuffer();
  const { width, height, pixels: upright } = await decodePicture(turned);
  assert.deepEqual([width, height, ...upright], [1, 2, ...data]);
  const clear = await encode(Uint8Array.of(9, 8, 7, 0), 1, 1, 4)
    .png()
    .toBuffer();
  assert.deepEqual([...(await decodePicture(clear)).pixels], [9, 8, 7]);
  const deep = await sharp(Buffer.from(Uint16Array.of(0x1234, 0x5678, 0x9abc).buffer), { raw: { width: 1, height: 1, channels: 3 } })
    .png()
    .toBuffer();
  assert.equal((await decodePicture(deep)).channels, 3);
});

test("what is no picture, or no pixel picture, is refused by name", async () => {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file:///etc/passwd" width="9" height="9"/></svg>';
  for (const text of [svg, `<?xml version="1.0"?>${svg}`, "%PDF-1.7", "", "GIF", "id,label\n1,2"])
    await assert.rejects(decodePicture(Buffer.from(text)), refuses("REQUEST_INVALID", /PNG, JPEG, WebP, GIF or TIFF/));
  await assert.rejects(
    decodePicture(Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), Buffer.from(svg)])),
    refuses("REQUEST_INVALID", /damaged/),
  );
});

test("a cut-off or mangled file is refused and never crashes", async () => {
  const whole = await encode(pixels(64 * 64 * 3), 64, 64, 3)
    .jpeg()
    .toBuffer();
  await assert.rejects(decodePicture(whole.subarray(0, whole.length >> 1)), refuses("REQUEST_INVALID"));
  const png = await encode(pixels(16 * 16 * 3), 16, 16, 3)
    .png()
    .toBuffer();
  await fc.assert(
    fc.asyncProperty(fc.nat(png.length - 9), fc.nat(255), async (place, value) => {
      const mangled = Buffer.from(png);
      mangled[8 + place] = value;
      await decodePicture(mangled).catch((error: UnseenError) => assert.match(error.code, /^REQUEST_/));
    }),
    { numRuns: 100 },
  );
});

test("a small file that claims to be a wall is refused before it is unpacked", async () => {
  await assert.rejects(decodePicture(emptyPng(100_000, 100_000)), refuses("REQUEST_TOO_LARGE"));
  await assert.rejects(decodePicture(new Uint8Array(MAXIMUM_PICTURE_BYTES + 1)), refuses("REQUEST_TOO_LARGE"));
});

test("a picture one pixel high is not blown up to the model's height", () => {
  const thin: Picture = { width: 60_000, height: 1, channels: 3, pixels: new Uint8Array(180_000) };
  assert.throws(() => preprocess(thin, { ...colours, width: 224, height: 224, shortestEdge: 224 }), refuses("REQUEST_INVALID", /sides/));
});

test("settings that contradict each other are BUNDLE_INVALID", async () => {
  const file = await encode(pixels(3), 1, 1, 3).png().toBuffer();
  for (const wrong of [
    { mean: [0, 0] },
    { deviation: [0] },
    { channels: 3, layout: "NHW", mean: [0, 0, 0], deviation: [1, 1, 1] },
  ] as const)
    await assert.rejects(readPicture(file, { ...settings, ...wrong } as ImagePreprocessing), refuses("BUNDLE_INVALID"));
});

/** A PNG whose header promises more pixels than its data hold. */
function emptyPng(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const ends = Buffer.alloc(8);
    ends.writeUInt32BE(data.length, 0);
    ends.writeUInt32BE(checksum(body), 4);
    return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
  };
  const parts = [chunk("IHDR", header), chunk("IDAT", deflateSync(Buffer.alloc(1))), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), ...parts]);
}

/** CRC-32 as PNG uses it. */
function checksum(data: Buffer): number {
  let sum = 0xffffffff;
  for (const byte of data) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}

/** SHA-256 of the decoded bytes, and of the bytes at 224 x 224 and 701 x 503 with each filter. */
const PILLOW: readonly (readonly [name: string, decoded: string, ...resized: string[]])[] = [
  ["cat", "384373cb2622096b", "7318f4e610885b71", "cbd67989ba3be9f6", "c67d02e3852d246c", "d7081342f7fee2f2"],
  ["dog", "a0acf8925d3b19a9", "448bca37418b99b1", "4863ea5b78d8481c", "d8fa0f82ab756c85", "8b63201c6f25bb3c"],
  ["daisy", "47206de46a8b7b8a", "b1c475c81dda8482", "695d4d393e25f061", "eb370a9ec8db8403", "86e22279651dbf9b"],
  ["goldfish", "e856094652624079", "ac07469da99062f7", "d5d588835e6979f0", "4fef15f1bfca2431", "b7f6f2b39b83fcee"],
];
