/**
 * A language model as judge: it reads what a guess makes of a recorded text, and decides which exchanges are kept.
 * @module
 */
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import type { Attack, Context } from "../attack.ts";
import { Guess } from "../guess.ts";
import { ChatJudge, type JudgeAddress } from "../language/chat-judge.ts";
import { climb } from "../language/climb.ts";
import { BigramModel } from "../language/ngrams.ts";
import { Proposals } from "../language/proposals.ts";
import { SearchState } from "../language/search-state.ts";
import { missingTexts } from "../language/settings.ts";
import { Traffic } from "../language/traffic.ts";

/** How much is asked. */
export interface JudgeEffort {
  /** Guesses to choose from, each from a hill climb of `moves` exchanges. */
  readonly candidates: number;
  readonly moves: number;
  /** Questions in all, which cost money where the judge does. */
  readonly questions: number;
  /** Tokens of the text that is judged. */
  readonly tokens: number;
}

const EFFORT: JudgeEffort = { candidates: 4, moves: 100_000, questions: 100, tokens: 160 };
/** Exchanges that are judged together, at most: one alone hardly shows. */
const TOGETHER = 3;
/** Draws for an exchange that the judged text shows. */
const DRAWS = 1000;
/** Questions without a usable answer, one after another, after which nobody is asked any more. */
const PATIENCE = 5;

/**
 * The attack with a judge at an address, who is sent what was deciphered. It has no control: that would send the recorded text itself.
 *
 * @throws UnseenError USAGE where the address is not one of HTTP.
 */
export function judgeAttack(address: JudgeAddress, { candidates, moves, questions, tokens }: JudgeEffort = EFFORT): Attack {
  void new ChatJudge(address); // refuses a wrong address before anything runs
  return {
    name: "judge",
    title: "Keeps those exchanges after which a language model finds the text more fluent.",
    tier: "T0",
    knowledge: "recorded ids, a text of the same kind, the public tokenizer, and a language model to ask",
    source: "Nesa's attack paper, a language model as judge",
    optional: true,
    missing: (evidence) => missingTexts(evidence) ?? (evidence.spelling ? null : "no tokenizer says how tokens are written"),
    async run({ vocabulary, traffic: recorded, prior, spelling }, { random, proceed }) {
      const judge = new ChatJudge(address);
      const model = new BigramModel(prior, vocabulary);
      const traffic = new Traffic(recorded, vocabulary);
      const state = new SearchState(traffic, model, model.order);
      const excerpt = longest(recorded)
        .subarray(0, tokens)
        .map((cipher) => traffic.symbolOf[cipher] as number);
      const ask = (): Promise<number | null> =>
        judge.score(Array.from(excerpt, (symbol) => spelling?.[state.plain[symbol] as number] ?? "").join(""));
      const hearing = new Hearing(state, new Proposals(state, random, model), [...new Set(excerpt)], random, ask);
      await hearing.choose({ candidates, moves }, proceed);
      const first = hearing.score;
      while (judge.asked < questions && hearing.patient && (await proceed(judge.asked / questions))) await hearing.exchange();
      return {
        guess: Guess.ofMapping(state.mapping()),
        figures: {
          questions: judge.asked,
          unusableAnswers: judge.unusable,
          firstScore: Math.max(0, first),
          score: Math.max(0, hearing.score),
        },
        ...(hearing.patient ? {} : { remark: "The judge gave no usable answers, so what it was to decide is undecided." }),
      };
    },
    control: null,
  };
}

/** One text before the judge. */
class Hearing {
  /** Of the state as it is; -1 before any answer. */
  score = -1;
  readonly #state: SearchState;
  readonly #source: Proposals;
  /** Symbols of the text. */
  readonly #shown: readonly number[];
  readonly #random: RandomStream;
  readonly #ask: () => Promise<number | null>;
  #unanswered = 0;

  constructor(state: SearchState, source: Proposals, shown: readonly number[], random: RandomStream, ask: () => Promise<number | null>) {
    this.#state = state;
    this.#source = source;
    this.#shown = shown;
    this.#random = random;
    this.#ask = ask;
  }

  /** False once too many answers in a row were of no use. */
  get patient(): boolean {
    return this.#unanswered < PATIENCE;
  }

  /** Leaves the state at the guess that the judge likes best. */
  async choose({ candidates, moves }: Pick<JudgeEffort, "candidates" | "moves">, proceed: Context["proceed"]): Promise<void> {
    const start = this.#state.plain.slice();
    let best = start;
    for (let candidate = 0; candidate < candidates && this.patient; candidate += 1) {
      this.#state.assign(start);
      await climb(this.#state, this.#source, { moves, hot: 0, cold: 0 }, this.#random, proceed);
      const score = await this.#hear();
      // Without an answer the first one stands.
      if (candidate === 0 || (score !== null && score > this.score)) best = this.#state.plain.slice();
      if (score !== null) this.score = Math.max(this.score, score);
    }
    this.#state.assign(best);
  }

  /** Makes a few exchanges that the text shows, and takes them back unless the judge likes it better; likelihood decides a draw. */
  async exchange(): Promise<void> {
    const made: (readonly [number, number])[] = [];
    let gain = 0;
    for (let left = 1 + this.#random.below(TOGETHER); left > 0; left -= 1) {
      const [x, y] = this.#draw();
      gain += this.#state.gain(x, y);
      this.#state.swap(x, y);
      made.push([x, y]);
    }
    const score = await this.#hear();
    if (score !== null && (score > this.score || (score === this.score && gain > 0))) this.score = score;
    else for (const [x, y] of made.toReversed()) this.#state.swap(x, y);
  }

  /** Two symbols of which the text shows one; as often any two that it shows, since likelihood alone has led here. */
  #draw(): readonly [number, number] {
    const any = (): number => this.#shown[this.#random.below(this.#shown.length)] as number;
    if (this.#random.sign() > 0) return [any(), any()];
    for (let draw = 0; draw < DRAWS; draw += 1) {
      this.#source.draw();
      const { x, y } = this.#source;
      if (this.#shown.includes(x) || this.#shown.includes(y)) return [x, y];
    }
    return [any(), any()];
  }

  async #hear(): Promise<number | null> {
    const score = await this.#ask();
    this.#unanswered = score === null ? this.#unanswered + 1 : 0;
    return score;
  }
}

function longest(texts: readonly Uint32Array[]): Uint32Array {
  return texts.reduce((best, text) => (text.length > best.length ? text : best), new Uint32Array(0));
}
