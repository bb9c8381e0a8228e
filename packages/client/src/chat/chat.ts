/**
 * `unseen chat`: one question, or a conversation in the terminal.
 * @module
 */
import type { Readable, Writable } from "node:stream";
import { collect, type Delta } from "../gateway/delta.ts";
import type { ServedModel } from "../gateway/model.ts";
import { chatLoop, withoutControls } from "./chat-loop.ts";
import { Conversation, type ChatSettings } from "./conversation.ts";
import { WireView } from "./wire-view.ts";

export interface ChatOptions {
  readonly showWire?: boolean;
  readonly system?: string | undefined;
  /** Ask this, and be done. */
  readonly message?: string | undefined;
  /** Show nothing: the result says it all. */
  readonly silent?: boolean;
  readonly settings?: ChatSettings;
  readonly input?: Readable & { readonly isTTY?: boolean };
  readonly output?: Writable & { readonly isTTY?: boolean };
}

/** What one question led to. */
export interface ChatResult {
  readonly message: string;
  readonly answer: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Cipher ids: all that the host received, and all that it sent. */
  readonly hostSaw: { readonly prompt: readonly number[]; readonly answer: readonly number[] };
}

/**
 * Asks `message`, or talks until the user leaves.
 * @returns The result of a single question; nothing after a conversation.
 * @throws UnseenError HOST_*, REQUEST_TOO_LARGE.
 */
export async function runChat(model: ServedModel, options: ChatOptions = {}): Promise<ChatResult | undefined> {
  const { input = process.stdin, output = process.stdout, system, showWire = false, settings = {} } = options;
  if (options.message === undefined) {
    const terminal = input.isTTY === true && output.isTTY === true;
    await chatLoop({ model, input, output, terminal, colour: terminal && !process.env["NO_COLOR"], system, settings, showWire });
    return undefined;
  }
  const wire = new WireView();
  const { deltas } = new Conversation(model, settings, system).ask(options.message, new AbortController().signal, wire.record);
  const answer = await collect(options.silent ? deltas : show(deltas, output));
  if (!options.silent) output.write(`\n${showWire ? `${wire.lines().join("\n")}\n` : ""}`);
  const { promptTokens, completionTokens } = answer.usage;
  return {
    message: options.message,
    answer: answer.text,
    promptTokens,
    completionTokens,
    hostSaw: { prompt: wire.sent, answer: wire.received },
  };
}

async function* show(deltas: AsyncIterable<Delta>, output: Writable): AsyncGenerator<Delta> {
  for await (const delta of deltas) {
    if (delta.kind === "text") output.write(withoutControls(delta.text));
    yield delta;
  }
}
