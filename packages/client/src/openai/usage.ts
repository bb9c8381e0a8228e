/**
 * Token counts in OpenAI's shapes.
 * @module
 */
import type { Usage } from "../gateway/delta.ts";

export interface UsageBody {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly completion_tokens_details: { readonly reasoning_tokens: number };
}

/** The sum over several answers; answers to one prompt share its tokens. */
export function sumUsage(usages: readonly Usage[], promptTokens: number): UsageBody {
  const completionTokens = usages.reduce((sum, usage) => sum + usage.completionTokens, 0);
  const reasoningTokens = usages.reduce((sum, usage) => sum + usage.reasoningTokens, 0);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    completion_tokens_details: { reasoning_tokens: reasoningTokens },
  };
}
