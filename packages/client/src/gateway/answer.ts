/**
 * One answer of a model: the stages put together.
 * @module
 */
import type { WireEvent } from "../engines/blind.ts";
import type { ByteTap } from "../engines/engine.ts";
import type { Delta, Usage } from "./delta.ts";
import { startUsage } from "./delta.ts";
import { findToolCalls } from "./find-tool-calls.ts";
import type { ServedModel } from "./model.ts";
import { readText } from "./read-text.ts";
import type { Sampling } from "./sampling.ts";
import { openReasoning, reasoningMarkers, splitReasoning } from "./split-reasoning.ts";
import { stopAt } from "./stop-at.ts";
import { toolMarkers } from "./tool-call-formats.ts";

export interface AnswerSettings {
  readonly prompt: { readonly text: string; readonly ids: readonly number[] };
  readonly maximumTokens: number;
  readonly sampling: Sampling;
  readonly stops: readonly string[];
  /** A chat turn is searched for thoughts and calls; a plain completion is handed out as it comes. */
  readonly chat: null | {
    readonly tools: ReadonlySet<string>;
    readonly parallel: boolean;
    /** The prompt ends in a begun answer: inside a thought with this closing tag, or in its text (null). */
    readonly continues?: { readonly open: string | null };
  };
}

export interface AnswerContext {
  readonly signal: AbortSignal;
  readonly onWire?: (event: WireEvent) => void;
  readonly onBytes?: ByteTap;
  readonly onResume?: () => void;
}

/** Streams one answer. @throws UnseenError HOST_*, OVERLOADED; the abort reason once the signal fires. */
export function answer(model: ServedModel, settings: AnswerSettings, context: AnswerContext): AsyncGenerator<Delta> {
  const { prompt, maximumTokens, sampling, stops, chat } = settings;
  const usage = startUsage(prompt.ids.length);
  const chunks = model.blind.generate({ ...sampling, prompt: prompt.ids, maximumTokens }, context);
  const endIds = new Set(sampling.ignoreEnd ? [] : sampling.stopTokenIds);
  const calls = chat && chat.tools.size > 0;
  const markers = chat ? [...reasoningMarkers, ...(calls ? toolMarkers : [])] : [];
  const text = readText(chunks, model.tokenizer, { usage, endIds, markers, continues: !chat || chat.continues !== undefined });
  if (!chat) return stopAt(text, stops, usage);
  const split = chat.continues ? goOn(text, usage, chat.continues.open) : splitReasoning(text, usage, openReasoning(prompt.text));
  const cut = stopAt(split, stops, usage);
  return calls ? findToolCalls(cut, { names: chat.tools, parallel: chat.parallel, usage }) : cut;
}

/** What follows a begun answer; where that ended in its text there is no thought to come. */
function goOn(text: AsyncGenerator<Delta>, usage: Usage, open: string | null): AsyncGenerator<Delta> {
  return open === null ? text : splitReasoning(text, usage, open, true);
}
