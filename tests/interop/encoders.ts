/**
 * The TypeScript half of `encoders.py`, which explains itself.
 * `encrypt SOURCE OUTPUT STRENGTH` encrypts and prints how ids map and how each output is undone;
 * `run MODEL INPUTS.json` prints what the reference implementation computes.
 * @module
 */
import { readFileSync } from "node:fs";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { Elements, vocabularyPermutation, type Strength } from "@unseen/core/blueprint/spaces.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import { encode, type EncoderInput } from "@unseen/core/reference/encoder.ts";

const secret = Uint8Array.from({ length: 32 }, (_, index) => index * 11 + 4);

async function encrypt(source: string, output: string, strength: Strength): Promise<unknown> {
  const key = { secret, strength };
  const { vocabulary, outputs, labels } = await encryptModel({ source, output, key, threads: 2 });
  const elements = new Elements(key, "half");
  return {
    cipher: vocabulary && [...vocabularyPermutation(secret, vocabulary)],
    labels,
    outputs: outputs.map(({ name, space, norm }) => {
      if (space.id === vocabulary?.id) return { name, matrix: null, norm };
      // Row i: the image of the i-th unit vector under T^-1.
      const panel = new Float64Array(space.size * space.size);
      for (let i = 0; i < space.size; i += 1) panel[i * space.size + i] = 1;
      elements.of(space)?.inverse().apply(panel, space.size);
      const matrix = Array.from({ length: space.size }, (_, row) =>
        Array.from({ length: space.size }, (__, k) => panel[k * space.size + row]),
      );
      return { name, matrix, norm };
    }),
  };
}

async function run(path: string, file: string): Promise<unknown> {
  const model = await openModel(path);
  const inputs = JSON.parse(readFileSync(file, "utf8")) as (Omit<EncoderInput, "pixels"> & { pixels?: number[] })[];
  return inputs.map(({ pixels, ...rest }) => {
    const outputs = encode(model, pixels ? { ...rest, pixels: Float64Array.from(pixels) } : rest);
    return Object.fromEntries(
      [...outputs].map(([name, { rows, columns, values }]) => [name, { shape: [rows, columns], values: [...values] }]),
    );
  });
}

const [command, ...values] = process.argv.slice(2);
if (command === "encrypt" && values.length === 3) {
  process.stdout.write(JSON.stringify(await encrypt(values[0] as string, values[1] as string, values[2] as Strength)));
} else if (command === "run" && values.length === 2) {
  process.stdout.write(JSON.stringify(await run(values[0] as string, values[1] as string)));
} else throw new Error("usage: encoders.ts encrypt SOURCE OUTPUT STRENGTH | run MODEL INPUTS");
