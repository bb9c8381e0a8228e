/**
 * Conversations: a tree of messages each, of which one path, from the first message to the current leaf, is shown.
 *
 * | request                                                   | body                | answer                                    |
 * | --------------------------------------------------------- | ------------------- | ----------------------------------------- |
 * | `GET /console/vault`                                      |                     | {@link Vault}                             |
 * | `POST /console/vault/unlock`                              | {@link Unlock}      | {@link Vault}                             |
 * | `POST /console/vault/lock`                                |                     | {@link Vault}                             |
 * | `PUT /console/vault/passphrase`                           | {@link Passphrase}  | {@link Vault}                             |
 * | `GET /console/conversations`                              |                     | {@link ConversationList}                  |
 * | `POST /console/conversations`                             | {@link NewConversation} | {@link ConversationSummary}           |
 * | `GET /console/conversations/search?q=TEXT`                |                     | {@link SearchResult}                      |
 * | `GET /console/conversations/export?id=ID` (all without)   |                     | {@link Archive}, as a download            |
 * | `POST /console/conversations/import`                      | a file's text       | {@link Imported}                          |
 * | `POST /console/folders`                                   | {@link FolderChange} | {@link ConversationList}                 |
 * | `GET /console/conversations/ID?before=MESSAGE&limit=N`    |                     | {@link ConversationPage}                  |
 * | `PATCH /console/conversations/ID`                         | {@link ConversationChange} | {@link ConversationSummary}        |
 * | `DELETE /console/conversations/ID`                        |                     | 204                                       |
 * | `PUT /console/conversations/ID/current`                   | {@link Current}     | {@link ConversationPage}                  |
 * | `POST /console/conversations/ID/turns`                    | {@link NewTurn}     | {@link Turn}                              |
 * | `GET /console/conversations/ID/messages/MESSAGE/stream`   |                     | server-sent {@link AnswerEvent}s          |
 * | `POST /console/conversations/ID/messages/MESSAGE/stop`    |                     | {@link Message}                           |
 * | `GET /console/conversations/ID/messages/MESSAGE/wire`     |                     | {@link HostView}                          |
 *
 * While the vault is locked everything but the vault answers 423 with `VAULT_LOCKED`.
 * @module
 */
import type { Failure } from "./failure.ts";

/** The key under which conversations are stored. */
export interface Vault {
  readonly state: "open" | "locked";
  /** What opens it: the key holder's identity file, without asking; or a passphrase, after each start of the gateway. */
  readonly protection: "identity" | "passphrase";
}

export interface Unlock {
  readonly passphrase: string;
}

export interface Passphrase {
  /** null: the identity file opens it from now on. */
  readonly passphrase: string | null;
}

/** Sampling fields as OpenAI names them; absent: the model's own defaults. */
export interface Sampling {
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly min_p?: number;
  readonly max_tokens?: number;
  readonly seed?: number;
  readonly presence_penalty?: number;
  readonly frequency_penalty?: number;
  readonly repetition_penalty?: number;
}

export interface ConversationSettings {
  /** Id of an offered model; null: the only one, or the first. */
  readonly model: string | null;
  /** Empty: none. */
  readonly system: string;
  readonly sampling: Sampling;
}

export interface ConversationSummary {
  readonly id: string;
  readonly title: string;
  /** null: in no folder. */
  readonly folder: string | null;
  /** ISO 8601, UTC. */
  readonly created: string;
  readonly updated: string;
  /** In all branches. */
  readonly messages: number;
  readonly settings: ConversationSettings;
}

export interface ConversationList {
  /** Latest first. */
  readonly conversations: readonly ConversationSummary[];
  /** By name; a folder exists as long as a conversation is in it. */
  readonly folders: readonly string[];
  /** Conversations whose files are damaged: they are left alone, and not listed. */
  readonly damaged: number;
}

export interface NewConversation {
  readonly title?: string;
  readonly folder?: string | null;
  readonly settings?: ConversationSettings;
}

export interface ConversationChange {
  readonly title?: string;
  readonly folder?: string | null;
  readonly settings?: ConversationSettings;
}

export interface FolderChange {
  readonly from: string;
  /** null: its conversations are in no folder afterwards. */
  readonly to: string | null;
}

/** `interrupted`: the gateway ended in mid-answer. */
export type MessageState = "streaming" | "complete" | "stopped" | "interrupted" | "failed";

export interface Message {
  readonly id: string;
  /** null for a first message. */
  readonly parent: string | null;
  /** Every message with this parent, this one included, oldest first. */
  readonly siblings: readonly string[];
  readonly role: "user" | "assistant";
  readonly content: string;
  /** A reasoning model's thoughts; empty for none. */
  readonly reasoning: string;
  /** ISO 8601, UTC. */
  readonly created: string;
  readonly state: MessageState;
  /** Model that answered; null for what a person said. */
  readonly model: string | null;
  readonly failure: Failure | null;
  readonly usage: AnswerUsage | null;
  /** Whether {@link HostView} is kept. */
  readonly wire: boolean;
}

export interface AnswerUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** To the first token, and in all. */
  readonly firstTokenSeconds: number;
  readonly seconds: number;
  /** Oldest messages that did not fit the model's context and were left out. */
  readonly forgotten: number;
}

/** The end of the shown path, or the part before a message. */
export interface ConversationPage {
  readonly conversation: ConversationSummary;
  /** Oldest first. */
  readonly messages: readonly Message[];
  /** Whether there are older ones on the path. */
  readonly more: boolean;
}

export interface Current {
  /** Its newest descendant becomes the leaf of the shown path. */
  readonly message: string;
}

/** Something to answer. */
export type NewTurn =
  /** Says something after a message; null starts the conversation, or another beginning of it. Editing is saying something beside it. */
  | { readonly kind: "say"; readonly parent: string | null; readonly content: string }
  /** Another answer to the same question, beside an answer. */
  | { readonly kind: "regenerate"; readonly answer: string }
  /** Goes on with an answer that was stopped, interrupted, failed or ended by its length. */
  | { readonly kind: "continue"; readonly answer: string };

/** What was begun; {@link AnswerEvent}s tell the rest. */
export interface Turn {
  /** null where nothing new was said. */
  readonly question: Message | null;
  readonly answer: Message;
}

/**
 * Events of an answer, from its beginning whenever one connects: the first is a `snapshot`, so that a page that was loaded again
 * misses nothing. Closing the connection leaves the answer running.
 */
export type AnswerEvent =
  | { readonly kind: "snapshot"; readonly message: Message; readonly view: HostView }
  | { readonly kind: "delta"; readonly content: string; readonly reasoning: string }
  | ({ readonly kind: "wire" } & WirePiece)
  | { readonly kind: "end"; readonly message: Message };

/** What hosts received and sent for one answer. */
export interface HostView {
  /** More than one where a host failed and another went on, or where two servers multiply shares. */
  readonly exchanges: readonly WireExchange[];
}

export interface WireExchange {
  /** Address. */
  readonly host: string;
  readonly sent: WireSide;
  readonly received: WireSide;
}

export interface WireSide {
  /** Base64 of the first bytes, HTTP's head included, the host's API key replaced by stars. */
  readonly bytes: string;
  /** Of all bytes; more than `bytes` holds where it is cut. */
  readonly total: number;
  /** Cipher ids; none where two servers multiply shares. */
  readonly ids: readonly number[];
  /** What whoever takes the ids for those of the public tokenizer would read. */
  readonly naive: string;
}

/** A piece that passed just now; it belongs to the end of one side of one exchange, which is new where the number is. */
export interface WirePiece {
  readonly exchange: number;
  readonly host: string;
  readonly direction: "sent" | "received";
  /** Base64; empty once the side is cut. */
  readonly bytes: string;
  /** Bytes of this piece, whether kept or not. */
  readonly size: number;
  readonly ids: readonly number[];
  readonly naive: string;
}

export interface SearchResult {
  readonly hits: readonly SearchHit[];
  /** More were found than are listed. */
  readonly more: boolean;
}

export interface SearchHit {
  readonly conversation: string;
  readonly title: string;
  /** null: the title itself. */
  readonly message: string | null;
  /** Text around the match, and where the match lies in it. */
  readonly excerpt: string;
  readonly start: number;
  readonly length: number;
}

/** Conversations as a file, in clear. */
export interface Archive {
  readonly format: "unseen-conversations";
  readonly version: 1;
  readonly exported: string;
  readonly conversations: readonly ArchivedConversation[];
}

export interface ArchivedConversation extends Omit<ConversationSummary, "messages"> {
  /** Parents before children. */
  readonly messages: readonly ArchivedMessage[];
  /** Id of the current leaf; null for an empty conversation. */
  readonly current: string | null;
}

export type ArchivedMessage = Omit<Message, "siblings" | "wire">;

export interface Imported {
  /** Whose export it was. */
  readonly format: "unseen" | "openai" | "open-webui" | "llama.cpp";
  readonly conversations: number;
  readonly messages: number;
}
