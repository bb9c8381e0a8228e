/**
 * `unseen encrypt`, `unseen rekey`, `unseen verify`
 * @module
 */
import { readFile } from "node:fs/promises";
import { dirname, resolve, sep } from "node:path";
import { loadBundle, loadBundleInterface, loadBundleTokenizer, type Bundle } from "@unseen/client/bundle.ts";
import { resolveHome, type Home } from "@unseen/client/home.ts";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { blueprintOf } from "@unseen/core/blueprint/families/index.ts";
import { openModel } from "@unseen/core/blueprint/model.ts";
import type { Strength } from "@unseen/core/blueprint/spaces.ts";
import { encryptModel, rekeyModel, type TransformResult } from "@unseen/core/blueprint/transform.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Command } from "commander";
import { bundleModel, formerBundle, moveBundle, nameOf } from "../bundle-model.ts";
import { addCommand, EXIT_CODE, wholeNumber, type OptionSpecification } from "../command.ts";
import { keyOption, openKey, openOrMakeKey } from "../keys.ts";
import { affordableTokens, describeFidelity, measureFidelity, sampleSequences } from "../measure.ts";
import {
  encryptingOptions,
  encryptOnnxCommand,
  tracingOptions,
  verifyOnnxCommand,
  type EncryptingFlags,
  type EncryptOnnxCommand,
} from "../onnx/commands.ts";
import { interruptible } from "../private/until-signal.ts";
import { keepFidelity } from "../fidelity-record.ts";
import type { Terminal } from "../terminal.ts";
import { worthOf } from "../worth.ts";

const transformOptions: readonly OptionSpecification[] = [
  { flags: "--out <path>", description: "directory to make, or a file ending in .gguf" },
  {
    flags: "--strength <strength>",
    description: "permute: permutations and signs, bit-identical weights; rotate: the full groups",
    choices: ["permute", "rotate"],
    fallback: "rotate",
  },
  { flags: "--format <format>", description: "output format (default: that of the input)", choices: ["safetensors", "gguf"] },
  { flags: "--quantize <type>", description: "store matrices of a GGUF as q8_0", choices: ["q8_0"] },
  {
    flags: "--precision <type>",
    description: "number format of the output's weights (default: that of the input)",
    choices: ["f32", "f16", "bf16"],
  },
  { flags: "--threads <count>", description: "worker threads (default: all cores)", parse: wholeNumber(1, 256) },
  { flags: "--name <name>", description: "name of the model for the gateway (default: that of the input)", env: "UNSEEN_MODEL_NAME" },
  { flags: "--no-measure", description: "do not measure fidelity afterwards", env: "UNSEEN_NO_MEASURE" },
];

interface TransformFlags {
  readonly out?: string;
  readonly strength: Strength;
  readonly format?: "safetensors" | "gguf";
  readonly quantize?: "q8_0";
  readonly precision?: "f32" | "f16" | "bf16";
  readonly threads?: number;
  readonly name?: string;
  readonly measure: boolean;
}

export function addEncryptCommands(program: Command): void {
  addCommand<TransformFlags & EncryptingFlags & { key: string; tokenizer?: string }>(program, {
    name: "encrypt",
    description: "encrypt a model: a Hugging Face directory, a GGUF or an ONNX file",
    arguments: [["<model>", "directory, .gguf or .onnx file"]],
    options: [
      keyOption,
      ...transformOptions,
      { flags: "--tokenizer <directory>", description: "where the tokenizer lies, if not with the model" },
      ...tracingOptions,
      ...encryptingOptions,
    ],
    async run({ options, values, terminal }) {
      const source = resolve(values[0] as string);
      const home = resolveHome();
      const { key, made } = await openOrMakeKey(options.key, home);
      if (made) terminal.note(`Made the key ${key.name} (${key.id}). Back it up: unseen key export ${key.name} FILE`);
      const [extension = ""] = /\.(?:gguf|onnx)$/.exec(source) ?? [];
      const output = options.out ?? `${source.slice(0, source.length - extension.length)}-unseen${extension}`;
      keepApart(output, home);
      const name = options.name ?? nameOf(source);
      if (extension === ".onnx") {
        refuseWeightFlags(options);
        const { strength, measure, tokenizer } = options;
        const progress: EncryptOnnxCommand["progress"] = (work) => withProgress("encrypting", terminal, work);
        return encryptOnnxCommand({ source, output, key, name, strength, flags: options, tokenizer, measure, home, terminal, progress });
      }
      let bundled: Awaited<ReturnType<typeof bundleModel>> | undefined;
      const result = await withProgress("encrypting", terminal, (run) =>
        encryptModel({
          source,
          output,
          key: { secret: key.secret, strength: options.strength },
          ...transformFlags(options),
          ...run,
          // A model whose bundle is missing is a model that nobody can talk to.
          beforeCommit: async (written) => {
            bundled = await bundleModel(home, { source, result: written, key, name, tokenizer: options.tokenizer });
          },
        }),
      );
      if (!bundled) throw new UnseenError("INTERNAL", "the model was committed without its bundle.");
      const { bundle, hasTokenizer } = bundled;
      report(result, terminal);
      terminal.print(
        `Bundle   ${bundle.name} in ${home.bundles}${hasTokenizer || bundle.vocabularySize === 0 ? "" : " (no tokenizer: ids only; give one with --tokenizer)"}`,
      );
      const ends = await loadBundleInterface(home, bundle);
      const encoder = ends !== null;
      const clear = ends?.inputs.filter(({ kind }) => kind === "tensor").map((input) => input.name) ?? [];
      const tokenizer = await loadBundleTokenizer(home, bundle);
      const sequences = sampleSequences(tokenizer, bundle.vocabularySize, affordableTokens(result.weights));
      const fidelity = options.measure ? await measureFidelity(source, result.output, key.secret, sequences) : null;
      if (fidelity) {
        terminal.print(`Fidelity ${describeFidelity(fidelity, encoder)}`);
        await keepFidelity(home, bundle.fingerprint, fidelity, terminal.note);
      }
      if (clear.length > 0) terminal.note(`WARNING: whoever runs the model will see ${clear.join(", ")} IN CLEAR.`);
      terminal.print();
      terminal.print("What it is worth: logs, caches, networks and curious eyes see numbers without words. Much traffic of a known kind");
      terminal.print("can be deciphered from the numbers alone, and an operator who holds these weights and the public model they");
      terminal.print("came from can undo it: see docs/threat-model.md.");
      const worth = bundle.vocabularySize === 0 ? null : encoder ? "encoder" : "decoder";
      for (const line of await worthOf(home, bundle, worth)) terminal.print(line);
      if (encoder) terminal.print(`Next:    load ${result.output} with transformers, between \`unseen encipher\` and \`unseen decipher\``);
      else terminal.print(`Next:    unseen serve ${result.output}`);
      return { ...describe(result), bundle: bundle.name, key: key.id, fidelity };
    },
  });

  addCommand<TransformFlags & { from: string; to: string }>(program, {
    name: "rekey",
    description: "move an encrypted model to another key, without the plain model",
    arguments: [["<model>", "encrypted directory or .gguf file"]],
    options: [
      { flags: "--from <key>", description: "the key it is under now", fallback: "default" },
      { flags: "--to <key>", description: "the new key" },
      ...transformOptions.filter((option) => !/measure|strength/.test(option.flags)),
    ],
    async run({ options, values, terminal }) {
      const source = resolve(values[0] as string);
      if (!options.to) throw new UnseenError("USAGE", "rekey needs --to KEY.", { hint: "`unseen key new NAME` makes a key." });
      const home = resolveHome();
      const [from, to] = [await openKey(options.from, home), await openKey(options.to, home)];
      const before = (await openModel(source)).manifest;
      if (!before) throw new UnseenError("NOT_ENCRYPTED", `${source} is not an encrypted model.`, { hint: "Use `unseen encrypt`." });
      const output = options.out ?? `${source.replace(/\.gguf$/, "")}-${to.name}${source.endsWith(".gguf") ? ".gguf" : ""}`;
      keepApart(output, home);
      const former = await formerBundle(home, before.fingerprint);
      let bundle: Bundle | null = null;
      const result = await withProgress("rekeying", terminal, (run) =>
        rekeyModel({
          source,
          output,
          from: from.secret,
          to: { secret: to.secret, strength: before.strength },
          outputs: former?.outputs,
          ...transformFlags(options),
          ...run,
          beforeCommit: async (written) => {
            bundle = former && (await moveBundle(home, former, { source, result: written, to, name: options.name }));
          },
        }),
      );
      report(result, terminal);
      const moved = bundle as Bundle | null;
      if (moved) terminal.print(`Bundle   ${moved.name} in ${home.bundles}`);
      else terminal.note("The keyring has no bundle of this model, so none was made for the new key.");
      return { ...describe(result), bundle: moved?.name ?? null, key: to.id };
    },
  });

  addCommand<{ key: string; tokens: number; prompts?: string; tokenizer?: string; case?: string; rounds: number; dimension?: string[] }>(
    program,
    {
      name: "verify",
      description: "run a plain and an encrypted model on the same inputs and compare every number that comes out",
      arguments: [
        ["<plain>", "the plain model"],
        ["<encrypted>", "the encrypted model"],
      ],
      options: [
        keyOption,
        { flags: "--tokens <count>", description: "positions to compare", fallback: "64", parse: wholeNumber(1, 100_000) },
        { flags: "--prompts <file>", description: "a text file, one prompt a line" },
        { flags: "--tokenizer <directory>", description: "where the tokenizer lies, if not with the plain model" },
        { flags: "--case <file>", description: "ONNX: a safetensors file with the inputs, named in.NAME (default: random inputs)" },
        { flags: "--rounds <count>", description: "ONNX: random inputs to compare", fallback: "4", parse: wholeNumber(1, 10_000) },
        { flags: "--dimension <name=size>", description: "ONNX: size of a named dimension (repeatable)", repeated: true },
      ],
      async run({ options, values, terminal }) {
        const [plain, encrypted] = values as [string, string];
        const key = await openKey(options.key);
        if (plain.endsWith(".onnx") || encrypted.endsWith(".onnx"))
          return verifyOnnxCommand(plain, encrypted, key, { ...options, rounds: Number(options.rounds) }, terminal);
        const model = await openModel(encrypted);
        const { manifest } = model;
        if (!manifest)
          throw new UnseenError("NOT_ENCRYPTED", `${encrypted} is not an encrypted model.`, {
            hint: "Give the plain model first, the encrypted one second.",
          });
        const tokenizer = await findTokenizer(options.tokenizer ?? plain, manifest.fingerprint);
        const prompts = options.prompts
          ? (await readFile(options.prompts, "utf8")).split("\n").filter((line) => line.trim() !== "")
          : undefined;
        if (prompts && !tokenizer)
          throw new UnseenError("TOKENIZER_MISSING", "--prompts needs a tokenizer, and none lies with the plain model or in its bundle.", {
            hint: "Say where it lies with --tokenizer DIRECTORY, or leave out --prompts.",
          });
        const sequences = sampleSequences(tokenizer, manifest.vocabularySize, Number(options.tokens), prompts);
        const fidelity = await measureFidelity(plain, encrypted, key.secret, sequences);
        terminal.print(describeFidelity(fidelity, blueprintOf(model.config).kind === "encoder"));
        // A model that disagrees with its original more often than not is not an encryption of it.
        const failed = fidelity.greedyAgreement < 0.5;
        if (!failed) return fidelity;
        const error = new UnseenError("VERIFICATION_FAILED", "the two models do not compute the same.", {
          hint: "The plain model is probably not the original of the encrypted one.",
        });
        terminal.note(`unseen: ${error.line}`);
        return { ...fidelity, error: { code: error.code, message: error.message, hint: error.hint }, [EXIT_CODE]: 1 };
      },
    },
  );
}

/** An ONNX file stays an ONNX file of the same numbers. Throws `USAGE`. */
function refuseWeightFlags({ format, quantize, precision, out }: TransformFlags): void {
  const given = format ? "--format" : quantize ? "--quantize" : precision ? "--precision" : null;
  if (given)
    throw new UnseenError("USAGE", `${given} does not apply to ONNX files.`, { hint: "The output has the number formats of the input." });
  if (out && !out.endsWith(".onnx"))
    throw new UnseenError("USAGE", `--out ${out} must end in .onnx.`, { hint: "An ONNX file becomes an ONNX file." });
}

function transformFlags(options: Partial<TransformFlags>): Pick<TransformFlags, "format" | "quantize" | "precision" | "threads"> {
  const { format, quantize, precision, threads } = options;
  return {
    ...(format ? { format } : {}),
    ...(quantize ? { quantize } : {}),
    ...(precision ? { precision } : {}),
    ...(threads ? { threads } : {}),
  };
}

/** Draws a bar, and turns Ctrl-C into an orderly end: workers stop, and what was written is removed. */
async function withProgress<T>(
  label: string,
  terminal: Terminal,
  work: (run: { onProgress: (done: number, total: number) => void; signal: AbortSignal }) => Promise<T>,
): Promise<T> {
  const progress = terminal.progress(label);
  const onProgress = (done: number, total: number): void => progress.update(done, total);
  return interruptible("Nothing half-written was kept.", (signal) => work({ onProgress, signal })).finally(() => progress.end());
}

/** The keyring must never be uploaded with the weights. */
function keepApart(output: string, home: Home): void {
  const path = resolve(output) + sep;
  if (path.startsWith(resolve(home.keys) + sep) || path.startsWith(resolve(home.bundles) + sep) || resolve(home.keys).startsWith(path)) {
    throw new UnseenError("USAGE", `--out ${output} lies inside the keyring.`, {
      hint: `Choose a place outside ${dirname(home.keys)}/keys and bundles; the output is for uploading.`,
    });
  }
}

function describe(result: TransformResult): object {
  const { output, manifest, weights, bytes, seconds, removedLeftover } = result;
  return {
    output,
    fingerprint: manifest?.fingerprint ?? null,
    strength: manifest?.strength ?? null,
    family: manifest?.family ?? null,
    weights,
    bytes,
    seconds,
    removedLeftover,
  };
}

function report(result: TransformResult, terminal: Terminal): void {
  if (result.removedLeftover) terminal.note(`An interrupted run had left ${result.output}.partial; it was removed and the work done anew.`);
  terminal.print(`Output   ${result.output}`);
  terminal.print(
    `         ${(result.weights / 1e6).toFixed(1)} M weights, ${(result.bytes / 1e6).toFixed(0)} MB in ${result.seconds.toFixed(1)} s, strength ${result.manifest?.strength}`,
  );
  terminal.print(`         fingerprint ${result.manifest?.fingerprint}`);
}

async function findTokenizer(directory: string, fingerprint: string): Promise<TextTokenizer | null> {
  const own = await TextTokenizer.load(directory).catch(() => null);
  if (own) return own;
  const home = resolveHome();
  const bundle = await loadBundle(home, fingerprint).catch(() => null);
  return bundle && loadBundleTokenizer(home, bundle);
}
