/**
 * A protection as something that continues token ids, and how long it takes.
 * @module
 */
import { randomBytes } from "node:crypto";
import type { ByteTap, Engine } from "@unseen/client/engines/engine.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { ProtectionId } from "@unseen/web/protocol/comparison.ts";
import { median } from "./rounds.ts";

const MAXIMUM_ANSWERS = 5;
const TURN_SECONDS = 0.5;

export interface Contender {
  readonly id: ProtectionId;
  readonly engine: Engine;
  /** From plain ids to those that the engine takes. */
  encipher(ids: readonly number[]): number[];
  /** Tokens of each answer that is timed. */
  readonly answerTokens: number;
}

/** Seconds. */
export interface AnswerTiming {
  /** From the request to the first token. */
  readonly first: number;
  /** Of each token after it. */
  readonly perToken: number;
}

/** Times one answer of exactly `answerTokens` tokens. @throws UnseenError `HOST_*`; the signal's reason */
async function timeAnswer(
  { engine, encipher, answerTokens }: Contender,
  prompt: readonly number[],
  signal: AbortSignal,
  tap?: ByteTap,
): Promise<AnswerTiming> {
  // An idle connection may have been closed meanwhile, and its handshake is not part of an answer.
  await engine.probe(signal);
  const request = {
    prompt: encipher(prompt),
    maximumTokens: answerTokens,
    temperature: 0,
    topP: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    stopTokenIds: [],
    ignoreEnd: true,
    cacheSalt: randomBytes(16).toString("hex"),
  };
  const started = performance.now();
  let [first, inFirst, count] = [0, 0, 0];
  for await (const { ids } of engine.generate(request, signal, tap)) {
    if (count === 0 && ids.length > 0) [first, inFirst] = [performance.now(), ids.length];
    count += ids.length;
  }
  const ended = performance.now();
  if (count !== answerTokens)
    throw new UnseenError("HOST_PROTOCOL", `the host at ${engine.url} answered with ${count} tokens, not with ${answerTokens}.`, {
      hint: "Run the comparison again.",
    });
  return { first: (first - started) / 1000, perToken: (ended - first) / 1000 / Math.max(count - inFirst, 1) };
}

/** What one answer, which is not counted, tells beforehand. */
export interface WarmUp {
  /** Both ways, by each token of prompt and answer. */
  readonly bytesPerToken: number;
  /** How many answers one turn has: those of fast models are timed several times, since so little time says little. */
  readonly answersPerTurn: number;
}

/** Runs one answer, counts its bytes and sees how long it takes. @throws as {@link timeAnswer} */
export async function warmUp(contender: Contender, prompt: readonly number[], signal: AbortSignal): Promise<WarmUp> {
  let total = 0;
  const { first, perToken } = await timeAnswer(contender, prompt, signal, ({ bytes }) => void (total += bytes.length));
  const taken = first + perToken * contender.answerTokens;
  return {
    bytesPerToken: total / (prompt.length + contender.answerTokens),
    answersPerTurn: Math.max(1, Math.min(MAXIMUM_ANSWERS, Math.floor(TURN_SECONDS / taken))),
  };
}

/** Medians of one turn. @throws as {@link timeAnswer} */
export async function timeTurn(contender: Contender, prompts: readonly (readonly number[])[], signal: AbortSignal): Promise<AnswerTiming> {
  const timings: AnswerTiming[] = [];
  for (const prompt of prompts) timings.push(await timeAnswer(contender, prompt, signal));
  return { first: median(timings.map(({ first }) => first)), perToken: median(timings.map(({ perToken }) => perToken)) };
}
