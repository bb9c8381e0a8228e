/**
 * What the creator can read from the features of each cut, as `unseen leak` measures it.
 * @module
 */
import { largest } from "@unseen/client/encoders/scores.ts";
import { defaultObfuscation } from "@unseen/fhe/obfuscation.ts";
import { measureLeak, type LeakReport } from "@unseen/lab/leak/measure-leak.ts";
import { readPictures } from "@unseen/lab/leak/pictures.ts";
import { drawPictures } from "@unseen/lab/leak/synthetic.ts";
import { sharedPath } from "../tests/shared.ts";
import type { Finding } from "./proof.ts";
import { openTails } from "./xray-runtime.ts";
import { openXray } from "./xray-subjects.ts";

const COUNTS = { train: 2000, test: 100, seed: 1 };
const NOISES = [defaultObfuscation.noise, 0.2];

export async function* leakFindings(note: (line: string) => void): AsyncGenerator<Finding> {
  const { model, heads } = await openXray(1);
  const { shape } = heads[0]!;
  const path = sharedPath("data/vision/pneumoniamnist.npz");
  const pictures = path ? await readPictures(path, shape, COUNTS) : drawPictures(shape, COUNTS);
  const tails = await openTails(model, heads.length);
  try {
    for (const [index, head] of heads.entries()) {
      for (const noise of NOISES) {
        const cut = index + 1;
        note(`cut ${cut}, noise ${noise}`);
        const report = await measureLeak({
          head,
          cut,
          obfuscation: { ...defaultObfuscation, noise },
          pictures,
          scale: 1 / 255,
          seed: 1,
          decide: async (features) => largest(await tails.run(cut, features)),
        });
        // A measurement of the attacker is one only if the attacker can do better than without the features.
        yield {
          claim: `Cut ${cut}, noise ${noise.toPrecision(2)}: pictures that the creator can rebuild (${pictures.data})`,
          figure: describe(report),
          bar: "better than the mean picture",
          holds: report.psnr > report.psnrBaseline,
        };
      }
    }
  } finally {
    tails.close();
  }
}

function describe({ psnr, psnrBaseline, ssim, ssimBaseline, decisionsKept, best, attributes }: LeakReport): string {
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  const recovered = attributes
    .map(({ name, recovered: share, baseline }) => `${name} ${percent(share)} (guess ${percent(baseline)})`)
    .join(", ");
  return `${psnr.toFixed(1)} dB, SSIM ${ssim.toFixed(3)} (${best}); mean picture ${psnrBaseline.toFixed(1)} dB, ${ssimBaseline.toFixed(3)}; ${recovered}; decisions kept ${percent(decisionsKept ?? 0)}`;
}
