/**
 * The work of `unseen leak`.
 * @module
 */
import { largest } from "@unseen/client/encoders/scores.ts";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { writeFileAtomically } from "@unseen/client/atomic-file.ts";
import { openOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { readHeads } from "@unseen/fhe/graph/read-heads.ts";
import { defaultObfuscation } from "@unseen/fhe/obfuscation.ts";
import { measureLeak, type LeakReport } from "@unseen/lab/leak/measure-leak.ts";
import { readPictures } from "@unseen/lab/leak/pictures.ts";
import { drawPictures } from "@unseen/lab/leak/synthetic.ts";
import type { LeakFlags } from "../commands/private-run.ts";
import type { Terminal } from "../terminal.ts";
import { openTail } from "./whole-model.ts";

/** Pictures to learn from and to test on, at most. */
const COUNTS = { quick: { train: 500, test: 50 }, full: { train: 2000, test: 100 } } as const;

/** Measures one cut; prints, draws, and gives what `unseen hub publish --leak` takes. */
export async function showLeak(path: string, options: LeakFlags, terminal: Terminal): Promise<object> {
  const model = await openOnnx(path);
  const { heads, end } = readHeads(model);
  const head = heads[options.cut - 1];
  if (!head) throw new UnseenError("CUT_UNAVAILABLE", `the model has no cut ${options.cut}: ${end}.`, { hint: "See `unseen cuts`." });
  const counts = { ...COUNTS[options.effort], seed: options.seed };
  const pictures = options.data ? await readPictures(options.data, head.shape, counts) : drawPictures(head.shape, counts);
  const obfuscation = {
    clip: options.clip ?? defaultObfuscation.clip,
    noise: options.noise ?? defaultObfuscation.noise,
    bits: options.bits ?? defaultObfuscation.bits,
    channels: options.channels ?? defaultObfuscation.channels,
  };
  const tail = await openTail(model, options.cut);
  let report: LeakReport;
  try {
    report = await measureLeak({
      head,
      cut: options.cut,
      obfuscation,
      pictures,
      scale: options.scale / 255,
      seed: options.seed,
      effort: options.effort,
      decide: async (features) => largest((await tail.run(features))[0]!.values),
      log: terminal.note,
    });
  } finally {
    await tail.close();
  }
  const digest = createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
  const { pictures: sheet, best, inverters, seconds, ...leak } = report;
  await writeFileAtomically(options.pictures, sheet, 0o644);
  terminal.detail("pictures", { png: Buffer.from(sheet).toString("base64") });
  for (const line of describe(report, options.pictures)) terminal.print(line);
  return { model: digest, effort: options.effort, leak, picturesFile: resolve(options.pictures), best, inverters, seconds };
}

function describe(report: LeakReport, file: string): string[] {
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  return [
    `Cut ${report.cut}, noise ${report.obfuscation.noise.toPrecision(2)}, ${report.obfuscation.bits} bits; ${report.trained} pictures to learn from, ${report.tested} to test on (${report.data}).`,
    `Pictures rebuilt from the features: ${report.psnr.toFixed(1)} dB, SSIM ${report.ssim.toFixed(3)} (${report.best}).`,
    `Without the features, the mean picture: ${report.psnrBaseline.toFixed(1)} dB, SSIM ${report.ssimBaseline.toFixed(3)}.`,
    ...report.attributes.map(
      ({ name, recovered, baseline }) => `  ${name}: ${percent(recovered)} right; guessing gets ${percent(baseline)}`,
    ),
    ...(report.decisionsKept === null ? [] : [`Decisions that the obfuscation left as they were: ${percent(report.decisionsKept)}.`]),
    `Pictures before and after: ${file}`,
  ];
}
