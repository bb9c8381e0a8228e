/**
 * One answer of a model: the stages put together.
 * @module
 */
import type { WireEvent } from "../engines/blind.ts";
import type { Delta } from "./delta.ts";
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
  readonly chat: null | { readonly tools: ReadonlySet<string>; readonly parallel: boolean };
}

export interface AnswerContext {
  readonly signal: AbortSignal;
  readonly onWire?: (event: WireEvent) => void;
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
  const text = readText(chunks, model.tokenizer, { usage, endIds, markers, continues: !chat });
  if (!chat) return stopAt(text, stops, usage);
  const split = splitReasoning(text, usage, openReasoning(prompt.text));
  const cut = stopAt(split, stops, usage);
  return calls ? findToolCalls(cut, { names: chat.tools, parallel: chat.parallel, usage }) : cut;
}
