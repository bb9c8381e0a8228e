/**
 * `npm run build:leak`: measures what the creator can rebuild of pictures behind each cut of the bundled network, and writes it beside the
 * model, for the page that shows a cut's leak next to its cost. The pictures in the file are drawings, rebuilt by attackers who learnt from
 * real ones: nobody's X-ray comes along. `npm run build:leak -- --pictures` draws these anew and leaves the figures.
 * @module
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { writeFileAtomically } from "@unseen/client/atomic-file.ts";
import { largest } from "@unseen/client/encoders/scores.ts";
import { defaultObfuscation } from "@unseen/fhe/obfuscation.ts";
import { measureLeak, type LeakReport } from "@unseen/lab/leak/measure-leak.ts";
import { readPictures, type PictureSet } from "@unseen/lab/leak/pictures.ts";
import { drawPictures } from "@unseen/lab/leak/synthetic.ts";
import { sharedPath } from "../tests/shared.ts";
import { openTails } from "./xray-runtime.ts";
import { openXray, XRAY_MODEL } from "./xray-subjects.ts";

const OUTPUT = fileURLToPath(new URL("../packages/unseen/models/xray-cnn/leak.json", import.meta.url));
const DATA = "data/vision/pneumoniamnist.npz";
const COUNTS = { train: 1000, test: 100, seed: 1 };
/** Those that a reader looks for first come first: what was measured is kept when the work is stopped. */
const NOISES = [defaultObfuscation.noise, 0.2, 0.05, 0.1, 0.4];
const BITS = [2, 4];
/** Pairs of pictures that are kept of each setting. */
const PAIRS = 5;
/** Drawings that are rebuilt. */
const DRAWN = 10;

const path = sharedPath(DATA);
if (!path) {
  process.stderr.write(`build:leak: ${DATA} is not here; the figures are measured on the test data (CONTRIBUTING.md).\n`);
  process.exit(1);
}
const { model, heads } = await openXray(1);
const pictures = await readPictures(path, heads[0]!.shape, COUNTS);
const drawn = {
  ...pictures,
  train: withoutLabels(pictures.train),
  test: withoutLabels(drawPictures(heads[0]!.shape, { ...COUNTS, test: DRAWN }).test),
};
const kept = process.argv.includes("--pictures") ? (JSON.parse(await readFile(OUTPUT, "utf8")) as Content) : null;
const tails = await openTails(model, heads.length);
const digest = createHash("sha256")
  .update(await readFile(XRAY_MODEL))
  .digest("hex");
const settings = [
  ...NOISES.map((noise) => ({ noise, bits: defaultObfuscation.bits })),
  ...BITS.map((bits) => ({ noise: defaultObfuscation.noise, bits })),
];
const measurements: Measurement[] = [];
let surroundings: Pick<Content, "data" | "trained" | "tested" | "psnrBaseline" | "ssimBaseline"> | null = kept;

try {
  for (const { noise, bits } of settings)
    for (const [index, head] of heads.entries()) {
      const cut = index + 1;
      const common = { head, cut, obfuscation: { ...defaultObfuscation, noise, bits }, scale: 1 / 255, seed: COUNTS.seed };
      const before = kept?.measurements.find((one) => one.cut === cut && one.noise === noise && one.bits === bits);
      const figures =
        before ??
        figuresOf(await measureLeak({ ...common, pictures, decide: async (features) => largest(await tails.run(cut, features)) }));
      measurements.push({ ...figures, pictures: await reduce((await measureLeak({ ...common, pictures: drawn })).pictures) });
      await write();
      process.stdout.write(`cut ${cut}, noise ${noise}, ${bits} bits: ${figures.psnr.toFixed(1)} dB\n`);
    }
} finally {
  tails.close();
}

interface Measurement {
  readonly cut: number;
  readonly noise: number;
  readonly bits: number;
  readonly psnr: number;
  readonly ssim: number;
  readonly attributes: LeakReport["attributes"];
  readonly decisionsKept: number | null;
  readonly best: string;
  /** Base64 of a PNG: pictures above, what was rebuilt of them below. */
  readonly pictures: string;
}

/** The form of the file. */
interface Content {
  readonly data: string;
  readonly trained: number;
  readonly tested: number;
  readonly psnrBaseline: number;
  readonly ssimBaseline: number;
  readonly measurements: readonly Measurement[];
}

function figuresOf(report: LeakReport): Omit<Measurement, "pictures"> {
  const { cut, obfuscation, psnr, ssim, attributes, decisionsKept, best, trained, tested, data, psnrBaseline, ssimBaseline } = report;
  surroundings = { data, trained, tested, psnrBaseline: round(psnrBaseline, 2), ssimBaseline: round(ssimBaseline, 4) };
  return {
    cut,
    noise: obfuscation.noise,
    bits: obfuscation.bits,
    psnr: round(psnr, 2),
    ssim: round(ssim, 4),
    attributes: attributes.map(({ name, recovered, baseline }) => ({ name, recovered: round(recovered, 4), baseline: round(baseline, 4) })),
    decisionsKept: decisionsKept === null ? null : round(decisionsKept, 4),
    best,
  };
}

/** The first pairs of a sheet, each picture in its own size again. */
async function reduce(sheet: Uint8Array): Promise<string> {
  const { width, height } = await sharp(sheet).metadata();
  const enlarged = 4;
  const small = await sharp(sheet)
    .resize(width / enlarged, height / enlarged, { kernel: "nearest" })
    .png()
    .toBuffer();
  const side = heads[0]!.shape.width + 1;
  const cut = sharp(small).extract({ left: 0, top: 0, width: PAIRS * side + 1, height: height / enlarged });
  return (await cut.toColourspace("b-w").png({ compressionLevel: 9 }).toBuffer()).toString("base64");
}

async function write(): Promise<void> {
  const content = {
    note: "What the creator can rebuild of pictures from the features of each cut, by an attacker who knows the network, the knobs and public pictures of the same kind. Written by the command; PSNR in dB, shares 0 to 1, means over the tested pictures.",
    command: "npm run build:leak",
    model: digest,
    data: surroundings!.data,
    trained: surroundings!.trained,
    tested: surroundings!.tested,
    psnrBaseline: surroundings!.psnrBaseline,
    ssimBaseline: surroundings!.ssimBaseline,
    seed: COUNTS.seed,
    effort: "full",
    attribution:
      "Measured on PneumoniaMNIST of MedMNIST v2 (Yang et al. 2023; source images: Kermany et al. 2018), a balanced subset. The pictures shown are drawings.",
    pairs: PAIRS,
    measurements: measurements.toSorted((one, other) => one.cut - other.cut || other.bits - one.bits || one.noise - other.noise),
  };
  await writeFileAtomically(OUTPUT, `${JSON.stringify(content, null, 2)}\n`, 0o644);
}

/** Drawings and X-rays have other labels, and pictures alone are rebuilt. */
function withoutLabels(set: PictureSet): PictureSet {
  return { ...set, labels: [] };
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
