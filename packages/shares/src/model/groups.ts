/**
 * Which linear layers of an architecture the servers hold, and which of them read the same input. The names are the
 * same for every family, and the order is that of the forward pass.
 * @module
 */
import type { Architecture } from "@unseen/core/blueprint/architecture.ts";
import type { Encoder, Tower } from "@unseen/core/blueprint/encoder.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Group } from "../layout.ts";

/** Groups of one decoder layer. */
export const GROUPS_PER_LAYER = 4;

/** The groups of one transformer layer, in their order. */
export const groupOrder = { attention: 0, output: 1, feed: 2, down: 3 } as const;

interface LayerSizes {
  readonly hidden: number;
  /** Of all queries, and of all keys or values. */
  readonly queries: number;
  readonly keys: number;
  readonly neurons: number;
  readonly gated: boolean;
}

/** Queries, keys and values; output; gate and up; down. */
function layerGroups(index: number, { hidden, queries, keys, neurons, gated }: LayerSizes): Group[] {
  const prefix = `layers.${index}`;
  const layers = (...parts: readonly (readonly [string, number])[]): Group["layers"] =>
    parts.map(([part, out]) => ({ name: `${prefix}.${part}`, out }));
  return [
    { name: `${prefix}.attention`, in: hidden, layers: layers(["queries", queries], ["keys", keys], ["values", keys]) },
    { name: `${prefix}.output`, in: queries, layers: layers(["output", hidden]) },
    { name: `${prefix}.feed`, in: hidden, layers: gated ? layers(["gate", neurons], ["up", neurons]) : layers(["up", neurons]) },
    { name: `${prefix}.down`, in: neurons, layers: layers(["down", hidden]) },
  ];
}

/** A group of a single layer of the same name. */
function single(name: string, inward: number, out: number): Group {
  return { name, in: inward, layers: [{ name, out }] };
}

/** The groups of a decoder: {@link GROUPS_PER_LAYER} a layer, then the head. Throws `FAMILY_UNSUPPORTED_VALUE` for a mixture of experts. */
export function decoderGroups(a: Architecture): Group[] {
  if (a.layers.some(({ experts }) => experts !== null))
    throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `family ${a.family} is a mixture of experts, which two servers cannot share.`, {
      hint: "Which expert a text takes would show in the calls; choose a model with dense feed-forward layers.",
    });
  const queries = a.heads * a.headSize;
  const sizes = { hidden: a.hidden, queries, keys: a.kvHeads * a.headSize, neurons: a.neurons, gated: a.gated };
  return [...a.layers.flatMap((_, index) => layerGroups(index, sizes)), single("head", a.hidden, a.vocabulary)];
}

/** BERT and DistilBERT, bare or with classes for a text. Throws `FAMILY_UNSUPPORTED_VALUE`. */
export function requireTextEncoder(encoder: Encoder): Tower {
  const { family, head } = encoder;
  if (!["bert", "distilbert"].includes(family) || !["none", "sequence-classes"].includes(head))
    throw new UnseenError(
      "FAMILY_UNSUPPORTED_VALUE",
      `two servers can share decoders, and BERT or DistilBERT bare or as a classifier of texts, got family ${family} with head ${head}.`,
      { hint: "Choose a model of those families." },
    );
  return encoder.towers[0] as Tower;
}

/**
 * The groups of an encoder: {@link GROUPS_PER_LAYER} a layer, then the pooler and the classifier, where it has them.
 *
 * @param pooled whether a bare BERT comes with its pooler
 * @throws UnseenError FAMILY_UNSUPPORTED_VALUE
 */
export function encoderGroups(encoder: Encoder, pooled: boolean): Group[] {
  const { hidden, layers, neurons } = requireTextEncoder(encoder);
  const sizes = { hidden, queries: hidden, keys: hidden, neurons, gated: false };
  const classes = encoder.head === "sequence-classes";
  return [
    ...Array.from({ length: layers }, (_, index) => layerGroups(index, sizes)).flat(),
    ...(classes || pooled ? [single("pooler", hidden, hidden)] : []),
    ...(classes ? [single("classifier", hidden, encoder.classes)] : []),
  ];
}
