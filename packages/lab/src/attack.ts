/**
 * What an attack is: what its attacker knows, what it returns, and a setting in which it must succeed.
 * @module
 */
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import type { Guess } from "./guess.ts";
import type { Weights } from "./weights/weights.ts";

/** Who attacks; `docs/threat-model.md` describes them. */
export type Tier = "T0" | "T1" | "T2" | "T3" | "T4" | "T5";

/** A plain id and the cipher id that an attacker knows to stand for it. */
export interface KnownPair {
  readonly plain: number;
  readonly cipher: number;
}

/** Everything an attacker may look at. The key is not in it, nor anything that only its holder knows. */
export interface Evidence {
  /** Number of token ids. */
  readonly vocabulary: number;
  /** Recorded requests and answers, as cipher ids. */
  readonly traffic: readonly Uint32Array[];
  /** Public texts in the same tokenizer's plain ids: what the attacker believes that people write. */
  readonly prior: readonly Uint32Array[];
  /** Pairs in the order in which the attacker came to know them. */
  readonly known: readonly KnownPair[];
  /** The model as the host has it; null on the wire. */
  readonly encrypted: Weights | null;
  /** The public model that it was made from; null where the attacker cannot tell which. */
  readonly base: Weights | null;
  /** The public tokenizer's text of each plain id; null where there is no tokenizer. */
  readonly spelling: readonly string[] | null;
}

/** What an attack may use while it runs. */
export interface Context {
  /** Seeded by the run's seed, the attack and the key's number: the same twice. */
  readonly random: RandomStream;
  /**
   * Says how far it is and lets other work run; false once the time is up, and then the attack returns the best it has.
   *
   * @param done a share of the whole, 0..1
   */
  proceed(done: number): Promise<boolean>;
}

/** One measured point of a curve, such as recovery over known pairs. */
export interface CurvePoint {
  readonly x: number;
  readonly guess: Guess;
}

/** What an attack came to. */
export interface Outcome {
  /** null for an attack that does not aim at the vocabulary. */
  readonly guess: Guess | null;
  /** Recovery over a growing advantage, by rising x; `guess` is that of the last point. */
  readonly curve?: { readonly of: string; readonly points: readonly CurvePoint[] };
  /**
   * Plain ids of recovered texts, -1 where unknown, for attacks on texts themselves: those of {@link Evidence.traffic} in order. There may
   * be fewer of them, and shorter ones: what was not attempted is not counted.
   */
  readonly texts?: readonly Int32Array[];
  /**
   * A number for each plain id: ids of one number cannot be told apart by what the attack looks at, not even in the public model.
   * Absent where all can.
   */
  readonly classes?: Uint32Array;
  /** Figures of this attack alone, as `snake-free` camelCase names. */
  readonly figures?: Readonly<Record<string, number>>;
  /**
   * Figures that take the truth to count, such as the rank of a text that the attacker never had. Asked for when the attack is over, so
   * that nothing it returned can depend on them.
   */
  readonly measure?: (owner: OwnerKnowledge) => Promise<Readonly<Record<string, number>>>;
  /** One sentence for a person, where a figure needs a reason. */
  readonly remark?: string;
}

/** One attack: a small module. */
export interface Attack {
  /** In kebab-case, as users name it. */
  readonly name: string;
  /** One sentence: what it does. */
  readonly title: string;
  readonly tier: Tier;
  /** What the attacker must have, one phrase. */
  readonly knowledge: string;
  /** Paper, law or origin. */
  readonly source: string;
  /** Not run unless asked for by name: it sends content to others, or says nothing by design. */
  readonly optional?: boolean;
  /** Why it cannot be run on this evidence, as an end of the sentence "not run: ...", or null. */
  missing(evidence: Evidence): string | null;
  /** Runs it. Throws only on defects: an attack that finds nothing returns an empty guess. */
  run(evidence: Evidence, context: Context): Promise<Outcome>;
  /**
   * A setting of the same size in which the attack must succeed, made of what the key holder has: what `control` measures.
   * null where the attack cannot succeed by design.
   */
  readonly control: Control | null;
}

/** The setting in which an attack must succeed. */
export interface Control {
  /** One phrase for a person, such as "the traffic's own text as prior". */
  readonly setting: string;
  /** Least share of what {@link Control.judged} names. */
  readonly least: number;
  readonly judged: "vocabularyTop1" | "distinguishableTop1" | "textTokens";
  /** Changes the evidence; `plainTraffic` is the traffic in plain ids, which no attacker has. */
  arrange(evidence: Evidence, owner: OwnerKnowledge): Evidence | Promise<Evidence>;
}

/** What only the key holder knows; given to controls and to scores, never to attacks. */
export interface OwnerKnowledge {
  /** Cipher id of every plain id. */
  readonly permutation: Uint32Array;
  /** The recorded traffic in plain ids. */
  readonly plainTraffic: readonly Uint32Array[];
  /** The exact encryption under this key, where `encrypted` is a weakened or defended one; null where it is exact. */
  readonly exact: Weights | null;
}
