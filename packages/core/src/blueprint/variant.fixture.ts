/**
 * For tests: tiny checkpoints with random weights, of any family and in any variant of its configuration.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RandomStream } from "../algebra/random.ts";
import { encode, rowBytes } from "../checkpoint/format.ts";
import { layoutSafetensors } from "../checkpoint/safetensors.ts";
import type { FloatFormat } from "../checkpoint/tensor.ts";
import { createFiles, writeAt } from "../checkpoint/writer.ts";
import type { JsonObject } from "./config.ts";
import { blueprintOf } from "./families/index.ts";
import type { Row } from "./family.ts";
import { axisParts, axisSize } from "./space.ts";

export interface Variant {
  readonly config: JsonObject;
  readonly format?: FloatFormat;
  /** Whether the projections have the biases that the family may leave out. */
  readonly biases?: boolean;
  /** Every third gain of a norm is exactly zero. */
  readonly zeroGains?: boolean;
  /** A tensor of the family, stored a second time under another name. */
  readonly alsoNamed?: readonly [string, string];
  /** What to call the family's tensors instead. */
  readonly rename?: (name: string) => string;
  /** Whole numbers beside the weights, as I64 of shape (1, n). */
  readonly buffers?: Readonly<Record<string, readonly number[]>>;
}

/** Sizes that every family spells alike, over which a variant lays its own. */
export const SIZES = {
  vocab_size: 64,
  hidden_size: 32,
  intermediate_size: 40,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  bos_token_id: 1,
  eos_token_id: [2, 63],
} as const satisfies JsonObject;

/** Writes a Hugging Face directory: the family's own tensors, nothing shared with how they are encrypted. */
export function writeVariant(directory: string, variant: Variant): void {
  const { config, format = "F32", biases = false, zeroGains = false, alsoNamed, rename = (name) => name, buffers = {} } = variant;
  const blueprint = blueprintOf(config);
  const { tensors: table } = blueprint;
  const tiedHead = blueprint.kind === "decoder" && blueprint.architecture.tied ? blueprint.head : null;
  const gainOffset = blueprint.kind === "decoder" ? blueprint.architecture.norm.gainOffset : 0;
  const rows = Object.entries(table).filter(([name, row]) => (biases || !row.optional) && name !== tiedHead);
  if (alsoNamed) rows.push([alsoNamed[1], table[alsoNamed[0]] as Row]);
  const tensors = rows.map(([name, row]) => ({ name: rename(name), format, shape: row.shape ?? row.axes.map(axisSize) }));
  const integers = Object.entries(buffers).map(([name, values]) => ({ name, format: "I64" as const, shape: [1, values.length] }));
  const layout = layoutSafetensors([...tensors, ...integers], { metadata: { format: "pt" } });
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "config.json"), JSON.stringify(config));
  createFiles(directory, layout.files);
  const random = new RandomStream(new Uint8Array(32).fill(3));
  for (const [index, [name, row]] of rows.entries()) {
    const count = (tensors[index] as { shape: readonly number[] }).shape.reduce((product, size) => product * size, 1);
    const isGain = row.axes.length === 1 && axisParts(row.axes[0])[0]?.use === "gain";
    const values = Float64Array.from({ length: count }, (_, place) => {
      if (!isGain) return random.gaussian() / 4;
      return zeroGains && place % 3 === 0 ? 0 : 1 - gainOffset + random.gaussian() / 4;
    });
    const bytes = new Uint8Array(rowBytes(format, count));
    encode(format, values, bytes);
    const { file, offset } = layout.locations.get(rename(name)) as { file: string; offset: number };
    writeAt(join(directory, file), offset, bytes);
  }
  for (const [name, values] of Object.entries(buffers)) {
    const { file, offset } = layout.locations.get(name) as { file: string; offset: number };
    writeAt(join(directory, file), offset, new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
  }
}
