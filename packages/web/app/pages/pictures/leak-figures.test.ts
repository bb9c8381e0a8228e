import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import file from "../../../../unseen/models/xray-cnn/leak.json" with { type: "json" };
import { bundledLeak, leakInWords, nearestMeasured } from "./leak-figures.ts";
import { DEFAULT_BITS, DEFAULT_NOISE, NOISES } from "./settings.ts";

test("the figures are of the network that comes along, and of its three cuts with the default setting", async () => {
  const model = await readFile(new URL("../../../../unseen/models/xray-cnn/model.onnx", import.meta.url));
  assert.equal(file.model, createHash("sha256").update(model).digest("hex"));
  for (const cut of [1, 2, 3]) {
    const found = nearestMeasured({ cut, noise: DEFAULT_NOISE, bits: DEFAULT_BITS }, bundledLeak.measurements);
    assert.equal(found?.exact, true, `cut ${cut}`);
    assert.ok(found!.measurement.psnr > bundledLeak.psnrBaseline);
  }
});

test("every measured noise is a stop of the slider", () => {
  for (const { noise } of bundledLeak.measurements) assert.ok(NOISES.includes(noise), String(noise));
});

test("a setting that was not measured gets the nearest of its own cut, and says so", () => {
  const measured = bundledLeak.measurements;
  const strong = nearestMeasured({ cut: 2, noise: 1, bits: DEFAULT_BITS }, measured)!;
  assert.deepEqual([strong.exact, strong.measurement.cut, strong.measurement.noise], [false, 2, 0.4]);
  const coarse = nearestMeasured({ cut: 3, noise: DEFAULT_NOISE, bits: 3 }, measured)!;
  assert.equal(coarse.exact, false);
  assert.ok([2, 4].includes(coarse.measurement.bits));
  assert.equal(nearestMeasured({ cut: 4, noise: 0.2, bits: 12 }, measured), null);
});

test("words get weaker only where less comes back", () => {
  const words = (psnr: number, ssim: number): string => leakInWords({ psnr, ssim }, { psnrBaseline: 18.2 });
  assert.match(words(57, 1), /almost as they were/);
  assert.match(words(27, 0.9), /recognisable/);
  assert.match(words(20.5, 0.73), /Parts/);
  assert.match(words(18.5, 0.64), /Little more/);
});
