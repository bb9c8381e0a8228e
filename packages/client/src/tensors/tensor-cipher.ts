/**
 * The key at both ends of a model that somebody else's program runs: whole tensors, named as the program names them.
 * @module
 */
import type { ClientInput, ClientInterface } from "@unseen/core/blueprint/interface.ts";
import { decipherOutput, type ModelOutput } from "@unseen/core/blueprint/output.ts";
import { isIdentityRecipe } from "@unseen/core/blueprint/recipe.ts";
import { Elements } from "@unseen/core/blueprint/spaces.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Bundle, BundleEnds } from "../bundle.ts";
import { permutationOf } from "../encoders/sequences.ts";
import { AxisElements, volume, type Tensor } from "../encoders/tensor.ts";
import { TokenCipher } from "../token-cipher.ts";
import { isWhole, type NamedTensor } from "./tensor-file.ts";

/** Numbers that are deciphered at a time where rows are independent, so that copies of a large output stay small. */
const PIECE = 1 << 20;

/** A client's own part of the model: plain numbers in, the host's inputs out. */
export interface StemRunner {
  run(input: Tensor): Promise<Map<string, Tensor>>;
}

/** What the host learns of an input's content. */
export type Protection = "enciphered" | "no content" | "clear";

/** An input as it goes to the host. */
export interface EncipheredInput extends NamedTensor {
  readonly protection: Protection;
}

/**
 * Enciphers a model's input tensors and deciphers its output tensors under one key.
 *
 * @example
 * ```ts
 * const cipher = new TensorCipher({ bundle, ...(await loadBundleEnds(home, bundle)), secret, stem: null });
 * cipher.decipher({ name: "logits", format: "F32", shape: [1, 2], values }).values; // as the plain model gives them
 * ```
 */
export class TensorCipher {
  readonly #ends: Pick<ClientInterface, "inputs" | "outputs" | "fixedLength">;
  readonly #others: ReadonlyMap<string, ModelOutput>;
  readonly #elements: Elements;
  readonly #secret: Uint8Array;
  readonly #stem: StemRunner | null;

  /** @param parts - `stem` where the interface names one. */
  constructor(parts: BundleEnds & { readonly bundle: Bundle; readonly secret: Uint8Array; readonly stem: StemRunner | null }) {
    const { bundle, ends, outputs, secret, stem } = parts;
    this.#ends = ends ?? decoderEnds(bundle.vocabularySize);
    this.#others = new Map(outputs.map((output) => [output.name, output]));
    this.#elements = new Elements({ secret, strength: bundle.strength }, "half");
    this.#secret = secret;
    this.#stem = stem;
  }

  /** Outputs that can be deciphered. */
  get outputs(): readonly string[] {
    return [...this.#ends.outputs.map(({ name }) => name), ...this.#others.keys()];
  }

  /**
   * The plain numbers of one output, as float32; whole numbers, which no key touches, as they are. A shape may have more leading axes than
   * the model's output, or lack leading axes that the key does not touch, such as the batch.
   *
   * @param tensor - Its values are changed in place.
   * @throws UnseenError USAGE for a name that is no output's; CHECKPOINT_WRONG_SHAPE, CHECKPOINT_DTYPE_UNSUPPORTED, BUNDLE_INVALID
   */
  decipher(tensor: NamedTensor): NamedTensor {
    const { name, shape, values } = tensor;
    const axes = this.#ends.outputs.find((output) => output.name === name)?.axes;
    const other = this.#others.get(name);
    if (!axes && !other)
      throw new UnseenError("USAGE", `tensor ${name}: expected an output of the model, got another name.`, {
        hint: `Its outputs are ${this.outputs.join(", ")}; save these alone.`,
      });
    if (axes?.every((recipe) => recipe === null || isIdentityRecipe(recipe)))
      return { ...tensor, format: isWhole(tensor.format) ? tensor.format : "F32" };
    if (isWhole(tensor.format)) throw wrongFormat(tensor, "floating point numbers");
    if (axes) {
      const elements = new AxisElements(name, axes, this.#secret);
      const aligned = fitted(name, { shape, values }, elements);
      if (values.length > 0) elements.decipher(aligned);
    } else this.#decipherRows(other as ModelOutput, tensor);
    return { ...tensor, format: "F32" };
  }

  #decipherRows(output: ModelOutput, { shape, values }: Tensor): void {
    const { size } = output.space;
    if (shape.at(-1) !== size) throw wrongShape(output.name, `${size} numbers along the last axis`, shape);
    const step = size * Math.max(1, Math.floor(PIECE / size));
    for (let start = 0; start < values.length; start += step)
      values.set(decipherOutput(output, this.#elements, values.subarray(start, start + step)), start);
  }

  /**
   * What the host gets for plain inputs. A tensor that is no input of the host's is taken for the picture of the client's own part.
   *
   * @throws UnseenError USAGE for a name that is no input's; TOKEN_OUT_OF_RANGE, CHECKPOINT_WRONG_SHAPE, CHECKPOINT_DTYPE_UNSUPPORTED,
   *   BUNDLE_INVALID, ENGINE_CRASHED
   */
  async encipher(tensors: readonly NamedTensor[]): Promise<EncipheredInput[]> {
    const results: EncipheredInput[] = [];
    for (const tensor of tensors) {
      const input = this.#ends.inputs.find(({ name }) => name === tensor.name);
      if (input && input.kind !== "peaks") results.push(this.#encipherOne(input, tensor));
      else if (!input && this.#stem && tensors.length === 1) results.push(...(await this.#runStem(tensor, this.#stem)));
      else throw this.#unknownInput(tensor.name);
    }
    for (const input of this.#ends.inputs) {
      const ids = input.kind === "peaks" && tensors.find(({ name }) => name === input.of);
      if (ids) results.push({ name: input.name, format: "I64", ...peaksOf(ids), protection: "clear" });
    }
    return results;
  }

  #encipherOne(input: Exclude<ClientInput, { kind: "peaks" }>, tensor: NamedTensor): EncipheredInput {
    if (input.kind === "tensor") {
      if (input.axes.every((recipe) => recipe === null || isIdentityRecipe(recipe))) return { ...tensor, protection: "clear" };
      if (isWhole(tensor.format)) throw wrongFormat(tensor, "floating point numbers");
      const elements = new AxisElements(input.name, input.axes, this.#secret);
      const values = Float64Array.from(tensor.values);
      const aligned = fitted(input.name, { shape: tensor.shape, values }, elements);
      if (values.length > 0) elements.encipher(aligned);
      return { ...tensor, values, protection: "enciphered" };
    }
    const values = Float64Array.from(tensor.values);
    if (input.order) {
      // What is not filled up would show its length, and has no secret order.
      if (tensor.shape.at(-1) !== this.#ends.fixedLength)
        throw wrongShape(input.name, `sequences that are filled up to ${this.#ends.fixedLength} tokens`, tensor.shape);
      const elements = new AxisElements(input.name, [null, input.order], this.#secret);
      const aligned = fitted(input.name, { shape: tensor.shape, values }, elements);
      if (values.length > 0) elements.encipher(aligned);
    }
    if (input.kind !== "ids") return { ...tensor, values, protection: "no content" };
    if (!isWhole(tensor.format)) throw wrongFormat(tensor, "whole numbers");
    const cipher = new TokenCipher(permutationOf(this.#secret, input));
    return { ...tensor, values: Float64Array.from(cipher.encipher([...values])), protection: "enciphered" };
  }

  async #runStem({ shape, values }: NamedTensor, stem: StemRunner): Promise<EncipheredInput[]> {
    const made = await stem.run({ shape, values });
    return [...made].map(([name, tensor]) => {
      const input = this.#ends.inputs.find((candidate) => candidate.name === name);
      if (input?.kind !== "tensor") throw this.#unknownInput(name);
      return this.#encipherOne(input, { name, format: "F32", ...tensor });
    });
  }

  #unknownInput(name: string): UnseenError {
    const names = this.#ends.inputs.filter(({ kind }) => kind !== "peaks").map((input) => input.name);
    return new UnseenError("USAGE", `tensor ${name}: expected an input of the model, got another name.`, {
      hint: `Its inputs are ${names.join(", ")}; what is none of them would reach the host in clear.`,
    });
  }
}

/** The ends of a model that continues text. */
function decoderEnds(size: number): Pick<ClientInterface, "inputs" | "outputs" | "fixedLength"> {
  const label = "vocabulary";
  return {
    inputs: [
      { name: "input_ids", kind: "ids", label, size },
      { name: "attention_mask", kind: "mask" },
      { name: "position_ids", kind: "positions" },
    ],
    outputs: [
      {
        name: "logits",
        axes: [null, null, { kind: "leaf", id: label, size, map: "permutation", dual: false, scales: [], signs: [], within: [] }],
      },
    ],
    fixedLength: null,
  };
}

/** The same values in as many axes as the model's end has. @throws UnseenError CHECKPOINT_WRONG_SHAPE */
function fitted(name: string, { shape, values }: Tensor, elements: AxisElements): Tensor {
  const more = shape.length - elements.rank;
  const aligned = more > 0 ? [volume(shape.slice(0, more + 1)), ...shape.slice(more + 1)] : [...Array<number>(-more).fill(1), ...shape];
  if (elements.fits(aligned)) return { shape: aligned, values };
  const expected = Array.from({ length: elements.rank }, (_, axis) => elements.size(axis) ?? "any");
  throw wrongShape(name, `the shape (${expected.join(", ")})`, shape);
}

/** The first place of the highest id of each sequence: one number for the axes that are left. */
function peaksOf({ shape, values }: Tensor): Tensor {
  const length = shape.at(-1) ?? 1;
  const rows = length === 0 ? 0 : values.length / length;
  const places = Float64Array.from({ length: rows }, (_, row) => {
    const ids = values.subarray(row * length, (row + 1) * length);
    return ids.indexOf(ids.reduce((most, id) => Math.max(most, id), -Infinity));
  });
  return { shape: shape.slice(0, -1), values: places };
}

function wrongShape(name: string, expected: string, shape: readonly number[]): UnseenError {
  return new UnseenError("CHECKPOINT_WRONG_SHAPE", `tensor ${name}: expected ${expected}, got (${shape.join(", ")}).`, {
    hint: "Check that file and --model belong to the same encrypted model.",
  });
}

function wrongFormat({ name, format }: NamedTensor, expected: string): UnseenError {
  return new UnseenError("CHECKPOINT_DTYPE_UNSUPPORTED", `tensor ${name}: expected ${expected}, got ${format}.`, {
    hint: "Convert it before you save it.",
  });
}
