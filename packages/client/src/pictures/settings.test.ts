import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "@unseen/core/blueprint/config.ts";
import type { UnseenError } from "@unseen/core/errors.ts";
import { readImageSettings } from "./settings.ts";

const NCHW = ["batch", 3, 224, 224] as const;
const imagenet = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] };
const read = (preprocessor: JsonObject | null, shape: readonly (number | string)[] = NCHW, config: JsonObject | null = null) =>
  readImageSettings(shape, { preprocessor, config });

test("ViT: both sides are fitted", () => {
  const vit = {
    do_resize: true,
    size: { height: 224, width: 224 },
    resample: 2,
    do_normalize: true,
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
  };
  assert.deepEqual(read(vit), {
    width: 224,
    height: 224,
    channels: 3,
    rescale: 1 / 255,
    mean: [0.5, 0.5, 0.5],
    deviation: [0.5, 0.5, 0.5],
    layout: "NCHW",
    shortestEdge: null,
    resample: "bilinear",
  });
  assert.equal(read({ ...vit, size: 224 })?.shortestEdge, null);
});

test("CLIP: the shorter side, then the centre", () => {
  const clip = { size: { shortest_edge: 224 }, crop_size: { height: 224, width: 224 }, do_center_crop: true, resample: 3, ...imagenet };
  const settings = read(clip, ["batch", 3, "height", "width"]);
  assert.deepEqual([settings?.shortestEdge, settings?.width, settings?.resample], [224, 224, "bicubic"]);
  assert.equal(read({ ...clip, size: 256, crop_size: 224 })?.shortestEdge, 256, "older files write numbers");
});

test("ConvNeXt: a little larger than what is cut out, except at high resolutions", () => {
  const convnext = { size: { shortest_edge: 224 }, crop_pct: 0.875, ...imagenet };
  assert.equal(read(convnext)?.shortestEdge, 256);
  assert.equal(read({ ...convnext, size: { shortest_edge: 384 } }, ["batch", 3, 384, 384])?.shortestEdge, null);
});

test("a config.json with image_size, num_channels and rescale_factor alone", () => {
  const config = { image_size: 28, num_channels: 1, rescale_factor: 1 / 255 };
  assert.deepEqual(read(null, ["batch", 1, 28, 28], config), {
    width: 28,
    height: 28,
    channels: 1,
    rescale: 1 / 255,
    mean: [0],
    deviation: [1],
    layout: "NCHW",
    shortestEdge: null,
    resample: "bilinear",
  });
});

test("without any file the graph says the size, and the layout", () => {
  assert.deepEqual([read(null)?.width, read(null)?.rescale], [224, 1 / 255]);
  assert.equal(read(null, ["batch", 32, 32, 3])?.layout, "NHWC");
  assert.deepEqual([read(null, ["batch", 28, 28])?.layout, read(null, ["batch", 28, 28])?.channels], ["NHW", 1]);
  assert.equal(read(null, ["batch", 768]), null);
  assert.equal(read(null, ["batch", 12, 64, 64]), null);
});

test("switches are followed", () => {
  const off = { do_rescale: false, do_normalize: false, size: { height: 224, width: 224 }, ...imagenet };
  assert.deepEqual([read(off)?.rescale, read(off)?.mean, read(off)?.deviation], [1, [0, 0, 0], [1, 1, 1]]);
});

const size = { height: 224, width: 224 };
const wrong: readonly (readonly [field: string, JsonObject])[] = [
  ["resample", { size, resample: 5 }],
  ["size", { size: { height: 96, width: 96 } }],
  ["size.width", { size: { height: 224 } }],
  ["size.shortest_edge", { size: { shortest_edge: -1 } }],
  ["size.longest_edge", { size: { shortest_edge: 224, longest_edge: 300 } }],
  ["crop_size", { size: { height: 256, width: 256 }, crop_size: { height: 224, width: 224 } }],
  ["image_mean", { size, image_mean: [0.5], image_std: [0.5] }],
  ["image_std", { size, ...imagenet, image_std: ["a", "b", "c"] }],
  ["rescale_factor", { size, rescale_factor: "1/255" }],
];
for (const [field, preprocessor] of wrong) {
  test(`${field} that cannot be followed is refused by name: ${JSON.stringify(preprocessor)}`, () => {
    assert.throws(
      () => read(preprocessor),
      (error: UnseenError) => error.code === "FAMILY_UNSUPPORTED_VALUE" && error.message.includes(` ${field}:`),
    );
  });
}
