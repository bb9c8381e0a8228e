/**
 * `unseen encipher`, `unseen decipher`: the key holder's half of a model that another program runs, in safetensors files.
 * @module
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { bundleDirectory, loadBundle, loadBundleEnds } from "@unseen/client/bundle.ts";
import { resolveHome } from "@unseen/client/home.ts";
import { Stem } from "@unseen/client/stem/stem.ts";
import { TensorCipher } from "@unseen/client/tensors/tensor-cipher.ts";
import { readTensorFile, writeTensorFile, type NamedTensor } from "@unseen/client/tensors/tensor-file.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Command } from "commander";
import { addCommand, type OptionSpecification } from "../command.ts";
import { openKeyOf } from "../models.ts";

const options: readonly OptionSpecification[] = [
  { flags: "--model <name>", description: "name or fingerprint of the model" },
  { flags: "--key <name>", description: "name, id or file of the key (default: the one that the model was encrypted under)" },
  { flags: "--out <file>", description: "file to make" },
];

interface TensorFlags {
  readonly model?: string;
  readonly key?: string;
  readonly out?: string;
}

/** What becomes of a file. */
interface Work {
  /** Stands before the extension of the default output. */
  readonly suffix: string;
  readonly mode: 0o600 | 0o644;
  run(cipher: TensorCipher, tensors: readonly { readonly name: string; read(): NamedTensor }[]): Promise<readonly NamedTensor[]>;
}

const ENCIPHERING = {
  suffix: "cipher",
  mode: 0o644,
  run: (cipher, tensors) => cipher.encipher(tensors.map((tensor) => tensor.read())),
} as const satisfies Work;
const DECIPHERING: Work = {
  suffix: "plain",
  mode: 0o600,
  run: async (cipher, tensors) => tensors.map((tensor) => cipher.decipher(tensor.read())),
};

export function addTensorCommands(program: Command): void {
  addCommand<TensorFlags>(program, {
    name: "encipher",
    description: "turn a file of plain inputs into what an untrusted machine may compute with",
    arguments: [["<file>", "safetensors file with the model's inputs by name: input_ids, attention_mask, pixel_values, ..."]],
    options,
    async run({ options: flags, values, terminal }) {
      const { output, made } = await convert(values[0] as string, flags, ENCIPHERING);
      const inputs = (made as Awaited<ReturnType<TensorCipher["encipher"]>>).map(({ name, shape, protection }) => ({
        name,
        shape,
        protection,
      }));
      terminal.print(`Output   ${output}`);
      for (const { name, shape, protection } of inputs) terminal.print(`Input    ${name} (${shape.join(", ")}): ${protection}`);
      const clear = inputs.filter(({ protection }) => protection === "clear").map(({ name }) => name);
      if (clear.length > 0) terminal.note(`WARNING: whoever gets the file sees ${clear.join(", ")} IN CLEAR.`);
      return { output, inputs };
    },
  });

  addCommand<TensorFlags>(program, {
    name: "decipher",
    description: "turn a file of what an untrusted machine computed into plain outputs",
    arguments: [["<file>", "safetensors file with the model's outputs by name: logits, last_hidden_state, pooler_output, ..."]],
    options,
    async run({ options: flags, values, terminal }) {
      const { output, made } = await convert(values[0] as string, flags, DECIPHERING);
      const outputs = made.map(({ name, shape }) => ({ name, shape }));
      terminal.print(`Output   ${output}`);
      for (const { name, shape } of outputs) terminal.print(`Result   ${name} (${shape.join(", ")})`);
      return { output, outputs };
    },
  });
}

async function convert(file: string, flags: TensorFlags, work: Work): Promise<{ output: string; made: readonly NamedTensor[] }> {
  if (!flags.model) throw new UnseenError("USAGE", "which model? --model is missing.", { hint: "`unseen list` shows the models." });
  const output = resolve(flags.out ?? file.replace(/(?:\.safetensors)?$/, `.${work.suffix}.safetensors`));
  // Said before the work; writing checks it again.
  if (existsSync(output))
    throw new UnseenError("OUTPUT_EXISTS", `${output} already exists.`, { hint: "Choose another --out or remove it first." });
  const home = resolveHome();
  const bundle = await loadBundle(home, flags.model);
  const ends = await loadBundleEnds(home, bundle);
  const tensors = await readTensorFile(resolve(file));
  const key = await openKeyOf(bundle, home, flags.key);
  const stem = ends.ends?.stem ? new Stem(join(bundleDirectory(home, bundle.fingerprint), ends.ends.stem.file)) : null;
  try {
    const made = await work.run(new TensorCipher({ ...ends, bundle, secret: key.secret, stem }), tensors);
    await writeTensorFile(output, made, work.mode);
    return { output, made };
  } finally {
    stem?.close();
  }
}
