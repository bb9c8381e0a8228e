/**
 * Decoding speed of an encrypted model against its plain original, on the same engine, run by turns.
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertModel, encryptModel } from "@unseen/core/blueprint/transform.ts";
import { startHostProcess, timeStream } from "./hosts.ts";
import { alternate, median, medianRatio, type Figure } from "./measure.ts";
import { writeRandomCheckpoint } from "./random-checkpoint.ts";

const ROUNDS = 12;
const TOKENS = 48;
/** 0.2 B weights, large enough that the engine's time is spent on weights. Untied, since rotating unties. */
const SHAPE = { hidden: 1024, layers: 10, heads: 16, kvHeads: 4, headSize: 64, neurons: 3072, vocabulary: 32_000, tied: false };

export async function decode(): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), "unseen-bench-"));
  const path = (name: string): string => join(directory, name);
  const hosts = [];
  try {
    writeRandomCheckpoint(path("plain"), SHAPE);
    await convertModel({ source: path("plain"), output: path("plain.gguf"), precision: "f16" });
    const secret = crypto.getRandomValues(new Uint8Array(32));
    for (const strength of ["permute", "rotate"] as const) {
      await encryptModel({ source: path("plain"), output: path(`${strength}.gguf`), precision: "f16", key: { secret, strength } });
    }
    for (const name of ["plain", "permute", "rotate"])
      hosts.push(await startHostProcess(path(`${name}.gguf`), path("home"), name === "plain" ? ["--plain"] : []));
    const [plain, permute, rotate] = hosts.map(({ url }) => url) as [string, string, string];
    const prompt = Array.from({ length: 32 }, (_, index) => (index * 611) % SHAPE.vocabulary);
    const speed = (url: string) => async (): Promise<number> => 1 / (await timeStream(url, undefined, prompt, TOKENS)).perToken;
    for (const url of [plain, permute, rotate]) await speed(url)();
    const speeds = await alternate(ROUNDS, { plain: speed(plain), permute: speed(permute), rotate: speed(rotate) });
    return [
      { name: "plain model, f16, one thread", value: median(speeds.plain), unit: "tokens/s" },
      { name: "encrypted with permute : plain", value: medianRatio(speeds.permute, speeds.plain), unit: "", goal: ">= 0.99" },
      { name: "encrypted with rotate : plain", value: medianRatio(speeds.rotate, speeds.plain), unit: "", goal: ">= 0.99" },
    ];
  } finally {
    await Promise.all(hosts.map((host) => host.stop()));
    rmSync(directory, { recursive: true, force: true });
  }
}
