/**
 * Runs one attack under several keys, with its control.
 * @module
 */
import { setImmediate } from "node:timers/promises";
import type { Attack, Context, Outcome } from "./attack.ts";
import { spreadOf, type AttackPoint, type AttackResult, type Spread } from "./result.ts";
import { scoreGuess, scoreTexts, type Score } from "./score.ts";
import { seeded } from "./seed.ts";
import type { Trial } from "./trial.ts";

export interface RunOptions {
  readonly seed: number;
  /** Milliseconds for one key; the control has as many. */
  readonly budget: number;
  /** Called often with a share 0..1 of the whole. */
  readonly onProgress?: ((done: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Judged {
  readonly score: Partial<Score>;
  readonly outcome: Outcome;
  readonly points: AttackPoint[];
  readonly figures: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly complete: boolean;
}

/** Runs an attack under every key of `trials`, then in its control setting. Throws the signal's reason when it is aborted, and what the attack throws. */
export async function runAttack(attack: Attack, trials: readonly Trial[], options: RunOptions): Promise<AttackResult> {
  const [first] = trials;
  const missing = first ? attack.missing(first.evidence) : "there is no key";
  if (!first || missing !== null) return resultOf(attack, [], null, missing);
  const part = (index: number): RunOptions => ({
    ...options,
    onProgress: (done) => options.onProgress?.((index + done) / (trials.length + 1)),
  });
  const judged: Judged[] = [];
  for (const [index, trial] of trials.entries()) judged.push(await judge(attack, trial, part(index), index));
  return resultOf(attack, judged, await runControl(attack, first, part(trials.length)), null);
}

/** The result of an attack that threw: the others are worth having all the same. */
export function brokenOff(attack: Attack, error: unknown): AttackResult {
  return resultOf(attack, [], null, `it broke off: ${error instanceof Error ? error.message : String(error)}`);
}

function resultOf(attack: Attack, judged: readonly Judged[], control: number | null, notRun: string | null): AttackResult {
  const { name, title, tier, knowledge, source } = attack;
  const spread = (field: keyof Score): Spread | null => spreadOf(judged.map(({ score }) => score[field] ?? null));
  const mean = (field: keyof Score): number | null => spread(field)?.mean ?? null;
  return {
    name,
    title,
    tier,
    knowledge,
    source,
    vocabularyTop1: mean("vocabularyTop1"),
    vocabularyTop10: mean("vocabularyTop10"),
    distinguishableTop1: mean("distinguishableTop1"),
    distinguishable: mean("distinguishable"),
    special: mean("special"),
    textTokens: mean("textTokens"),
    bleu: mean("bleu"),
    seconds: spreadOf(judged.map(({ seconds }) => seconds))?.mean ?? 0,
    control,
    controlSetting: attack.control && { setting: attack.control.setting, judged: attack.control.judged, least: attack.control.least },
    keys: judged.length,
    spread: { vocabularyTop1: spread("vocabularyTop1"), textTokens: spread("textTokens") },
    curve: meanCurve(judged),
    figures: meanFigures(judged.map(({ figures }) => figures)),
    remark: judged.at(-1)?.outcome.remark ?? null,
    complete: judged.every(({ complete }) => complete),
    notRun,
  };
}

async function judge(attack: Attack, trial: Trial, options: RunOptions, index: number): Promise<Judged> {
  const clock = { expired: false };
  const started = performance.now();
  const outcome = await attack.run(trial.evidence, contextOf(attack, options, index, started, clock));
  const seconds = (performance.now() - started) / 1000;
  const points = (outcome.curve?.points ?? []).map(({ x, guess }): AttackPoint => {
    const { vocabularyTop1, textTokens } = scoreGuess(guess, trial.truth, outcome.classes);
    return { x, vocabularyTop1, textTokens };
  });
  const figures = { ...outcome.figures, ...(await outcome.measure?.(trial.owner)) };
  return { score: scoreOf(outcome, trial), outcome, points, figures, seconds, complete: !clock.expired };
}

/** A guess is scored on the vocabulary and on unseen text; recovered texts on themselves, as far as they were attempted. */
function scoreOf({ guess, texts, classes }: Outcome, { truth, owner }: Trial): Partial<Score> {
  return {
    ...(guess ? scoreGuess(guess, truth, classes) : {}),
    ...(texts ? scoreTexts(texts, attempted(owner.plainTraffic, texts), truth.special) : {}),
  };
}

function attempted(truth: readonly Uint32Array[], texts: readonly Int32Array[]): Uint32Array[] {
  return texts.map((text, index) => (truth[index] as Uint32Array).subarray(0, text.length));
}

async function runControl(attack: Attack, trial: Trial, options: RunOptions): Promise<number | null> {
  const { control } = attack;
  if (!control) return null;
  const evidence = await control.arrange(trial.evidence, trial.owner);
  if (attack.missing(evidence) !== null) return null;
  const { score } = await judge(attack, { ...trial, evidence }, options, -1);
  return score[control.judged] ?? null;
}

function contextOf(attack: Attack, options: RunOptions, index: number, started: number, clock: { expired: boolean }): Context {
  let reported = -Infinity;
  return {
    random: seeded(options.seed, `${attack.name}/${index}`),
    async proceed(done) {
      const now = performance.now();
      // Others get their turn, Ctrl-C among them, but not at every step of a fast search.
      if (now - reported > 50) {
        reported = now;
        options.onProgress?.(Math.min(1, done));
        await setImmediate();
        options.signal?.throwIfAborted();
      }
      if (now - started > options.budget) clock.expired = true;
      return !clock.expired;
    },
  };
}

function meanCurve(judged: readonly Judged[]): AttackResult["curve"] {
  const [first] = judged;
  if (!first?.outcome.curve) return null;
  const common = first.points.filter(({ x }) => judged.every(({ points }) => points.some((point) => point.x === x)));
  return {
    of: first.outcome.curve.of,
    points: common.map(({ x }) => {
      const here = judged.map(({ points }) => points.find((point) => point.x === x) as AttackPoint);
      return {
        x,
        vocabularyTop1: spreadOf(here.map(({ vocabularyTop1 }) => vocabularyTop1))?.mean ?? 0,
        textTokens: spreadOf(here.map(({ textTokens }) => textTokens))?.mean ?? null,
      };
    }),
  };
}

function meanFigures(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const names = new Set(all.flatMap((figures) => Object.keys(figures)));
  return Object.fromEntries([...names].map((name) => [name, spreadOf(all.map((figures) => figures[name] ?? null))?.mean ?? 0]));
}
