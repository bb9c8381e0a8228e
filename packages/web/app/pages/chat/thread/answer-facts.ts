/**
 * What is said below an answer, and whether it can go on.
 * @module
 */
import type { Message, Sampling } from "../../../../src/protocol/conversations.ts";
import type { OfferedRow } from "../../../../src/protocol/library.ts";
import { count, duration } from "../../../parts/numbers.ts";

/** "story-llama", "45 tokens per second", "3.2 s". */
export function answerFacts({ model, usage }: Message): string[] {
  const facts = model === null ? [] : [model];
  if (!usage || usage.completionTokens === 0) return facts;
  const rest = usage.seconds - usage.firstTokenSeconds;
  if (usage.completionTokens > 1 && rest > 0) {
    const rate = (usage.completionTokens - 1) / rest;
    facts.push(`${rate < 10 ? rate.toFixed(1) : Math.round(rate)} tokens/s`);
  }
  return [...facts, count(usage.completionTokens, "token"), duration(usage.seconds)];
}

/** What became of the beginning of a long conversation; null for nothing. */
export function forgottenNote({ usage }: Message): string | null {
  if (!usage || usage.forgotten === 0) return null;
  return `The ${usage.forgotten === 1 ? "oldest message" : `${usage.forgotten} oldest messages`} did not fit the model's context and ${usage.forgotten === 1 ? "was" : "were"} left out.`;
}

/** Whether there is a rest that the model could still say. */
export function canContinue(message: Message, sampling: Sampling, model: OfferedRow | null): boolean {
  if (message.role !== "assistant" || message.content === "") return false;
  if (message.state === "stopped" || message.state === "interrupted" || message.state === "failed") return true;
  return message.state === "complete" && endedByLength(message, sampling, model);
}

function endedByLength({ usage }: Message, { max_tokens: most }: Sampling, model: OfferedRow | null): boolean {
  if (!usage) return false;
  if (most !== undefined && usage.completionTokens >= most) return true;
  return typeof model?.contextLength === "number" && usage.promptTokens + usage.completionTokens >= model.contextLength;
}
