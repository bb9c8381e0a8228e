/**
 * What "any model" promises, each promise as a check that can fail.
 * @module
 */
import { globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { randomBytes } from "node:crypto";
import { encryptOnnx, type OnnxResult } from "@unseen/core/blueprint/trace/encrypt.ts";
import { compareOnnx, openOutputs, relativeDifference, sealInputs, type Numbers } from "@unseen/core/blueprint/trace/compare.ts";
import type { InputMode } from "@unseen/core/blueprint/trace/cut.ts";
import { readCase } from "unseen/onnx/commands.ts";
import { OnnxRunner } from "unseen/onnx/runner.ts";
import { coverageFiles, coverageOf } from "../bench/coverage.ts";
import { temporaryDirectory } from "../tests/command-line.ts";
import { measureSentiment } from "../tests/sentiment.ts";
import { sharedPath } from "../tests/shared.ts";
import { testSets, type TestSet } from "../tests/test-sets.ts";
import { testsShow, type Finding, type Proof } from "./proof.ts";

type Note = (line: string) => void;
type Strength = "permute" | "rotate";

const file = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const STRENGTHS: readonly Strength[] = ["permute", "rotate"];
/** Largest difference to the plain output, by its largest number, in 32-bit arithmetic. */
const EXACT = 1e-5;

const parts: Readonly<Record<string, (note: Note) => AsyncGenerator<Finding>>> = {
  "test-sets": testSetsHold,
  zoo,
  coverage,
  "random-graphs": randomGraphs,
  hostile: tests(
    "Unknown operators, cycles, missing weights, wrong shapes, false sizes: a clear error or the identity, never a wrong answer",
    ["packages/core/src/blueprint/trace/hostile.test.ts"],
  ),
  families: tests("BERT, DistilBERT, RoBERTa, MPNet, ViT and CLIP as safetensors: encrypted equals plain in the reference implementation", [
    "packages/core/src/blueprint/encoders.test.ts",
  ]),
  sentiment,
};

export const models: Proof = {
  name: "models",
  title: "Any model",
  async *run(note, part) {
    if (part !== undefined && !Object.hasOwn(parts, part)) throw new RangeError(`models has the parts ${Object.keys(parts).join(", ")}.`);
    for (const [name, findings] of Object.entries(parts)) if (part === undefined || part === name) yield* findings(note);
  },
};

function absent(claim: string): Finding {
  return { claim, figure: "the test data are not here", bar: "-", holds: null };
}

/** Real models on their whole test sets. */
async function* testSetsHold(note: Note): AsyncGenerator<Finding> {
  const sets = testSets();
  if (sets.length === 0) yield absent("Real models on their test sets");
  for (const set of sets) {
    const modes: InputMode[] = set.model.includes("sst2") || set.model.includes("sentence") ? ["clear"] : ["clear", "client-stem"];
    if (set.name === "vit-mnist") modes.push("patches");
    for (const strength of STRENGTHS) for (const input of modes) yield await judge(set, strength, input, note);
  }
}

async function judge(set: TestSet, strength: Strength, input: InputMode, note: Note): Promise<Finding> {
  const secret = randomBytes(32);
  const output = join(temporaryDirectory("prove"), "model.onnx");
  const result = await encryptOnnx({ source: set.model, output, key: { secret, strength }, input });
  const runner = new OnnxRunner();
  const totals = { examples: 0, rightPlain: 0, rightEncrypted: 0, sameClass: 0, sameAnswer: 0, difference: 0 };
  try {
    for await (const { inputs, labels } of set.batches()) {
      const expected = await runner.run(set.model, inputs);
      const got = await runEncrypted(result, inputs, secret, runner);
      for (const [name, own] of got) {
        const plain = expected.get(name) as Numbers;
        totals.difference = Math.max(totals.difference, relativeDifference(plain, own));
        if (result.publicInterface.task !== "classification") continue;
        const width = plain.data.length / labels.length;
        labels.forEach((label, row) => {
          const [a, b] = [plain, own].map(({ data }) => largest(data.subarray(row * width, (row + 1) * width))) as [number, number];
          totals.sameClass += Number(a === b);
          totals.rightPlain += Number(a === label);
          totals.rightEncrypted += Number(b === label);
          totals.sameAnswer += Number((a === label) === (b === label));
        });
      }
      totals.examples += labels.length;
      if (totals.examples % 2000 === 0) note(`${set.name}: ${totals.examples}`);
    }
  } finally {
    runner.close();
  }
  const { examples, rightPlain, rightEncrypted, sameClass, sameAnswer, difference } = totals;
  const judged = result.publicInterface.task === "classification";
  const accuracy = (right: number): string => `${((100 * right) / examples).toFixed(2)} %`;
  return {
    claim: `${set.name}, ${strength}${input === "clear" ? "" : `, ${input}`}: ${set.examples}`,
    figure: `max relative difference ${difference.toExponential(1)}${judged ? `, same class ${sameClass} of ${examples}, accuracy ${accuracy(rightEncrypted)} (plain ${accuracy(rightPlain)})` : ""}`,
    bar: judged ? `${EXACT.toExponential(0)}, all, to the sample` : EXACT.toExponential(0),
    holds: examples > 0 && difference <= EXACT && (!judged || (sameClass === examples && sameAnswer === examples)),
  };
}

async function runEncrypted(
  { output, stem, clientInterface }: OnnxResult,
  inputs: ReadonlyMap<string, Numbers>,
  secret: Uint8Array,
  runner: OnnxRunner,
): Promise<Map<string, Numbers>> {
  const given = stem ? new Map([...inputs, ...(await runner.run(stem, inputs))]) : inputs;
  const got = await runner.run(output, sealInputs(clientInterface.inputs, given, secret));
  return openOutputs(clientInterface.outputs, got, secret);
}

function largest(values: Float64Array): number {
  return values.indexOf(Math.max(...values));
}

/** Small exports of public architectures: on the outputs that PyTorch computed, and on random inputs of other sizes. */
async function* zoo(note: Note): AsyncGenerator<Finding> {
  const directory = sharedPath("data/models/onnx-zoo");
  if (!directory) return void (yield absent("Every architecture of the zoo"));
  for (const strength of STRENGTHS) {
    const runner = new OnnxRunner();
    let worst = { name: "", difference: 0 };
    let count = 0;
    try {
      for (const model of globSync(`${directory}/*/model.onnx`).toSorted()) {
        const secret = randomBytes(32);
        const result = await encryptOnnx({
          source: model,
          output: join(temporaryDirectory("prove"), "model.onnx"),
          key: { secret, strength },
        });
        const example = join(dirname(model), "case.safetensors");
        const got = await runEncrypted(result, await readCase(example), secret, runner);
        const expected = await readOutput(example);
        const random = await compareOnnx({ plain: model, encrypted: result.output, secret, run: runner.run });
        const difference = Math.max(relativeDifference(expected, [...got.values()][0] as Numbers), random.maxRelativeDifference);
        note(`${basename(dirname(model))} ${strength}: ${difference.toExponential(1)}`);
        if (!(difference <= worst.difference)) worst = { name: basename(dirname(model)), difference };
        count++;
      }
    } finally {
      runner.close();
    }
    yield {
      claim: `${count} architectures of the zoo, ${strength}: PyTorch's own outputs, and 4 random inputs each`,
      figure: `max relative difference ${worst.difference.toExponential(1)} (${worst.name})`,
      bar: EXACT.toExponential(0),
      holds: count === 15 && worst.difference <= EXACT,
    };
  }
}

async function readOutput(example: string): Promise<Numbers> {
  const { openSafetensors } = await import("@unseen/core/checkpoint/safetensors.ts");
  const tensor = (await openSafetensors(example)).tensors.get("out.output")!;
  const bytes = readFileSync(example);
  const view = new DataView(bytes.buffer, bytes.byteOffset + tensor.offset, tensor.bytes);
  const data = Float64Array.from({ length: tensor.bytes / 4 }, (_, i) => view.getFloat32(4 * i, true));
  return { type: "float32", shape: tensor.shape, data };
}

const CONVOLUTIONAL = /cnn|resnet|mobilenet|convnext/;

async function* coverage(): AsyncGenerator<Finding> {
  const files = coverageFiles();
  if (files.length === 0) return void (yield absent("Coverage of real graphs"));
  const rows = (await Promise.all(files.map(coverageOf))).flat();
  for (const [kind, bar] of [
    ["transformers", 0.95],
    ["convolutional networks", 0.9],
  ] as const) {
    const own = rows.filter(({ model }) => CONVOLUTIONAL.test(model) === (kind !== "transformers"));
    const least = own.toSorted((a, b) => a.protectedShare - b.protectedShare)[0]!;
    yield {
      claim: `Share of the weights under a non-identity element, ${kind} (${new Set(own.map(({ model }) => model)).size} models)`,
      figure: `at least ${(100 * least.protectedShare).toFixed(1)} % (${least.model})`,
      bar: `${100 * bar} %`,
      holds: least.protectedShare >= bar,
    };
  }
  const clear = rows.filter(({ outputs, unfollowed }) => outputs.includes("clear") || unfollowed > 0);
  yield {
    claim: "No output leaves in clear, and every operator of these graphs is followed",
    figure: clear.length === 0 ? `${rows.length} of ${rows.length} rows` : clear.map(({ model }) => model).join(", "),
    bar: "all",
    holds: clear.length === 0,
  };
}

/** Thousands of graphs, from seeds that are new each time and printed. */
async function* randomGraphs(note: Note): AsyncGenerator<Finding> {
  process.env["UNSEEN_TRACE_GRAPHS"] ??= "2500";
  process.env["UNSEEN_TRACE_SEED"] ??= String(randomBytes(4).readUInt32LE());
  yield* tests(
    `${process.env["UNSEEN_TRACE_GRAPHS"]} random graphs of all supported operators, both strengths, random inputs: encrypted equals plain`,
    ["packages/core/src/blueprint/trace/trace.property.test.ts"],
  )(note);
}

/** Text in, label out; what the host saw; and what it costs. */
async function* sentiment(note: Note): AsyncGenerator<Finding> {
  if (!sharedPath("assets/sst2-distilbert") || !sharedPath("data/text/sst2-dev.tsv"))
    return void (yield absent("Encrypted DistilBERT sentiment, end to end"));
  yield* measureSentiment(note);
}

function tests(claim: string, files: readonly string[]): (note: Note) => AsyncGenerator<Finding> {
  return async function* () {
    const { counts, ...finding } = await testsShow(claim, files.map(file));
    yield counts.diagnostics.length > 0 ? { ...finding, figure: `${finding.figure}; ${counts.diagnostics.join("; ")}` } : finding;
  };
}
