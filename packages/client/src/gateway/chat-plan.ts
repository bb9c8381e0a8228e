/**
 * From a chat request to answers.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { ChatMessage as TemplateMessage } from "../chat-template.ts";
import type { ChatRequest, FunctionTool } from "../openai/chat-schema.ts";
import { RequestError } from "../openai/errors.ts";
import { stopStrings } from "../openai/sampling-schema.ts";
import { answer, type AnswerContext } from "./answer.ts";
import { demandCall, demandJson, satisfy, type Demand } from "./demand.ts";
import type { Delta } from "./delta.ts";
import { renderDialogue, type Dialogue, type Prompt } from "./instruct.ts";
import { toTemplateMessages } from "./messages.ts";
import type { ServedModel } from "./model.ts";
import { fitContext, readSampling, stepSeed } from "./sampling.ts";
import { spellBeginning, type BegunAnswer, type SpelledBeginning } from "./split-reasoning.ts";
import type { TextTokenizer } from "../tokenizer.ts";

/** A checked and rendered chat request. */
export interface ChatPlan {
  readonly prompt: Prompt;
  /** Starts answer number `index` (0 to n-1). */
  start(index: number, context: AnswerContext): AsyncGenerator<Delta>;
}

/**
 * @param user - Whoever shares a prefix cache.
 * @param begun - An answer to the last message that has begun, and goes on.
 * @throws RequestError for everything that can be wrong before a host is asked.
 */
export function planChat(model: ServedModel, request: ChatRequest, user: string, begun?: BegunAnswer): ChatPlan {
  const { tokenizer } = model;
  if (!tokenizer) {
    throw new UnseenError("TOKENIZER_MISSING", `model ${model.id} has no tokenizer, so it cannot chat.`, {
      hint: "Use /v1/completions with token ids, or add a tokenizer to its bundle.",
    });
  }
  const tools = chooseTools(request);
  const demand = chooseDemand(request, tools);
  const dialogue: Dialogue = {
    messages: toTemplateMessages(request.messages),
    tools,
    variables: templateVariables(request),
    instructions: demand ? [demand.instruction] : [],
  };
  const rendered = renderDialogue(tokenizer, dialogue);
  const beginning = begun ? spellBeginning(rendered.text, begun) : null;
  const prompt = beginning ? extendPrompt(tokenizer, rendered, beginning) : rendered;
  const requested = request.max_completion_tokens ?? request.max_tokens;
  fitContext(model, prompt.ids.length, requested, "messages");
  const sampling = readSampling(model, request, user, request.logprobs ? (request.top_logprobs ?? 0) : undefined);
  const chat = {
    tools: new Set(tools.map((tool) => tool.function.name)),
    parallel: request.parallel_tool_calls ?? true,
    ...(beginning ? { continues: { open: beginning.open } } : {}),
  };

  const generate = (promptNow: Prompt, seedStep: number, context: AnswerContext): AsyncGenerator<Delta> => {
    const maximumTokens = fitContext(model, promptNow.ids.length, requested, "messages");
    return answer(
      model,
      { prompt: promptNow, maximumTokens, sampling: stepSeed(sampling, seedStep), stops: stopStrings(request.stop), chat },
      context,
    );
  };
  const correct = (corrections: readonly TemplateMessage[]): Prompt => {
    if (corrections.length === 0) return prompt;
    const corrected = renderDialogue(tokenizer, { ...dialogue, messages: [...dialogue.messages, ...corrections] });
    return corrected.ids.length < model.contextLength ? corrected : prompt;
  };
  const start = (index: number, context: AnswerContext): AsyncGenerator<Delta> => {
    if (!demand) return generate(prompt, index, context);
    const answers = request.n ?? 1;
    return satisfy((corrections, number) => generate(correct(corrections), index + answers * (number - 1), context), demand);
  };
  return { prompt, start };
}

/** A prompt that ends in a begun answer. */
function extendPrompt(tokenizer: TextTokenizer, { text, ids }: Prompt, { parts }: SpelledBeginning): Prompt {
  const added = parts.flatMap((part) => tokenizer.encode(part.text, { specialTokens: false, parseSpecial: part.isTag }));
  return { text: text + parts.map((part) => part.text).join(""), ids: [...ids, ...added] };
}

/** The functions that may be called. */
function chooseTools(request: ChatRequest): FunctionTool[] {
  const tools = request.tools ?? [];
  const choice = request.tool_choice;
  if (choice === "none") return [];
  if (typeof choice === "object" && choice !== null) {
    const named = tools.filter((tool) => tool.function.name === choice.function.name);
    if (named.length === 0) throw new RequestError("REQUEST_INVALID", "tool_choice", "tool_choice: expected the name of one of the tools.");
    return named;
  }
  if (choice === "required" && tools.length === 0)
    throw new RequestError("REQUEST_INVALID", "tools", 'tools: expected at least one with tool_choice "required".');
  return tools;
}

function chooseDemand(request: ChatRequest, tools: readonly FunctionTool[]): Demand | null {
  const forced = request.tool_choice === "required" || typeof request.tool_choice === "object";
  return forced && request.tool_choice !== null ? demandCall(tools) : demandJson(request.response_format);
}

function templateVariables(request: ChatRequest): Record<string, unknown> {
  const effort = request.reasoning_effort;
  // "none" is how OpenAI's clients say what Qwen3's and SmolLM3's templates call enable_thinking=false.
  return {
    ...(effort ? { reasoning_effort: effort } : {}),
    ...(effort === "none" ? { enable_thinking: false } : {}),
    ...request.chat_template_kwargs,
  };
}
