/**
 * The same first layers three ways in one run, in turn: plain, under equivariant encryption, on ciphertext.
 * @module
 */
import { fork } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encryptOnnx } from "@unseen/core/blueprint/trace/encrypt.ts";
import { decodeOnnx, type OnnxModel } from "@unseen/core/checkpoint/onnx.ts";
import { Session } from "@unseen/fhe/client/session.ts";
import { compile } from "@unseen/fhe/compile/compile.ts";
import type { Evaluator } from "@unseen/fhe/evaluator/evaluator.ts";
import { createEvaluator } from "@unseen/fhe/evaluator/pool.ts";
import { readHeads } from "@unseen/fhe/graph/read-heads.ts";
import { splitModel } from "@unseen/fhe/graph/split-model.ts";
import type { Head } from "@unseen/fhe/layer.ts";
import type { Parameters } from "@unseen/fhe/parameters.ts";
import type { PlannedCut } from "@unseen/fhe/plan.ts";
import { planCuts } from "@unseen/fhe/planner/plan-cuts.ts";
import { alternate, seconds } from "./measure.ts";

const MODEL = fileURLToPath(new URL("../packages/unseen/models/xray-cnn/model.onnx", import.meta.url));
const ROUNDS = 9;
/** Runs of ONNX Runtime per round: one takes microseconds. */
const PLAIN_RUNS = 5000;
/** Milliseconds that an evaluation may take. */
const BUDGET = 120_000;

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
  readonly bytes: { readonly keys: number; readonly picture: number; readonly features: number };
}

/** The bundled network with the cuts that its plan offers. */
export function openFirstLayers(): { model: OnnxModel; heads: readonly Head[]; planned: readonly PlannedCut[] } {
  const model = decodeOnnx(readFileSync(MODEL));
  const { heads, end } = readHeads(model);
  const { cuts } = planCuts({ heads, end });
  return { model, heads, planned: cuts.filter(({ refused }) => refused === null) };
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
  const engines = await Promise.all([files.plain, files.encrypted].map((file) => startEngine(file, head, picture)));
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
    const [plainEngine, encryptedEngine] = engines as [Engine, Engine];
    const times = await alternate(ROUNDS, {
      plain: () => plainEngine.time(),
      encrypted: () => encryptedEngine.time(),
      ...Object.fromEntries(jobs.map((job, at) => [`ciphertext ${at}`, () => seconds(() => job.evaluate(evaluators[at]!))])),
    } as Record<string, () => Promise<number>>);
    const memory = process.memoryUsage().rss / 2 ** 20;
    const onCiphertext = jobs.map((job, at) => ({
      parameters: parameters[at]!,
      warm: times[`ciphertext ${at}`]!,
      seconds: { keys: job.seconds.keys, encrypt: job.seconds.encrypt, cold: colds[at]!, decrypt: job.decrypt() },
      bytes: job.bytes(),
    }));
    return { plain: times["plain"]!, encrypted: times["encrypted"]!, onCiphertext, memory };
  } finally {
    for (const engine of engines) engine.stop();
    for (const job of jobs) job.close();
    await Promise.all(evaluators.map((evaluator) => evaluator.close()));
  }
}

/** A user's picture and keys, ready to be evaluated any number of times. */
export interface PreparedJob {
  /** Seconds: of drawing the keys, their context included, and of encrypting the picture. */
  readonly seconds: { readonly keys: number; readonly encrypt: number };
  /** Evaluates once; the same keys and head each time. */
  evaluate(evaluator: Evaluator): Promise<void>;
  /** Seconds of decrypting what was evaluated last. */
  decrypt(): number;
  bytes(): SchemeTimes["bytes"];
  close(): void;
}

/** Draws keys and encrypts a picture. */
export async function prepareJob(head: Head, parameters: Parameters, picture: Float64Array): Promise<PreparedJob> {
  const program = compile(head, parameters);
  const started = performance.now();
  const session = await Session.create(parameters, program);
  const keys = session.keys();
  const drawn = performance.now();
  const inputs = program.pack(picture).map((slots) => session.encrypt(slots));
  const encrypted = performance.now();
  const hash = createHash("sha256");
  const ownKeys = [keys.rotation, keys.relinearisation].filter((key) => key !== null);
  for (const key of ownKeys) hash.update(key);
  const task = { head, headId: head.value, parameters, tenant: "bench", keysId: hash.digest("hex"), keys, inputs, budget: BUDGET };
  const forms = session.resultsOf(program);
  let outputs: readonly Uint8Array[] = [];
  return {
    seconds: { keys: (drawn - started) / 1000, encrypt: (encrypted - drawn) / 1000 },
    evaluate: async (evaluator) => {
      ({ outputs } = await evaluator.evaluate(task));
    },
    decrypt() {
      const from = performance.now();
      program.unpack(outputs.map((output, index) => session.decrypt(output, forms[index]!)));
      return (performance.now() - from) / 1000;
    },
    bytes: () => ({ keys: totalBytes(ownKeys), picture: totalBytes(inputs), features: totalBytes(outputs) }),
    close: () => session.close(),
  };
}

/** A picture of all 256 grey levels: the time does not depend on it. */
export function pictureFor({ shape }: Head): Float64Array {
  return Float64Array.from({ length: shape.channels * shape.height * shape.width }, (_, index) => ((index * 37) % 256) / 255);
}

interface Engine {
  /** Seconds per run. */
  time(): Promise<number>;
  stop(): void;
}

async function startEngine(file: string, { shape }: Head, picture: Float64Array): Promise<Engine> {
  const child = fork(fileURLToPath(new URL("onnx-alone.ts", import.meta.url)), [file], { execArgv: [] });
  const hear = async (): Promise<unknown> => {
    const ended = new AbortController();
    try {
      return await Promise.race([
        once(child, "message", { signal: ended.signal }).then(([message]) => message as unknown),
        once(child, "exit", { signal: ended.signal }).then(([code]) => {
          throw new Error(`ONNX Runtime's process ended with ${code}`);
        }),
      ]);
    } finally {
      ended.abort();
    }
  };
  await hear();
  const ask = async (runs: number): Promise<number> => {
    const answer = hear();
    child.send({ shape: [1, shape.channels, shape.height, shape.width], values: [...picture], runs });
    return (await answer) as number;
  };
  await ask(PLAIN_RUNS);
  return { time: () => ask(PLAIN_RUNS), stop: () => void child.kill("SIGKILL") };
}

function totalBytes(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}
