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

/** Hosts are started anew for each block: where a process happens to lie in memory changes its speed by some percent. */
const BLOCKS = 9;
const ROUNDS = 4;
const TOKENS = 48;
/** 0.2 B weights, large enough that the engine's time is spent on weights. Untied, since rotating unties. */
const SHAPE = { hidden: 1024, layers: 10, heads: 16, kvHeads: 4, headSize: 64, neurons: 3072, vocabulary: 32_000, tied: false };

const NAMES = ["plain", "permute", "rotate"] as const;
type Name = (typeof NAMES)[number];

/** Tokens per second of each model, by turns on freshly started hosts. */
async function runBlock(file: (name: Name) => string, home: string): Promise<Record<Name, number[]>> {
  const prompt = Array.from({ length: 32 }, (_, index) => (index * 611) % SHAPE.vocabulary);
  const hosts = [];
  try {
    const runs: [Name, () => Promise<number>][] = [];
    for (const name of NAMES) {
      const host = await startHostProcess(file(name), home, name === "plain" ? ["--plain"] : []);
      hosts.push(host);
      runs.push([name, async () => 1 / (await timeStream(host.url, undefined, prompt, TOKENS)).perToken]);
    }
    for (const [, run] of runs) await run();
    return await alternate(ROUNDS, Object.fromEntries(runs) as Record<Name, () => Promise<number>>);
  } finally {
    await Promise.all(hosts.map((host) => host.stop()));
  }
}

export async function decode(): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), "unseen-bench-"));
  const file = (name: Name): string => join(directory, `${name}.gguf`);
  try {
    const source = join(directory, "checkpoint");
    writeRandomCheckpoint(source, SHAPE);
    await convertModel({ source, output: file("plain"), precision: "f16" });
    const secret = crypto.getRandomValues(new Uint8Array(32));
    for (const strength of ["permute", "rotate"] as const) {
      await encryptModel({ source, output: file(strength), precision: "f16", key: { secret, strength } });
    }
    const speeds: Record<Name, number[]> = { plain: [], permute: [], rotate: [] };
    for (let block = 0; block < BLOCKS; block += 1) {
      const results = await runBlock(file, join(directory, "home"));
      for (const name of NAMES) speeds[name].push(median(results[name]));
    }
    return [
      { name: "plain model, f16, one thread", value: median(speeds.plain), unit: "tokens/s" },
      { name: "encrypted with permute : plain", value: medianRatio(speeds.permute, speeds.plain), unit: "", goal: ">= 0.99" },
      { name: "encrypted with rotate : plain", value: medianRatio(speeds.rotate, speeds.plain), unit: "", goal: ">= 0.99" },
    ];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
