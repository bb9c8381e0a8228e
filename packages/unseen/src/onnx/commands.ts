/**
 * What `encrypt`, `verify` and `inspect` do for ONNX files.
 * @module
 */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Home } from "@unseen/client/home.ts";
import type { Key } from "@unseen/client/keyring.ts";
import type { InputMode } from "@unseen/core/blueprint/trace/cut.ts";
import type { Pooling, Task } from "@unseen/core/blueprint/interface.ts";
import { readJson } from "@unseen/core/blueprint/model.ts";
import type { Strength } from "@unseen/core/blueprint/spaces.ts";
import { compareOnnx, type Comparison, type Numbers } from "@unseen/core/blueprint/trace/compare.ts";
import { encryptOnnx, type OnnxResult } from "@unseen/core/blueprint/trace/encrypt.ts";
import { openPlain, type OnnxOptions } from "@unseen/core/blueprint/trace/trace-model.ts";
import { inspectOnnx, type Inspection } from "@unseen/core/blueprint/trace/inspect.ts";
import { openSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import type { OnnxType } from "@unseen/core/checkpoint/onnx.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { EXIT_CODE, wholeNumber, type OptionSpecification } from "../command.ts";
import type { Terminal } from "../terminal.ts";
import { worthOf } from "../worth.ts";
import { bundleOnnx, readSurroundings } from "./bundle.ts";
import { OnnxRunner } from "./runner.ts";

/** Options of every command that traces a graph. */
export const tracingOptions: readonly OptionSpecification[] = [
  {
    flags: "--input <mode>",
    description: "ONNX, pictures: clear; client-stem: the client computes the first layer; patches: it sends transformed patches",
    choices: ["clear", "client-stem", "patches"],
    fallback: "clear",
  },
  {
    flags: "--task <task>",
    description: "ONNX: classification lets outputs take any map, embedding keeps norms and cosines (default: by the names of the outputs)",
    choices: ["classification", "embedding", "other"],
  },
  { flags: "--dimension <name=size>", description: "ONNX: size of a named dimension (repeatable)", repeated: true },
  {
    flags: "--secret-order <length>",
    description: "ONNX encoders: fill texts up to this many tokens and send them in a secret order",
    parse: wholeNumber(2, 1_000_000),
  },
];

export const encryptingOptions: readonly OptionSpecification[] = [
  {
    flags: "--pooling <pooling>",
    description: "ONNX embeddings: how a vector per token becomes one (default: from 1_Pooling, else mean)",
    choices: ["mean", "cls", "none"],
  },
  { flags: "--preprocessor <file>", description: "ONNX, pictures: a preprocessor_config.json, if not beside the model" },
];

export interface TracingFlags {
  readonly input: InputMode;
  readonly task?: Task;
  readonly dimension?: readonly string[];
  readonly secretOrder?: number;
}

export interface EncryptingFlags extends TracingFlags {
  readonly pooling?: Pooling | "none";
  readonly preprocessor?: string;
}

/** A share of the weights under the key below which `encrypt` warns. */
const LITTLE = 0.5;
/** Largest relative difference that counts as the same model in 32-bit arithmetic. */
const SAME = 1e-4;

/** Throws `USAGE` for a dimension that is no NAME=SIZE. */
function tracing({ input, task, dimension = [], secretOrder }: TracingFlags): OnnxOptions {
  const dimensions = new Map(
    dimension.map((text): [string, number] => {
      const [, name, size] = /^(.+)=(\d{1,7})$/.exec(text) ?? [];
      if (name === undefined || Number(size) < 1)
        throw new UnseenError("USAGE", `--dimension: expected NAME=SIZE, got ${text.slice(0, 80)}.`, {
          hint: "For example --dimension sequence=128.",
        });
      return [name, Number(size)];
    }),
  );
  return { input, dimensions, ...(task ? { task } : {}), ...(secretOrder ? { secretOrder } : {}) };
}

export interface EncryptOnnxCommand {
  readonly source: string;
  readonly output: string;
  readonly key: Key;
  readonly name: string;
  readonly strength: Strength;
  readonly flags: EncryptingFlags;
  readonly tokenizer: string | undefined;
  readonly measure: boolean;
  readonly home: Home;
  readonly terminal: Terminal;
  readonly progress: (
    work: (run: { onProgress: (done: number, total: number) => void; signal: AbortSignal }) => Promise<OnnxResult>,
  ) => Promise<OnnxResult>;
}

/** `unseen encrypt model.onnx` */
export async function encryptOnnxCommand(command: EncryptOnnxCommand): Promise<object> {
  const { source, output, key, name, terminal, home, flags } = command;
  const found = await readSurroundings(source, command.tokenizer && resolve(command.tokenizer));
  const preprocessor = flags.preprocessor ? await readJson(resolve(flags.preprocessor)) : null;
  if (flags.preprocessor && !preprocessor)
    throw new UnseenError("USAGE", `--preprocessor ${flags.preprocessor} does not exist.`, { hint: "Give a preprocessor_config.json." });
  const surroundings = preprocessor ? { ...found, preprocessor } : found;
  const options: OnnxOptions = {
    ...tracing(flags),
    ...(flags.task || surroundings.task ? { task: flags.task ?? surroundings.task } : {}),
    ...(flags.pooling
      ? { pooling: flags.pooling === "none" ? null : flags.pooling }
      : surroundings.pooling
        ? { pooling: surroundings.pooling }
        : {}),
    maximumLength: surroundings.maximumLength,
  };
  let bundled: Awaited<ReturnType<typeof bundleOnnx>> | undefined;
  const result = await command.progress((run) =>
    encryptOnnx({
      source,
      output,
      key: { secret: key.secret, strength: command.strength },
      ...options,
      ...run,
      beforeCommit: async (written) => {
        bundled = await bundleOnnx(home, { source, result: written, surroundings, key, name });
      },
    }),
  );
  if (!bundled) throw new UnseenError("INTERNAL", "the model was committed without its bundle.");
  const share = result.parameters === 0 ? 0 : result.protectedParameters / result.parameters;
  if (result.removedLeftover) terminal.note(`An interrupted run had left ${result.output}.partial; it was removed and the work done anew.`);
  terminal.print(`Output   ${result.output}`);
  terminal.print(
    `         ${(result.parameters / 1e6).toFixed(2)} M weights, ${(share * 100).toFixed(1)} % of them under the key, ${(result.bytes / 1e6).toFixed(1)} MB in ${result.seconds.toFixed(1)} s, strength ${result.manifest.strength}`,
  );
  terminal.print(`         fingerprint ${result.manifest.fingerprint}`);
  terminal.print(`Bundle   ${bundled.bundle.name} in ${home.bundles}`);
  const inspection = inspectOnnx(await openPlain(source), options, command.strength === "permute");
  printEnds(inspection, terminal);
  warnOfClearEnds(inspection, options, terminal);
  warnOfTexts(inspection, terminal);
  if (share < LITTLE)
    terminal.note(
      `WARNING: only ${(share * 100).toFixed(1)} % of this model's weights are under the key. \`unseen inspect ${source}\` says why.`,
    );
  const fidelity = command.measure ? await compare(source, result.output, key, options, undefined, 1) : null;
  if (fidelity) terminal.print(`Fidelity largest difference ${fidelity.maxRelativeDifference.toExponential(1)} of the largest output`);
  terminal.print();
  terminal.print("What it is worth: logs, caches, networks and curious eyes see numbers without meaning. Much traffic of a known kind");
  terminal.print("can be deciphered from the numbers alone, and an operator who holds these weights and the public model they");
  terminal.print("came from can undo it: see docs/threat-model.md.");
  for (const line of await worthOf(home, result.manifest, result.manifest.vocabularySize === 0 ? null : "encoder")) terminal.print(line);
  terminal.print(`Next:    unseen serve ${result.output}`);
  return {
    output: result.output,
    fingerprint: result.manifest.fingerprint,
    strength: result.manifest.strength,
    family: result.manifest.family,
    task: result.publicInterface.task,
    input: options.input,
    weights: result.parameters,
    protectedShare: share,
    bytes: result.bytes,
    seconds: result.seconds,
    removedLeftover: result.removedLeftover,
    bundle: bundled.bundle.name,
    tokenizer: bundled.hasTokenizer,
    key: key.id,
    fidelity,
  };
}

function printEnds({ inputs, outputs }: Inspection, terminal: Terminal): void {
  for (const { name, protection } of inputs) terminal.print(`Input    ${name}: ${protection}`);
  for (const { name, protection } of outputs) terminal.print(`Result   ${name}: ${protection}`);
}

function warnOfClearEnds({ inputs, outputs }: Inspection, { input }: OnnxOptions, terminal: Terminal): void {
  const open = outputs.filter(({ protection }) => protection === "clear").map(({ name }) => name);
  if (open.length > 0)
    terminal.note(
      `WARNING: the host will read ${open.join(", ")}: nothing of the key acts on ${open.length === 1 ? "this result" : "these results"}.`,
    );
  const clear = inputs.filter(({ protection }) => protection === "clear").map(({ name }) => name);
  if (clear.length === 0) return;
  terminal.note(
    `WARNING: the host will see ${clear.join(", ")} IN CLEAR.${input === "clear" ? " --input client-stem keeps the pixels on the client, though features of the first layer still show shapes; --input patches sends transformed patches." : ""}`,
  );
}

function warnOfTexts({ texts }: Inspection, terminal: Terminal): void {
  if (texts.length === 0) return;
  const where = texts.map(({ operator, count }) => `${operator} (${count})`).join(", ");
  terminal.note(
    `WARNING: the host will see texts IN CLEAR, inside ${where}. Export the model without its tokenizer and without names of classes.`,
  );
}

/** `unseen verify plain.onnx encrypted.onnx` */
export async function verifyOnnxCommand(
  plain: string,
  encrypted: string,
  key: Key,
  flags: { readonly case?: string; readonly rounds: number; readonly dimension?: readonly string[] },
  terminal: Terminal,
): Promise<object> {
  const inputs = flags.case ? await readCase(resolve(flags.case)) : undefined;
  const options = tracing({ input: "clear", ...(flags.dimension ? { dimension: flags.dimension } : {}) });
  const result = await compare(plain, encrypted, key, options, inputs, flags.rounds);
  terminal.print(`largest difference ${result.maxRelativeDifference.toExponential(2)} of the largest output, over ${result.rounds} inputs`);
  if (result.maxRelativeDifference <= SAME) return result;
  const error = new UnseenError("VERIFICATION_FAILED", "the two models do not compute the same.", {
    hint: "The plain model is probably not the original of the encrypted one.",
  });
  terminal.note(`unseen: ${error.line}`);
  return { ...result, error: { code: error.code, message: error.message, hint: error.hint }, [EXIT_CODE]: 1 };
}

async function compare(
  plain: string,
  encrypted: string,
  key: Key,
  options: OnnxOptions,
  inputs: ReadonlyMap<string, Numbers> | undefined,
  rounds: number,
): Promise<Comparison> {
  const runner = new OnnxRunner();
  try {
    return await compareOnnx({
      ...options,
      plain: resolve(plain),
      encrypted: resolve(encrypted),
      secret: key.secret,
      run: runner.run,
      inputs,
      rounds,
    });
  } finally {
    runner.close();
  }
}

const TYPES: Readonly<Record<string, OnnxType>> = { F32: "float32", F64: "float64", I64: "int64", I32: "int32", BOOL: "bool" };

/** Inputs of a model from a safetensors file, tensors named `in.NAME` or NAME. Throws `CHECKPOINT_*`. */
export async function readCase(path: string): Promise<Map<string, Numbers>> {
  const { tensors } = await openSafetensors(path);
  const bytes = await readFile(path);
  return new Map(
    [...tensors.values()]
      .filter(({ name }) => !name.startsWith("out."))
      .map((tensor): [string, Numbers] => {
        const type = TYPES[tensor.format];
        if (!type)
          throw new UnseenError(
            "CHECKPOINT_DTYPE_UNSUPPORTED",
            `${tensor.name}: a case holds F32, F64, I64, I32 or BOOL, not ${tensor.format}.`,
          );
        const view = new DataView(bytes.buffer, bytes.byteOffset + tensor.offset, tensor.bytes);
        const length = tensor.shape.reduce((product, size) => product * size, 1);
        const read = (i: number): number => {
          if (type === "float32") return view.getFloat32(4 * i, true);
          if (type === "float64") return view.getFloat64(8 * i, true);
          if (type === "int64") return Number(view.getBigInt64(8 * i, true));
          return type === "int32" ? view.getInt32(4 * i, true) : view.getUint8(i);
        };
        return [tensor.name.replace(/^in\./, ""), { type, shape: tensor.shape, data: Float64Array.from({ length }, (_, i) => read(i)) }];
      }),
  );
}

/** `unseen inspect model.onnx` */
export async function inspectOnnxCommand(
  source: string,
  flags: TracingFlags & { readonly strength: Strength },
  terminal: Terminal,
): Promise<object> {
  const surroundings = await readSurroundings(source);
  const options: OnnxOptions = { ...tracing(flags), ...(flags.task || surroundings.task ? { task: flags.task ?? surroundings.task } : {}) };
  const inspection = inspectOnnx(await openPlain(source), options, flags.strength === "permute");
  terminal.print(
    `${(inspection.parameters / 1e6).toFixed(2)} M weights, ${(inspection.protectedShare * 100).toFixed(1)} % of them under a key, ${inspection.spaces.length} spaces`,
  );
  printEnds(inspection, terminal);
  warnOfTexts(inspection, terminal);
  terminal.print();
  for (const { id, size, group, within, tensors } of inspection.spaces)
    terminal.print(
      `  ${id.padEnd(12)} ${String(size).padStart(7)}  ${group}${within.length > 0 ? `, one for each of ${within.join(", ")}` : ""}  (${tensors} tensors)`,
    );
  const fixed = inspection.tensors.filter(({ isProtected }) => !isProtected);
  if (fixed.length > 0) terminal.print("\nNot under a key:");
  for (const { name, shape, axes } of fixed)
    terminal.print(
      `  ${name} (${shape.join(" x ")}): ${[...new Set(axes.map((axis) => ("fixed" in axis ? axis.fixed : "")))].filter((reason) => reason !== "a single coordinate").join("; ")}`,
    );
  if (inspection.notes.length > 0) terminal.print("\nOperators that could not be followed:");
  for (const { node, operator, reason } of inspection.notes) terminal.print(`  ${operator}${node ? ` (${node})` : ""}: ${reason}`);
  return inspection;
}
