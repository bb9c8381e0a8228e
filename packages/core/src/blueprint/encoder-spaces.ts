/**
 * The spaces that encoders have and decoders have not, and the rows of their blocks. A family's file puts them together.
 * Source: docs/reference/groups.md; every law is property-tested in `algebra/laws.test.ts`.
 * @module
 */
import { norm } from "./decoder.ts";
import type { EncoderActivation, Tower } from "./encoder.ts";
import { oddPart, type Row, type Table } from "./family.ts";
import type { LeafRecipe, Recipe } from "./recipe.ts";
import { free, read, write, type Axis, type Space } from "./space.ts";

const leaf = (id: string, size: number, more: Partial<LeafRecipe>): LeafRecipe => ({
  kind: "leaf",
  id,
  size,
  map: "permutation",
  dual: false,
  scales: [],
  signs: [],
  within: [],
  ...more,
});
const made = (id: string, size: number, permute: Recipe, rotate: Recipe): Space => ({
  id,
  size,
  group: { kind: "recipe", permute, rotate },
});
const signedLeaf = (id: string, size: number): LeafRecipe => leaf(id, size, { signs: [`${id}.signs`] });

/** Axes that no group acts on: positions, token types, pixels. */
export function fixed(size: number): Space {
  return { id: "fixed", size, group: { kind: "fixed" } };
}

/** Neurons behind an activation: permutations; with signs for odd functions, with positive scales for ReLU. */
export function neurons(id: string, size: number, activation: EncoderActivation): Space {
  if (activation === "tanh") return made(id, size, signedLeaf(id, size), signedLeaf(id, size));
  if (activation === "relu") return made(id, size, leaf(id, size, {}), leaf(id, size, { scales: [{ id: `${id}.scales`, power: 1 }] }));
  return { id, size, group: { kind: "permutation" } };
}

/** Largest number of classes whose logits are mixed, and its largest odd part, whose rotation is a dense matrix made in cubic time (CWE-400). */
const MAXIMUM_MIXED = 1024;
const MAXIMUM_MIXED_ODD_PART = 255;

/** Numbers that only the client reads: any invertible map; permutations with scales where there are too many to mix. */
export function linear(id: string, size: number): Space {
  const scaled = leaf(id, size, { scales: [{ id: `${id}.scales`, power: 1 }], signs: [`${id}.signs`] });
  const mixed = size <= MAXIMUM_MIXED && oddPart(size) <= MAXIMUM_MIXED_ODD_PART;
  return made(id, size, signedLeaf(id, size), mixed ? leaf(id, size, { map: "general" }) : scaled);
}

/** Vectors that the host compares: orthogonal maps, which keep lengths and cosines. */
export function isometric(id: string, size: number): Space {
  return made(id, size, signedLeaf(id, size), leaf(id, size, { map: "orthogonal" }));
}

/** The stream between norms whose gains stay: permutations and one sign for all. */
function gainedStream(id: string, size: number): Space {
  const sign = leaf(`${id}.sign`, 1, { map: "none", signs: [`${id}.sign`] });
  const recipe: Recipe = { kind: "product", parts: [sign, leaf(id, size, {})] };
  return made(id, size, recipe, recipe);
}

/** The permutation of a {@link gainedStream} without its sign, for what passes GELU on its way back to the stream. */
function unsigned({ id, size }: Space): Space {
  return made(`${id}.unsigned`, size, leaf(id, size, {}), leaf(id, size, {}));
}

/** The spaces of one tower. */
export interface TowerSpaces {
  readonly stream: Space;
  /** One coordinate a head; null where every layer orders its heads for itself. */
  readonly headOrder: Space | null;
  layer(index: number): { queries: Space; keys: Space; values: Space; attended: Space; neurons: Space };
}

/** The spaces of a tower. A norm before each block can be folded into what reads it, unless the stream begins with one. */
export function towerSpaces(t: Tower): TowerSpaces {
  const foldable = t.norms === "before" && !t.inputNorm;
  const shared = t.distanceBuckets === null ? null : `${t.prefix}heads`;
  return {
    stream: foldable
      ? { id: `${t.prefix}stream`, size: t.hidden, group: { kind: "stream", norm: "layer", foldable } }
      : gainedStream(`${t.prefix}stream`, t.hidden),
    headOrder: shared === null ? null : { id: shared, size: t.heads, group: { kind: "head-order", heads: t.heads, kvHeads: t.heads } },
    layer(index) {
      const layer = `${t.prefix}layer.${index}`;
      const heads = (role: "queries" | "keys" | "values" | "attended"): Space => ({
        id: `${layer}.${role}`,
        size: t.heads * t.headSize,
        group: {
          kind: "heads",
          role,
          layer,
          order: shared ?? `${layer}.heads`,
          heads: t.heads,
          kvHeads: t.heads,
          headSize: t.headSize,
          rotaryDimensions: 0,
          normed: false,
        },
      });
      return {
        queries: heads("queries"),
        keys: heads("keys"),
        values: heads("values"),
        attended: heads("attended"),
        neurons: neurons(`${layer}.neurons`, t.neurons, t.activation),
      };
    },
  };
}

/** What a family calls the parts of a block; names without `.weight`. */
export interface BlockNames {
  readonly queries: string;
  readonly keys: string;
  readonly values: string;
  readonly output: string;
  readonly attentionNorm: string;
  readonly up: string;
  readonly down: string;
  readonly feedForwardNorm: string;
}

/** A weight and its bias, which lies on the axis that the weight writes; no bias where it is null. */
export function dense(name: string, rows: Axis, columns: Axis, bias: Axis | null = rows): Table {
  const weight: Row = { axes: [rows, columns] };
  return bias === null ? { [`${name}.weight`]: weight } : { [`${name}.weight`]: weight, [`${name}.bias`]: { axes: [bias] } };
}

/** One block: attention and feed-forward with their norms. */
export function block(t: Tower, spaces: TowerSpaces, index: number, names: BlockNames): Table {
  const { stream } = spaces;
  const layer = spaces.layer(index);
  const before = t.norms === "before";
  const bias = (axis: Axis): Axis | null => (t.attentionBias ? axis : null);
  const attention = read(stream, before ? names.attentionNorm : undefined);
  return {
    ...norm(names.attentionNorm, stream, "layer"),
    ...dense(names.queries, write(layer.queries), attention, bias(write(layer.queries))),
    // A key's bias adds the same to every score of a query, which softmax does not see.
    ...dense(names.keys, write(layer.keys), attention, bias(free(layer.keys))),
    ...dense(names.values, write(layer.values), attention, bias(write(layer.values))),
    ...dense(names.output, write(stream), read(layer.attended)),
    ...norm(names.feedForwardNorm, stream, "layer"),
    ...dense(names.up, write(layer.neurons), read(stream, before ? names.feedForwardNorm : undefined)),
    ...dense(names.down, write(stream), read(layer.neurons)),
  };
}

/** A dense layer, an activation and a norm in front of the words' table, whose stream it must write again. */
export function maskedHead(stream: Space, names: { dense: string; norm: string }): Table {
  return {
    ...dense(names.dense, write(unsigned(stream)), read(stream)),
    // The norm's gain and bias put the stream's sign back.
    [`${names.norm}.weight`]: { axes: [write(stream)] },
    [`${names.norm}.bias`]: { axes: [write(stream)] },
  };
}
