/**
 * What the messages of one conversation share.
 * @module
 */
import type { ReadonlySignal, Signal } from "@preact/signals";
import type { NewTurn } from "../../../../src/protocol/conversations.ts";
import type { OfferedRow } from "../../../../src/protocol/library.ts";
import type { Thread } from "../data/thread.ts";

export interface ThreadContext {
  readonly thread: Thread;
  /** Id of the question that is being edited. */
  readonly editing: Signal<string | null>;
  /** Id of a message to be looked at, since a search led to it. */
  readonly found: Signal<string | null>;
  /** The model that would answer now; null where none does. */
  readonly model: ReadonlySignal<OfferedRow | null>;
  /** Takes a turn; what goes wrong is shown. Resolves to whether it went well. */
  take(turn: NewTurn): Promise<boolean>;
  /** Shows another branch; what goes wrong is shown. */
  choose(message: string): Promise<void>;
}
