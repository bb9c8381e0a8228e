/**
 * From a key to the element of each space's group. The one place where a key meets a model.
 * @module
 */
import { Blocks, headOrders } from "../algebra/blocks.ts";
import { wellConditioned } from "../algebra/dense.ts";
import type { Element } from "../algebra/element.ts";
import { Monomial } from "../algebra/monomial.ts";
import { fixingOnes, structuredOrthogonal } from "../algebra/orthogonal.ts";
import { deriveBytes, deriveRandom } from "../algebra/random.ts";
import { Rotary } from "../algebra/rotary.ts";
import { elementOf } from "./recipe.ts";
import type { Group, Space } from "./space.ts";

/**
 * `permute`: permutations and signs alone; every weight keeps its bits.
 * `rotate`: the full group of every space.
 */
export type Strength = "permute" | "rotate";

/** A 32-byte master secret and how much of each group it draws from. */
export interface ModelKey {
  readonly secret: Uint8Array;
  readonly strength: Strength;
}

/** Which dimensions of a head a rotary frequency pairs: (i, i + d/2), or (2i, 2i + 1) as in GGUF's `llama`. */
export type RotaryLayout = "half" | "interleaved";

/**
 * The space of a model's token ids.
 *
 * @param size rows of the embedding table, which may exceed the tokenizer's vocabulary
 * @param fixed ids that keep their number. They have a name of their own, so that a client which does not know of them
 *   deciphers nothing at all instead of almost everything.
 */
export function vocabularySpace(size: number, fixed: readonly number[] = []): Space {
  if (fixed.length === 0) return { id: "vocabulary", size, group: { kind: "permutation" } };
  return { id: `vocabulary.fixing.${fixed.join(".")}`, size, group: { kind: "permutation", fixed } };
}

/**
 * The cipher id of every plain id: `cipher = permutation[plain]`.
 *
 * @param secret the 32-byte key
 * @param vocabulary the space of the ids, or its size where no id is fixed
 */
export function vocabularyPermutation(secret: Uint8Array, vocabulary: number | Space): Uint32Array {
  const { id, size, group } = typeof vocabulary === "number" ? vocabularySpace(vocabulary) : vocabulary;
  return drawPermutation(deriveRandom(secret, id), size, group.kind === "permutation" ? group.fixed : []).target();
}

/** A key's public name, 16 hexadecimal digits; says nothing about the secret. */
export function keyIdentifier(secret: Uint8Array): string {
  return Buffer.from(deriveBytes(secret, "identifier", 8)).toString("hex");
}

/**
 * Elements that are kept: those of about two layers. Each thread keeps its own, and a large model has thousands, of
 * megabytes each (CWE-770).
 */
const KEPT_ELEMENTS = 24;

/** The elements of one key, drawn when they are needed. */
export class Elements {
  readonly #key: ModelKey;
  readonly #layout: RotaryLayout;
  readonly #drawn = new Map<string, Element>();

  constructor(key: ModelKey, layout: RotaryLayout) {
    this.#key = key;
    this.#layout = layout;
  }

  /** T of a space; null where only the identity leaves the model exact. */
  of(space: Space): Element | null {
    if (space.group.kind === "fixed" || space.size === 0) return null;
    const element = this.#drawn.get(space.id) ?? this.#draw(space, space.group);
    // A map keeps the order of insertion: the least recently used comes first.
    this.#drawn.delete(space.id);
    this.#drawn.set(space.id, element);
    for (const id of this.#drawn.keys()) {
      if (this.#drawn.size <= KEPT_ELEMENTS) break;
      this.#drawn.delete(id);
    }
    return element;
  }

  #draw(space: Space, group: Exclude<Group, { kind: "fixed" }>): Element {
    const { secret, strength } = this.#key;
    const rotate = strength === "rotate";
    switch (group.kind) {
      case "permutation":
        return drawPermutation(deriveRandom(secret, space.id), space.size, group.fixed);
      case "recipe":
        return elementOf(rotate ? group.rotate : group.permute, secret) ?? Monomial.identity(space.size);
      case "head-order":
        return new Monomial(headOrders(deriveRandom(secret, space.id), group.kvHeads, group.heads / group.kvHeads).heads);
      case "scaled": {
        const permutation = Monomial.permutation(deriveRandom(secret, group.of), space.size);
        const random = deriveRandom(secret, space.id);
        return permutation.compose(rotate ? scales(random, space.size) : Monomial.signs(random, space.size));
      }
      case "stream": {
        const random = deriveRandom(secret, space.id);
        if (rotate && group.foldable) {
          return group.norm === "rms" ? structuredOrthogonal(random, space.size) : fixingOnes(random, space.size);
        }
        if (group.norm === "rms") return Monomial.signed(random, space.size);
        // LayerNorm subtracts the mean, which single signs would change: permutations and one sign for all.
        const sign = random.sign();
        const permutation = Monomial.permutation(random, space.size);
        return sign > 0 ? permutation : permutation.compose(constant(space.size, -1));
      }
      case "heads":
        return this.#heads(group);
    }
  }

  #heads(group: Group & { kind: "heads" }): Element {
    const { heads, kvHeads, role } = group;
    const orders = headOrders(deriveRandom(this.#key.secret, group.order), kvHeads, heads / kvHeads);
    const perKvHead = role === "keys" || role === "values";
    const order = perKvHead ? orders.kv : orders.heads;
    const maps = Array.from({ length: kvHeads }, (_, head) => this.#head(group, head));
    const elements = Array.from(order, (_, place) => maps[perKvHead ? place : Math.floor((place * kvHeads) / heads)] as Element);
    return new Blocks(order, elements);
  }

  /** The map inside one key-value head, shared by its query heads; keys take the inverse-transpose of queries. */
  #head(group: Group & { kind: "heads" }, head: number): Element {
    const { layer, headSize, rotaryDimensions, role, normed } = group;
    const rotate = this.#key.strength === "rotate";
    if (role === "values" || role === "attended") {
      const random = deriveRandom(this.#key.secret, `${layer}.values.${head}`);
      return rotate ? wellConditioned(random, headSize) : Monomial.signed(random, headSize);
    }
    const random = deriveRandom(this.#key.secret, `${layer}.rotary.${head}`);
    const rotary = { layout: this.#layout, rotaryDimensions, rest: normed ? null : this.#unrotated(group, head) };
    let queries: Element;
    if (normed) queries = rotaryDimensions > 0 ? Rotary.signs(random, headSize, rotary) : Monomial.signs(random, headSize);
    else if (rotaryDimensions === 0) queries = rotate ? wellConditioned(random, headSize) : Monomial.signed(random, headSize);
    else queries = rotate ? Rotary.random(random, headSize, rotary) : Rotary.signs(random, headSize, rotary);
    return role === "queries" ? queries : queries.inverseTranspose();
  }

  /** Dimensions behind the rotated ones, where queries and keys meet in a plain inner product: GL(n). */
  #unrotated({ layer, headSize, rotaryDimensions }: Group & { kind: "heads" }, head: number): Element | null {
    const size = headSize - rotaryDimensions;
    if (rotaryDimensions === 0 || size === 0) return null;
    const random = deriveRandom(this.#key.secret, `${layer}.unrotated.${head}`);
    return this.#key.strength === "rotate" ? wellConditioned(random, size) : Monomial.signed(random, size);
  }
}

/** From one key to another: the element that undoes `from` and applies `to`. Either may be absent. */
export class Rekeying {
  readonly #from: Elements | null;
  readonly #to: Elements | null;

  constructor(from: Elements | null, to: Elements | null) {
    this.#from = from;
    this.#to = to;
  }

  /** T of a space, null for the identity. */
  of(space: Space): Element | null {
    const undo = this.#from?.of(space)?.inverse() ?? null;
    const apply = this.#to?.of(space) ?? null;
    return undo && apply ? undo.compose(apply) : (undo ?? apply);
  }

  /** Where member `index` of a permuted space lies before and after: the places of an expert's tensors. */
  places(space: Space, index: number): { before: number; after: number } {
    const place = (elements: Elements | null): number => {
      const element = elements?.of(space);
      return element instanceof Monomial ? (element.target()[index] as number) : index;
    };
    return { before: place(this.#from), after: place(this.#to) };
  }
}

/** A uniform permutation among those that leave the members in `fixed` where they are. */
function drawPermutation(random: ReturnType<typeof deriveRandom>, size: number, fixed: readonly number[] = []): Monomial {
  const drawn = Monomial.permutation(random, size);
  if (fixed.length === 0) return drawn;
  const order = Uint32Array.from(drawn.order);
  for (const member of fixed) {
    // Exchanged with whatever took its place: every permutation that fixes the member comes from equally many others.
    order[order.indexOf(member)] = order[member] as number;
    order[member] = member;
  }
  return new Monomial(order);
}

function scales(random: ReturnType<typeof deriveRandom>, size: number): Monomial {
  const scale = Float64Array.from({ length: size }, () => random.sign() * 2 ** (2 * random.uniform() - 1));
  return new Monomial(
    Uint32Array.from({ length: size }, (_, index) => index),
    scale,
  );
}

function constant(size: number, value: number): Monomial {
  return new Monomial(
    Uint32Array.from({ length: size }, (_, index) => index),
    new Float64Array(size).fill(value),
  );
}
