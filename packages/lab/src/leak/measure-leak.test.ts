import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { decodeOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { readHeads } from "@unseen/fhe/graph/read-heads.ts";
import { defaultObfuscation } from "@unseen/fhe/obfuscation.ts";
import { identityHead } from "./heads.fixture.ts";
import { measureLeak, type LeakOptions } from "./measure-leak.ts";
import { drawPictures } from "./synthetic.ts";

const SIDE = 16;
const head = identityHead(SIDE);
const options: LeakOptions = {
  head,
  cut: 1,
  obfuscation: defaultObfuscation,
  pictures: drawPictures(head.shape, { train: 320, test: 40, seed: 1 }),
  scale: 1 / 255,
  seed: 1,
  effort: "quick",
};

test("features that are the picture are read, and the same seed gives the same numbers", async () => {
  const report = await measureLeak(options);
  assert.ok(report.psnr > 30, `${report.psnr} dB`);
  assert.ok(report.ssim > 0.95);
  assert.ok(report.psnrBaseline < 22);
  assert.deepEqual(report.attributes.at(-1), { name: "which of 40 pictures", recovered: 1, baseline: 1 / 40 });
  for (const { name, recovered } of report.attributes.slice(1)) assert.ok(recovered > 0.85, `${name}: ${recovered}`);
  assert.deepEqual([report.cut, report.data, report.trained, report.tested, report.decisionsKept], [1, "drawn chests", 280, 40, null]);
  const { width, height, format } = await sharp(report.pictures).metadata();
  assert.deepEqual([format, width, height], ["png", 10 * (4 * SIDE + 4) + 4, 2 * 4 * SIDE + 12]);
  assert.deepEqual({ ...(await measureLeak(options)), seconds: 0 }, { ...report, seconds: 0 });
});

test("of features that are noise nothing is read", async () => {
  const lines: string[] = [];
  const obfuscation = { ...defaultObfuscation, noise: 10 };
  const decide = (features: Float32Array): Promise<number> => Promise.resolve(Number(features.reduce((sum, value) => sum + value, 0) > 90));
  const report = await measureLeak({ ...options, obfuscation, decide, log: (line) => lines.push(line) });
  assert.ok(report.psnr < report.psnrBaseline + 0.3, `${report.psnr} dB, ${report.psnrBaseline} dB without features`);
  assert.ok(report.psnr > report.psnrBaseline - 2);
  for (const { name, recovered, baseline } of report.attributes) assert.ok(recovered < baseline + 0.15, `${name}: ${recovered}`);
  assert.ok(report.decisionsKept! < 0.9);
  assert.ok(lines.length >= report.inverters.length);
});

test("much is read from the bundled model's first layers, and decisions stay", async () => {
  const path = fileURLToPath(new URL("../../../unseen/models/xray-cnn/model.onnx", import.meta.url));
  const { heads } = readHeads(decodeOnnx(readFileSync(path)));
  const pictures = drawPictures(heads[0]!.shape, { train: 200, test: 20, seed: 1 });
  const largest = (features: Float32Array): Promise<number> => Promise.resolve(features.indexOf(Math.max(...features)));
  const report = await measureLeak({ ...options, head: heads[1]!, cut: 2, pictures, decide: largest });
  assert.ok(report.psnr > report.psnrBaseline + 6, `${report.psnr} dB, ${report.psnrBaseline} dB without features`);
  assert.equal(Math.max(...report.inverters.map(({ validationPsnr }) => validationPsnr)), report.inverters.find(({ name }) => name === report.best)!.validationPsnr); // prettier-ignore
  assert.ok(report.decisionsKept! > 0.9);
});

test("pictures of another size, too few of them and knobs out of range are refused", async () => {
  const refuses = (error: unknown): boolean => UnseenError.isInstance(error) && error.code === "USAGE";
  const few = drawPictures(head.shape, { train: 12, test: 40, seed: 1 });
  const small = drawPictures({ channels: 1, height: 8, width: 8 }, { train: 40, test: 8, seed: 1 });
  await assert.rejects(measureLeak({ ...options, pictures: few }), refuses);
  await assert.rejects(measureLeak({ ...options, pictures: small }), refuses);
  await assert.rejects(measureLeak({ ...options, obfuscation: { ...defaultObfuscation, noise: 0 } }), refuses);
});
