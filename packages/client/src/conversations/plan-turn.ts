/**
 * From a path of messages to what a model is asked: as much of it as fits the model's context.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { planChat, type ChatPlan } from "../gateway/chat-plan.ts";
import type { ServedModel } from "../gateway/model.ts";
import type { BegunAnswer } from "../gateway/split-reasoning.ts";
import type { TextTokenizer } from "../tokenizer.ts";
import type { ConversationSettings } from "./message.ts";

/** Something said. */
export interface Said {
  readonly role: "user" | "assistant";
  readonly content: string;
}

export interface PlannedTurn {
  readonly plan: ChatPlan;
  /** Oldest messages that were left out. */
  readonly forgotten: number;
}

/** Whose prefix cache at the host: one person's, whatever the conversation. */
const USER = "console";

/**
 * Plans an answer to the last of what was said; the oldest is left out until the rest fits.
 * @param begun - An answer that goes on.
 * @throws UnseenError REQUEST_TOO_LARGE when the question alone does not fit, and whatever else {@link planChat} throws.
 */
export function planTurn(
  model: ServedModel,
  settings: ConversationSettings,
  path: readonly Said[],
  begun: BegunAnswer | undefined,
): PlannedTurn {
  const { system, sampling } = settings;
  const asked = alternate(path);
  const least = leastTokens(model);
  const question = asked.messages.at(-1)?.content ?? "";
  if (least(question) >= model.contextLength) throw hopeless(model, least(question));
  const plan = (from: number): ChatPlan => {
    const said = asked.messages.slice(from);
    const messages = system === "" ? said : [{ role: "system" as const, content: system }, ...said];
    return planChat(model, { ...sampling, messages }, USER, begun);
  };
  const attempt = (from: number): ChatPlan | null => {
    let tokens = 0;
    for (const { content } of asked.messages.slice(from)) tokens += least(content);
    if (tokens >= model.contextLength) return null;
    try {
      return plan(from);
    } catch (error) {
      if (UnseenError.isInstance(error) && error.code === "REQUEST_TOO_LARGE") return null;
      throw error;
    }
  };
  // Each beginning is a question. Searched from the end by doubling, since rendering a conversation of ten thousand messages
  // as often as it has messages would take minutes.
  const beginnings = asked.messages.flatMap(({ role }, index) => (role === "user" ? [index] : []));
  const last = beginnings.length - 1;
  let fits = last;
  let best = attempt(beginnings[last] ?? 0);
  if (!best) throw hopeless(model, Math.max(least(question), model.contextLength));
  let tooMuch = -1;
  for (let step = 1; fits > 0 && tooMuch < 0; step *= 2) {
    const next = Math.max(0, fits - step);
    const planned = attempt(beginnings[next]!);
    if (planned) [fits, best] = [next, planned];
    else tooMuch = next;
  }
  while (fits - tooMuch > 1 && tooMuch >= 0) {
    const middle = (fits + tooMuch) >> 1;
    const planned = attempt(beginnings[middle]!);
    if (planned) [fits, best] = [middle, planned];
    else tooMuch = middle;
  }
  return { plan: best, forgotten: fits <= 0 ? 0 : (asked.counts[beginnings[fits]!] ?? 0) };
}

/**
 * Questions and answers in turn: templates refuse two of one kind in a row, which failed answers and imported files leave.
 * @returns the messages, and for each how many of the path come before it.
 */
function alternate(path: readonly Said[]): { readonly messages: Said[]; readonly counts: readonly number[] } {
  const messages: Said[] = [];
  const counts: number[] = [];
  for (const [index, { role, content }] of path.entries()) {
    // An answer before any question, or without a word, says nothing to the model.
    if (role === "assistant" && (messages.length === 0 || content.trim() === "")) continue;
    const before = messages.at(-1);
    if (before?.role === role) {
      // A question that nothing came of is taken back; answers in a row, of tools in between, are one.
      messages[messages.length - 1] = { role, content: role === "user" ? content : `${before.content}\n\n${content}` };
      if (role === "user") counts[counts.length - 1] = index;
    } else {
      messages.push({ role, content });
      counts.push(index);
    }
  }
  return { messages, counts };
}

const longestTokens = new WeakMap<TextTokenizer, number>();

/** Bytes of the longest token. */
function longestToken(tokenizer: TextTokenizer): number {
  let longest = longestTokens.get(tokenizer);
  if (longest === undefined) {
    longest = 1;
    for (let id = 0; id < tokenizer.size; id += 1) longest = Math.max(longest, tokenizer.tokenBytes(id).length);
    longestTokens.set(tokenizer, longest);
  }
  return longest;
}

/**
 * How many tokens a text has at least. A paste of megabytes would keep the tokenizer, and with it the whole gateway, busy for seconds
 * just to be refused (CWE-400).
 */
function leastTokens(model: ServedModel): (text: string) => number {
  const { tokenizer } = model;
  if (!tokenizer) return () => 0;
  // A normaliser may drop accents or join letters: halved, the bound still holds for text.
  const bytes = 2 * longestToken(tokenizer);
  return (text) => Math.floor(Buffer.byteLength(text) / bytes);
}

function hopeless(model: ServedModel, least: number): UnseenError {
  return new UnseenError(
    "REQUEST_TOO_LARGE",
    `this is too long for ${model.id}: it takes fewer than ${model.contextLength} tokens at a time, and this has at least ${least}.`,
    { hint: "Ask about a part of it, or choose a model that takes more." },
  );
}
