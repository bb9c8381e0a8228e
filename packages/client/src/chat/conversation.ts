/**
 * A conversation in memory: what was said, and how it is continued.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { WireEvent } from "../engines/blind.ts";
import { planChat, type ChatPlan } from "../gateway/chat-plan.ts";
import type { Delta } from "../gateway/delta.ts";
import type { ServedModel } from "../gateway/model.ts";
import type { ChatRequest } from "../openai/chat-schema.ts";

export interface Turn {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** Sampling fields of a chat request, as OpenAI names them. */
export type ChatSettings = Partial<Omit<ChatRequest, "messages" | "model" | "tools" | "n" | "stream">>;

/** What one question leads to. */
export interface Reply {
  readonly deltas: AsyncGenerator<Delta>;
  /** Oldest turns that no longer fit the model's context and were left out. */
  readonly forgotten: number;
}

export class Conversation {
  readonly #model: ServedModel;
  readonly #settings: ChatSettings;
  #system: string;
  #turns: Turn[] = [];

  constructor(model: ServedModel, settings: ChatSettings, system = "") {
    this.#model = model;
    this.#settings = settings;
    this.#system = system;
  }

  get turns(): readonly Turn[] {
    return this.#system ? [{ role: "system", content: this.#system }, ...this.#turns] : this.#turns;
  }

  /** Sets the system message for all that follows; an empty one removes it. */
  instruct(system: string): void {
    this.#system = system;
  }

  /** Forgets what was said; the system message stays. */
  reset(): void {
    this.#turns = [];
  }

  /**
   * Asks a question. The caller reports what came of it with {@link answered}.
   * @throws UnseenError REQUEST_TOO_LARGE when the question alone does not fit the context.
   */
  ask(question: string, signal: AbortSignal, onWire?: (event: WireEvent) => void): Reply {
    this.#turns.push({ role: "user", content: question });
    let forgotten = 0;
    for (;;) {
      try {
        const deltas = this.#plan().start(0, { signal, ...(onWire ? { onWire } : {}) });
        return { deltas, forgotten };
      } catch (error) {
        const full = UnseenError.isInstance(error) && error.code === "REQUEST_TOO_LARGE";
        if (!full || this.#turns.length < 3) {
          this.withdraw();
          throw error;
        }
        // A question goes together with its answer.
        forgotten += this.#turns.splice(0, this.#turns[1]?.role === "assistant" ? 2 : 1).length;
      }
    }
  }

  /** Records the answer to the last question, whole or interrupted. */
  answered(content: string): void {
    this.#turns.push({ role: "assistant", content });
  }

  /** Takes the last question back, when nothing came of it. */
  withdraw(): void {
    if (this.#turns.at(-1)?.role === "user") this.#turns.pop();
  }

  #plan(): ChatPlan {
    return planChat(this.#model, { ...this.#settings, messages: this.turns.map((turn) => ({ ...turn })) }, "chat");
  }
}
