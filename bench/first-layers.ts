/**
 * The same first layers three ways in one run, in turn: plain, under equivariant encryption, on ciphertext.
 * @module
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encryptOnnx } from "@unseen/core/blueprint/trace/encrypt.ts";
import type { Evaluator } from "@unseen/fhe/evaluator/evaluator.ts";
import { createEvaluator } from "@unseen/fhe/evaluator/pool.ts";
import { splitModel } from "@unseen/fhe/graph/split-model.ts";
import type { Head } from "@unseen/fhe/layer.ts";
import type { Parameters } from "@unseen/fhe/parameters.ts";
import { openFirstLayers, pictureFor, prepareJob, type JobBytes, type PreparedJob } from "unseen/compare/ciphertext-job.ts";
import { startClearEngine, type ClearEngine } from "unseen/compare/clear-engine.ts";
import { alternate, seconds } from "./measure.ts";

const ROUNDS = 9;

/** One cut; all lists are of paired runs, in seconds per picture. */
export interface CutTimes {
  readonly cut: number;
  /** Titles of the layers. */
  readonly layers: readonly string[];
  readonly plain: readonly number[];
  /** Under equivariant encryption, strength `rotate`. */
  readonly encrypted: readonly number[];
  readonly onCiphertext: readonly SchemeTimes[];
  /** MiB of this process, its workers included, when the cut was done. */
  readonly memory: number;
}

/** One cut under one scheme. */
export interface SchemeTimes {
  readonly parameters: Parameters;
  /** Seconds per picture with keys and weights loaded, paired with those of the plain runs. */
  readonly warm: readonly number[];
  /** Seconds of the user's steps, and of the first evaluation from the start of its worker. */
  readonly seconds: { readonly keys: number; readonly encrypt: number; readonly cold: number; readonly decrypt: number };
  readonly bytes: JobBytes;
}

/** Measures every cut of the bundled network, with each scheme that the plan offers for it. */
export async function* measureFirstLayers(note: (line: string) => void = () => {}): AsyncGenerator<CutTimes> {
  const { model, heads, planned: offered } = openFirstLayers();
  const directory = mkdtempSync(join(tmpdir(), "unseen-bench-"));
  try {
    for (const [index, head] of heads.entries()) {
      const planned = offered.filter(({ cut }) => cut === index + 1);
      if (planned.length === 0) continue;
      note(`cut ${index + 1}: ${planned.map(({ parameters }) => parameters.scheme).join(", ")}`);
      const plain = join(directory, `${index}.onnx`);
      const encrypted = join(directory, `${index}.encrypted.onnx`);
      writeFileSync(plain, splitModel(model, index + 1).head);
      await encryptOnnx({ source: plain, output: encrypted, key: { secret: randomBytes(32), strength: "rotate" } });
      const parameters = planned.map((each) => each.parameters);
      yield { cut: index + 1, layers: planned[0]!.layers, ...(await measureCut(head, { plain, encrypted }, parameters)) };
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measureCut(
  head: Head,
  files: { readonly plain: string; readonly encrypted: string },
  parameters: readonly Parameters[],
): Promise<Omit<CutTimes, "cut" | "layers">> {
  const picture = pictureFor(head);
  const engines = await Promise.all([files.plain, files.encrypted].map((file) => startClearEngine(file, head, picture)));
  const jobs: PreparedJob[] = [];
  const evaluators: Evaluator[] = [];
  try {
    const colds: number[] = [];
    for (const each of parameters) {
      const job = await prepareJob(head, each, picture);
      jobs.push(job);
      // The first evaluation starts the worker, makes the context, reads the keys and encodes the weights.
      colds.push(
        await seconds(() => {
          const evaluator = createEvaluator({ workers: 1 });
          evaluators.push(evaluator);
          return job.evaluate(evaluator);
        }),
      );
    }
    const [plainEngine, encryptedEngine] = engines as [ClearEngine, ClearEngine];
    const times = await alternate(ROUNDS, {
      plain: () => plainEngine.time(),
      encrypted: () => encryptedEngine.time(),
      ...Object.fromEntries(jobs.map((job, at) => [`ciphertext ${at}`, () => seconds(() => job.evaluate(evaluators[at]!))])),
    } as Record<string, () => Promise<number>>);
    const memory = process.memoryUsage().rss / 2 ** 20;
    const onCiphertext = jobs.map((job, at) => ({
      parameters: parameters[at]!,
      warm: times[`ciphertext ${at}`]!,
      seconds: { keys: job.seconds.keys, encrypt: job.seconds.encrypt, cold: colds[at]!, decrypt: job.decrypt().seconds },
      bytes: job.bytes(),
    }));
    return { plain: times["plain"]!, encrypted: times["encrypted"]!, onCiphertext, memory };
  } finally {
    for (const engine of engines) engine.stop();
    for (const job of jobs) job.close();
    await Promise.all(evaluators.map((evaluator) => evaluator.close()));
  }
}
