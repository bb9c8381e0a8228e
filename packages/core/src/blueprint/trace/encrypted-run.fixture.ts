/**
 * For tests: encrypts a graph, runs it beside the plain one and compares, as a client would use it.
 * @module
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeOnnx } from "../../checkpoint/onnx.ts";
import { openOutputs, sealInputs, type Numbers } from "./compare.ts";
import { encryptOnnx, type OnnxResult } from "./encrypt.ts";
import { Dice, type GraphBuilder, type OpenSizes } from "./graph-builder.fixture.ts";
import type { Feeds, GraphRuntime, Results } from "./graph-runtime.fixture.ts";
import type { ModelKey } from "../spaces.ts";

/** A model given to {@link compareGraph}. */
export interface Compared {
  readonly builder: Pick<GraphBuilder, "encode" | "feeds">;
  readonly seed: number;
  readonly strength: ModelKey["strength"];
  readonly sizes: readonly OpenSizes[];
  /** Tokens come in secret order; the sizes must say as many. */
  readonly secretOrder?: number | undefined;
}

/** What a comparison found. */
export interface Comparison {
  /** Largest difference of any output, by the output's largest magnitude. */
  readonly difference: number;
  /** The same between the plain model and one whose stored numbers are changed by 1e-6; only where the difference is large. */
  readonly sensitivity: number;
  /** Runs that gave finite numbers. */
  readonly runs: number;
  readonly result: OnnxResult;
  /** Whether permutations and signs left every stored number its bits, if they are all that acts. */
  readonly sameBits: boolean;
  /** Why the plain model does not run, where that is so. */
  readonly refused: string | null;
}

/** Differences above this are looked into. */
const REMARKABLE = 1e-5;
/** Outputs of lesser magnitude are rounding errors around 0. */
const LEAST_MAGNITUDE = 1e-3;

/** The key of a seed. */
export function keyOf(seed: number, strength: ModelKey["strength"]): ModelKey {
  return { secret: new Uint8Array(32).map((_, i) => (seed * 31 + i * 7) & 255), strength };
}

/** A folder that goes away with `remove`. */
export function scratch(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "unseen-trace-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** What the client sends to the host in place of plain inputs. */
function sealFeeds(feeds: Feeds, { clientInterface }: OnnxResult, secret: Uint8Array): Record<string, Numbers> {
  const given = Object.entries(feeds).map(([name, feed]) => [name, { ...feed, data: Float64Array.from(feed.data) }] as const);
  return Object.fromEntries(sealInputs(clientInterface.inputs, new Map(given), secret)) as Record<string, Numbers>;
}

/** The plain numbers of encrypted outputs. */
function openResults(results: Results, { clientInterface }: OnnxResult, secret: Uint8Array): Results {
  const got = Object.entries(results).map(([name, tensor]) => [name, tensor as Numbers] as const);
  return Object.fromEntries(openOutputs(clientInterface.outputs, new Map(got), secret));
}

function largest(data: Float64Array): number {
  return data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function isUsable(results: Results): boolean {
  return Object.values(results).every(({ data }) => data.every(Number.isFinite) && largest(data) < 1e6);
}

/** Largest relative difference between two sets of results. */
function differenceOf(plain: Results, other: Results): number {
  return Math.max(
    0,
    ...Object.entries(plain).map(([name, { data, shape }]) => {
      const numbers = other[name]!.data;
      if (shape.join() !== other[name]!.shape.join()) return Infinity;
      const scale = Math.max(largest(data), LEAST_MAGNITUDE);
      return data.reduce((most, value, i) => Math.max(most, Math.abs(value - numbers[i]!)), 0) / scale;
    }),
  );
}

/** Encrypts a graph and runs both. Throws what encryption throws, and where only the encrypted model does not run. */
export async function compareGraph(
  { builder, seed, strength, sizes, secretOrder }: Compared,
  runtime: GraphRuntime,
  directory: string,
): Promise<Comparison> {
  const bytes = builder.encode();
  const feedDice = new Dice(seed, "feeds");
  const feeds = sizes.map((each) => builder.feeds(feedDice, each));
  const [source, output] = ["plain", strength].map((name) => join(directory, `${seed}-${name}.onnx`)) as [string, string];
  writeFileSync(source, bytes);
  const key = keyOf(seed, strength);
  const isEmbedding = seed % 3 === 0;
  try {
    const result = await encryptOnnx({ source, output, key, task: isEmbedding ? "embedding" : "other", secretOrder });
    const sameBits = strength === "rotate" || numbersIn(bytes) === numbersIn(readFileSync(output));
    const sent = feeds.map((each) => sealFeeds(each, result, key.secret));
    const optimise = seed % 2 === 0;
    const [plain, encrypted] = [await runtime.run(bytes, feeds, optimise), await runtime.run(output, sent, optimise)];
    let [difference, sensitivity, runs] = [0, 0, 0];
    let refused: string | null = null;
    const compare = (one: Results, other: Results): number => differenceOf(one, openResults(other, result, key.secret));
    for (const [i, one] of plain.entries()) {
      const other = encrypted[i]!;
      if (typeof one === "string") refused ??= one;
      if (typeof one === "string" || !isUsable(one)) continue;
      if (typeof other === "string") throw new Error(`the encrypted model does not run: ${other}`);
      runs++;
      let each = compare(one, other);
      if (each > REMARKABLE) {
        // The runtime's optimiser replaces some patterns by quantised products, and not the same in both.
        const [exact] = await runtime.run(bytes, [feeds[i]!], false);
        const [exactOther] = await runtime.run(output, [sent[i]!], false);
        each = compare(exact as Results, exactOther as Results);
        sensitivity = Math.max(sensitivity, await sensitivityOf(builder, feeds[i]!, exact as Results, runtime));
      } else if (strength === "rotate" && isEmbedding) checkNorms(one, other);
      difference = Math.max(difference, each);
    }
    return { difference, sensitivity, runs, result, refused, sameBits };
  } finally {
    rmSync(source);
    rmSync(output, { force: true });
  }
}

/** All stored 32-bit numbers of a model without their signs, in ascending order. */
function numbersIn(bytes: Uint8Array): string {
  const { graph } = decodeOnnx(bytes);
  const constants = graph.nodes.flatMap(({ attributes }) =>
    [...attributes.values()].flatMap((each) => (each.kind === "tensor" ? [each.value] : [])),
  );
  const floats = [...graph.initializers.values(), ...constants].filter(({ type }) => type === "float32");
  const numbers = floats.flatMap((tensor) => [...new Uint32Array(Uint8Array.from(tensor.read()).buffer)].map((bits) => bits & 0x7fff_ffff));
  return numbers.toSorted((a, b) => a - b).join();
}

/** Embeddings keep their norms, so that a host can compare them. */
function checkNorms(plain: Results, encrypted: Results): void {
  for (const [name, { shape, data }] of Object.entries(plain)) {
    const size = shape.at(-1);
    if (size === undefined) continue;
    const norms = (numbers: Float64Array): number[] =>
      Array.from({ length: numbers.length / size }, (_, row) => Math.hypot(...numbers.subarray(row * size, (row + 1) * size))).toSorted(
        (a, b) => a - b,
      );
    const [one, other] = [norms(data), norms(encrypted[name]!.data)];
    const scale = Math.max(one.at(-1) ?? 0, LEAST_MAGNITUDE);
    one.forEach((norm, row) => {
      if (Math.abs(norm - other[row]!) > 1e-3 * scale)
        throw new Error(`output ${name}: a vector of norm ${norm} has ${other[row]} behind encryption`);
    });
  }
}

async function sensitivityOf(builder: Compared["builder"], feeds: Feeds, plain: Results, runtime: GraphRuntime): Promise<number> {
  let worst = 0;
  for (let i = 0; i < 3; i++) {
    const [jittered] = await runtime.run(builder.encode(new Dice(i, "jitter")), [feeds], false);
    if (typeof jittered !== "object" || !isUsable(jittered)) continue;
    worst = Math.max(worst, differenceOf(plain, jittered));
  }
  return worst;
}
