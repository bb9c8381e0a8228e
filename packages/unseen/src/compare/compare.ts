/**
 * The work of `unseen compare`: every protection on one model, side by side, measured here in one run.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, cpus, platform, release, tmpdir, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { resolveHome } from "@unseen/client/home.ts";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import type { Comparison, HeadRow, ProtectionId, ProtectionRow } from "@unseen/web/protocol/comparison.ts";
import { nameOf } from "../bundle-model.ts";
import type { CompareFlags } from "../commands/compare.ts";
import { BUNDLED_MODEL } from "../bundled-models.ts";
import { shownCommand } from "../console/jobs/plan.ts";
import { pseudoRandomIds } from "../measure.ts";
import { interruptible } from "../private/until-signal.ts";
import type { Terminal } from "../terminal.ts";
import { comparisonFile, keepComparison } from "./comparison-record.ts";
import { timeTurn, warmUp, type AnswerTiming, type Contender } from "./contender.ts";
import { startContenders } from "./contenders.ts";
import { describeHead, describeRow, describeViews } from "./describe.ts";
import { measureHead } from "./picture-head.ts";
import { openComparable, prepareModels, PREPARING_STEPS } from "./prepare-models.ts";
import { openRows } from "./protections.ts";
import { alternate, median } from "./rounds.ts";
import { Stages } from "./stages.ts";

const PROMPT_TOKENS = 32;
const ANSWER_TOKENS = 48;
const ROUNDS = { quick: 3, full: 9 } as const;
const HEAD_ROUNDS = { quick: 3, full: 9 } as const;

/** Measures, prints, keeps the result in the home and returns it. */
export async function compareProtections(given: string | undefined, options: CompareFlags, terminal: Terminal): Promise<Comparison> {
  const path = given === undefined ? BUNDLED_MODEL : resolve(given);
  return interruptible("Everything that was started was ended, and nothing was kept.", async (signal) => {
    const started = performance.now();
    const place = await mkdtemp(join(tmpdir(), "unseen-compare-")).catch((error: unknown) => {
      throw explainSystemError(error, tmpdir());
    });
    const closing: (() => unknown)[] = [];
    try {
      const stages = stagesOf(options, terminal);
      const measured = await measure(path, place, options, { terminal, stages, signal, closing });
      const comparison: Comparison = {
        date: new Date().toISOString(),
        model: nameOf(path),
        machine: machine(),
        quick: options.quick === true,
        promptTokens: PROMPT_TOKENS,
        rounds: ROUNDS[effort(options)],
        seconds: (performance.now() - started) / 1000,
        command: commandOf(given === undefined ? [] : [path], options),
        ...measured,
      };
      const home = resolveHome();
      await keepComparison(home, comparison);
      for (const line of describeViews(comparison)) terminal.print(line);
      terminal.print();
      terminal.print(`Kept in  ${comparisonFile(home)}`);
      return comparison;
    } finally {
      for (const close of closing.toReversed()) await close();
      await rm(place, { recursive: true, force: true, maxRetries: 3 });
    }
  });
}

interface Surroundings {
  readonly terminal: Terminal;
  readonly stages: Stages<"prepare" | "start" | "time" | "head">;
  readonly signal: AbortSignal;
  readonly closing: (() => unknown)[];
}

async function measure(path: string, place: string, options: CompareFlags, surroundings: Surroundings) {
  const { terminal, stages, signal, closing } = surroundings;
  const quick = options.quick === true;
  const roundTrip = Number(options.roundTrip);
  const rows = new Rows(roundTrip, terminal);

  const models = await stages.run("prepare", async (step) => prepareModels(await openComparable(path), place, signal, step));
  if (models.contextLength < PROMPT_TOKENS + ANSWER_TOKENS)
    throw new UnseenError("USAGE", `${path} has ${models.contextLength} tokens of context, fewer than the comparison needs.`, {
      hint: `Give a model of at least ${PROMPT_TOKENS + ANSWER_TOKENS} tokens.`,
    });
  rows.measured("permute", { fidelity: models.fidelity.permute });
  // The enclave serves the very same files.
  for (const id of ["rotate", "attested"] as const) rows.measured(id, { fidelity: models.fidelity.rotate });

  const { contenders, fidelity } = await stages.run("start", async (step) => {
    const started = await startContenders({ models, place, roundTrip, answerTokens: ANSWER_TOKENS, quick, signal, closing });
    step();
    return started;
  });
  for (const id of ["servers", "distant-servers"] as const)
    if (fidelity) rows.measured(id, { fidelity: fidelity });
    else rows.measured(id, { refusal: models.split as string });

  const prompt = (seed: number): number[] => pseudoRandomIds(models.vocabulary, PROMPT_TOKENS, seed + 1);
  await timeAll(contenders, ROUNDS[effort(options)], prompt, rows, surroundings);
  for (const row of rows.all) terminal.print(describeRow(row));
  terminal.print();
  return { rows: rows.all, ...(await headOrReason(place, options, surroundings)) };
}

/** All by turns, and bytes once before. */
async function timeAll(
  contenders: readonly Contender[],
  rounds: number,
  prompt: (seed: number) => number[],
  rows: Rows,
  { stages, signal }: Surroundings,
): Promise<void> {
  await stages.run("time", async (step) => {
    const candidates: [ProtectionId, (round: number) => Promise<AnswerTiming>][] = [];
    for (const contender of contenders) {
      const { id, answerTokens } = contender;
      const { bytesPerToken, answersPerTurn } = await warmUp(contender, prompt(0), signal);
      rows.measured(id, { answerTokens, bytesPerToken });
      // No prompt comes twice: hosts and servers go on from what they have kept.
      const prompts = (round: number): number[][] =>
        Array.from({ length: answersPerTurn }, (_, answer) => prompt(1 + round * 100 + answer));
      candidates.push([id, (round) => timeTurn(contender, prompts(round), signal)]);
      step();
    }
    const timings = new Map<ProtectionId, readonly AnswerTiming[]>();
    await alternate<ProtectionId, AnswerTiming>(rounds, Object.fromEntries(candidates) as never, (id, results) => {
      timings.set(id, results);
      rows.timed(id, timings);
      step();
    });
  });
}

async function headOrReason(
  place: string,
  options: CompareFlags,
  { terminal, stages, signal }: Surroundings,
): Promise<{ head: HeadRow | null; headFailure: string | null }> {
  const rounds = HEAD_ROUNDS[effort(options)];
  try {
    const head = await stages.run("head", (step) => measureHead(place, rounds, signal, step));
    terminal.detail("head", head);
    for (const line of describeHead(head)) terminal.print(line);
    terminal.print();
    return { head, headFailure: null };
  } catch (error) {
    signal.throwIfAborted();
    if (!UnseenError.isInstance(error)) throw error;
    terminal.note(`First layers on ciphertext were not measured: ${error.message}`);
    return { head: null, headFailure: error.message };
  }
}

/** The rows as far as they are measured; each change is told. */
class Rows {
  readonly #rows: Map<ProtectionId, ProtectionRow>;
  readonly #terminal: Terminal;

  constructor(roundTrip: number, terminal: Terminal) {
    this.#terminal = terminal;
    this.#rows = new Map(openRows(roundTrip).map((row) => [row.id, row]));
    for (const row of this.all) terminal.detail("protection", row);
  }

  get all(): ProtectionRow[] {
    return [...this.#rows.values()];
  }

  /** Adds figures to a row, where there is one. */
  measured(id: ProtectionId, figures: Partial<ProtectionRow>): void {
    const row = this.#rows.get(id);
    if (!row) return;
    const now = { ...row, ...figures };
    this.#rows.set(id, now);
    this.#terminal.detail("protection", now);
  }

  /** Takes medians anew wherever there is more; a ratio pairs runs of one round. */
  timed(newest: ProtectionId, timings: ReadonlyMap<ProtectionId, readonly AnswerTiming[]>): void {
    const plain = timings.get("plain")?.map(({ perToken }) => perToken) ?? [];
    for (const [id, results] of timings) {
      // A run of the plain model completes the pairs of all.
      if (id !== newest && newest !== "plain") continue;
      const perToken = results.map((timing) => timing.perToken);
      const ratios = perToken.slice(0, plain.length).map((value, round) => value / plain[round]!);
      this.measured(id, {
        tokensPerSecond: 1 / median(perToken),
        firstTokenSeconds: median(results.map(({ first }) => first)),
        overhead: ratios.length > 0 ? median(ratios) : null,
        overheadRange: ratios.length > 0 ? [Math.min(...ratios), Math.max(...ratios)] : null,
        rounds: results.length,
      });
    }
  }
}

function stagesOf(options: CompareFlags, terminal: Terminal): Surroundings["stages"] {
  const protections = openRows(Number(options.roundTrip)).length;
  return new Stages(terminal, {
    prepare: { label: "encrypting, splitting, comparing logits", steps: PREPARING_STEPS, weight: 2 },
    start: { label: "starting hosts and servers", steps: 1, weight: 10 },
    time: { label: "timing answers by turns", steps: protections * (ROUNDS[effort(options)] + 1), weight: 1 },
    head: { label: "first layers on ciphertext", steps: HEAD_ROUNDS[effort(options)], weight: 4 },
  });
}

function effort({ quick }: CompareFlags): "quick" | "full" {
  return quick ? "quick" : "full";
}

function machine(): Comparison["machine"] {
  const processor = cpus()[0]?.model.trim() || "unknown processor";
  return { processor, cores: availableParallelism(), memoryBytes: totalmem(), system: `${platform()} ${release()}` };
}

function commandOf(operands: readonly string[], { roundTrip, quick }: CompareFlags): string {
  const options = [`--round-trip=${roundTrip}`, ...(quick ? ["--quick"] : [])];
  return shownCommand({ subject: "", steps: [{ command: ["compare"], options, operands }] });
}
