/**
 * The parts that decoder families share: their spaces, and the rows of attention and feed-forward
 * blocks. A family's file puts them together. Source: docs/reference/groups.md; every law is property-tested in
 * `algebra/laws.test.ts`.
 * @module
 */
import type { Architecture, Layer } from "./architecture.ts";
import type { DecoderBlueprint, Row, Table } from "./family.ts";
import { concat, free, gain, offset, read, write, type Axis, type Space } from "./space.ts";
import { vocabularySpace } from "./spaces.ts";

/** The spaces of one decoder layer. */
export interface LayerSpaces {
  readonly queries: Space;
  readonly keys: Space;
  readonly values: Space;
  /** What attention hands to the output projection: values, once per query head. */
  readonly attended: Space;
  readonly neurons: Space;
  /** The ungated factor of a gated block: same permutation as `neurons`, with scales. */
  readonly scaled: Space;
  readonly experts: Space;
  expert(index: number): { readonly neurons: Space; readonly scaled: Space };
}

export interface DecoderSpaces {
  readonly vocabulary: Space;
  readonly stream: Space;
  /** Axes that no group acts on: position rows, gains inside heads. */
  fixed(size: number): Space;
  layer(index: number): LayerSpaces;
}

/** The spaces of a decoder. `foldable`: every norm's gain can be moved into the tensors that read it. */
export function decoderSpaces(a: Architecture, options: { foldable: boolean }): DecoderSpaces {
  const permuted = (id: string, size: number): Space => ({ id, size, group: { kind: "permutation" } });
  const scaled = (of: string, size: number): Space => ({ id: `${of}.scaled`, size, group: { kind: "scaled", of } });
  return {
    vocabulary: vocabularySpace(a.vocabulary),
    stream: { id: "stream", size: a.hidden, group: { kind: "stream", norm: a.norm.kind, foldable: options.foldable } },
    fixed: (size) => ({ id: "fixed", size, group: { kind: "fixed" } }),
    layer(index) {
      const layer = a.layers[index] as Layer;
      const heads = (role: "queries" | "keys" | "values" | "attended", count: number): Space => ({
        id: `layer.${index}.${role}`,
        size: count * a.headSize,
        group: {
          kind: "heads",
          role,
          layer: `layer.${index}`,
          order: `layer.${index}.heads`,
          heads: a.heads,
          kvHeads: a.kvHeads,
          headSize: a.headSize,
          rotaryDimensions: layer.rope?.dimensions ?? 0,
          normed: a.headNorms,
        },
      });
      const neurons = `layer.${index}.neurons`;
      return {
        queries: heads("queries", a.heads),
        keys: heads("keys", a.kvHeads),
        values: heads("values", a.kvHeads),
        attended: heads("attended", a.heads),
        neurons: permuted(neurons, a.neurons),
        scaled: scaled(neurons, a.neurons),
        experts: permuted(`layer.${index}.experts`, layer.experts?.count ?? 0),
        expert(expertIndex) {
          const id = `layer.${index}.expert.${expertIndex}.neurons`;
          const size = layer.experts?.neurons ?? 0;
          return { neurons: permuted(id, size), scaled: scaled(id, size) };
        },
      };
    },
  };
}

/** A decoder's blueprint from its table: what goes in and comes out is the vocabulary. */
export function decoderBlueprint(
  { vocabulary }: DecoderSpaces,
  parts: Omit<DecoderBlueprint, "kind" | "vocabulary" | "outputs">,
): DecoderBlueprint {
  return { kind: "decoder", vocabulary, outputs: [{ name: "logits", space: vocabulary }], ...parts };
}

/** A weight and the bias that some checkpoints add. Biases lie on the axis that the weight writes. */
export function linear(name: string, rows: Axis, columns: Axis, bias: Axis = rows): Table {
  return { [`${name}.weight`]: { axes: [rows, columns] }, [`${name}.bias`]: { axes: [bias], optional: true } };
}

/** A norm on a space: its gain, and a bias for LayerNorm. */
export function norm(name: string, space: Space, kind: "rms" | "layer" = "rms"): Table {
  const weight: Row = { axes: [gain(space)] };
  return kind === "rms" ? { [`${name}.weight`]: weight } : { [`${name}.weight`]: weight, [`${name}.bias`]: { axes: [offset(space)] } };
}

/** Separate q, k, v and output projections behind the norm `after`. */
export function attention(a: Architecture, spaces: DecoderSpaces, index: number, prefix: string, after: string | undefined): Table {
  const { queries, keys, values, attended } = spaces.layer(index);
  const rotary = (a.layers[index] as Layer).rope !== null;
  return {
    ...linear(`${prefix}.q_proj`, write(queries), read(spaces.stream, after)),
    ...linear(`${prefix}.k_proj`, write(keys), read(spaces.stream, after), rotary || a.headNorms ? write(keys) : free(keys)),
    ...linear(`${prefix}.v_proj`, write(values), read(spaces.stream, after)),
    ...linear(`${prefix}.o_proj`, write(spaces.stream), read(attended)),
    ...(a.headNorms ? { ...headNorm(`${prefix}.q_norm`, spaces, a.headSize), ...headNorm(`${prefix}.k_norm`, spaces, a.headSize) } : {}),
  };
}

function headNorm(name: string, spaces: DecoderSpaces, size: number): Table {
  // One gain for all heads: signs per rotary pair commute with it, head permutations do not touch it.
  return { [`${name}.weight`]: { axes: [gain(spaces.fixed(size))] } };
}

/** q, k and v in one tensor (Phi-3). */
export function fusedAttention(spaces: DecoderSpaces, index: number, prefix: string, after: string): Table {
  const { queries, keys, values, attended } = spaces.layer(index);
  return {
    ...linear(`${prefix}.qkv_proj`, concat(write(queries), write(keys), write(values)), read(spaces.stream, after)),
    ...linear(`${prefix}.o_proj`, write(spaces.stream), read(attended)),
  };
}

/** Gated feed-forward: down(activation(gate(x)) * up(x)). */
export function gated(spaces: DecoderSpaces, index: number, prefix: string, after: string | undefined): Table {
  const { neurons, scaled } = spaces.layer(index);
  return {
    ...linear(`${prefix}.gate_proj`, write(neurons), read(spaces.stream, after)),
    ...linear(`${prefix}.up_proj`, write(scaled), read(spaces.stream, after)),
    ...linear(`${prefix}.down_proj`, write(spaces.stream), read(scaled)),
  };
}

/** Gate and up in one tensor (Phi-3). */
export function fusedGated(spaces: DecoderSpaces, index: number, prefix: string, after: string): Table {
  const { neurons, scaled } = spaces.layer(index);
  return {
    ...linear(`${prefix}.gate_up_proj`, concat(write(neurons), write(scaled)), read(spaces.stream, after)),
    ...linear(`${prefix}.down_proj`, write(spaces.stream), read(scaled)),
  };
}

/** A router and its experts; `names` are the three projections of an expert. Experts change places with the router's rows. */
export function mixture(
  a: Architecture,
  spaces: DecoderSpaces,
  index: number,
  after: string,
  names: { router: string; expert(expert: number): string; gate: string; up: string; down: string },
): Table {
  const layer = spaces.layer(index);
  const table: Record<string, Row> = { [`${names.router}.weight`]: { axes: [write(layer.experts), read(spaces.stream, after)] } };
  const count = (a.layers[index] as Layer).experts?.count ?? 0;
  for (let expert = 0; expert < count; expert += 1) {
    const { neurons, scaled } = layer.expert(expert);
    const add = (part: string, rows: Axis, columns: Axis): void => {
      const name = (place: number): string => `${names.expert(place)}.${part}.weight`;
      table[name(expert)] = { axes: [rows, columns], expert: { space: layer.experts, index: expert, name } };
    };
    add(names.gate, write(neurons), read(spaces.stream, after));
    add(names.up, write(scaled), read(spaces.stream, after));
    add(names.down, write(spaces.stream), read(scaled));
  }
  return table;
}

/** Embedding, final norm and head. */
export function ends(spaces: DecoderSpaces, names: { embedding: string; norm: string; head: string }, foldable: boolean): Table {
  return {
    [names.embedding]: { axes: [write(spaces.vocabulary), write(spaces.stream)] },
    ...norm(names.norm, spaces.stream),
    [names.head]: { axes: [write(spaces.vocabulary), read(spaces.stream, foldable ? names.norm : undefined)] },
  };
}
