/**
 * Log-probabilities in OpenAI's two shapes. The host knows ids; what they spell is added here.
 * @module
 */
import type { Alternative, TokenLogprob } from "../engines/engine.ts";
import type { TextTokenizer } from "../tokenizer.ts";

interface ChatAlternative {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
}

export interface ChatLogprob extends ChatAlternative {
  readonly top_logprobs: readonly ChatAlternative[];
}

/** Chat shape: one entry per token, with its bytes, so that characters cut across tokens can be put together again. */
export function chatLogprobs(tokenizer: TextTokenizer, lines: readonly TokenLogprob[]): ChatLogprob[] {
  const spell = ({ id, logprob }: Alternative): ChatAlternative => {
    const bytes = spelling(tokenizer, id);
    return { token: Buffer.from(bytes).toString("utf8"), logprob, bytes: [...bytes] };
  };
  return lines.map((line) => ({ ...spell(line), top_logprobs: line.top.map(spell) }));
}

export interface CompletionLogprobs {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly number[];
  readonly top_logprobs: readonly Record<string, number>[];
  readonly text_offset: readonly number[];
}

/**
 * Legacy completion shape: four parallel lists.
 * @param offset - Characters of the text before the first of these tokens.
 */
export function completionLogprobs(tokenizer: TextTokenizer | null, lines: readonly TokenLogprob[], offset: number): CompletionLogprobs {
  const spell = (id: number): string => (tokenizer ? Buffer.from(spelling(tokenizer, id)).toString("utf8") : `token_id:${id}`);
  const tokens = lines.map((line) => spell(line.id));
  let end = offset;
  const offsets = tokens.map((token) => (end += token.length) - token.length);
  return {
    tokens,
    token_logprobs: lines.map((line) => line.logprob),
    top_logprobs: lines.map((line) => Object.fromEntries(line.top.map(({ id, logprob }) => [spell(id), logprob]))),
    text_offset: offsets,
  };
}

/** Control tokens spell their name, as in `<|end|>`; they do occur among the alternatives. */
function spelling(tokenizer: TextTokenizer, id: number): Uint8Array {
  return tokenizer.isSpecial(id) ? Buffer.from(tokenizer.decode([id], { skipSpecialTokens: false })) : tokenizer.tokenBytes(id);
}
