/**
 * What the server and its engine process say to each other over the child's IPC channel (V8 serialisation).
 * Everything is numbers: no party on this side ever holds text.
 * @module
 */

/** How the next token is drawn. All neutral values switch the step off. */
export interface Sampling {
  /** 0 = greedy. */
  readonly temperature: number;
  /** 1 = off. */
  readonly topP: number;
  /** 0 = off. */
  readonly topK: number;
  /** 0 = off. */
  readonly minP: number;
  readonly seed: number;
  /** Subtracted once from the logit of every token generated so far; 0 = off. */
  readonly presencePenalty: number;
  /** Subtracted for each time a token was generated so far; 0 = off. */
  readonly frequencyPenalty: number;
  /** Divides positive and multiplies negative logits of tokens seen so far; 1 = off. */
  readonly repetitionPenalty: number;
  /** Added to the logits of `biasIds`, before anything else. */
  readonly biasIds: Uint32Array;
  readonly biasValues: Float32Array;
}

/** One sequence to continue. */
export interface GenerateCommand {
  readonly type: "generate";
  readonly id: number;
  readonly prompt: Uint32Array;
  readonly maximumTokens: number;
  /** No stop id is drawn before this many tokens. */
  readonly minimumTokens: number;
  /** Ids that end the sequence, end-of-sequence ids included. */
  readonly stopIds: Uint32Array;
  /** Prefixes are shared between requests of equal salt only. */
  readonly salt: string;
  readonly sampling: Sampling;
  /** How many alternatives to report beside each token's own log-probability; null = none at all. */
  readonly logprobs: number | null;
}

/** Loads the model; the first command, sent once. */
export interface LoadCommand {
  readonly type: "load";
  readonly file: string;
  readonly threads: number;
  readonly sequences: number;
  readonly contextLength: number;
  readonly batchSize: number;
  readonly cacheFormat: "f16" | "f32" | "auto";
}

export type Command = LoadCommand | GenerateCommand | { readonly type: "cancel"; readonly id: number };

/** Log-probabilities (natural, of the model's own distribution before penalties, bias and temperature). */
export interface TokenLogprobs {
  readonly chosen: number;
  /** Best first; ids and values by index. */
  readonly topIds: number[];
  readonly topValues: number[];
}

/** One generated token of one sequence. */
export interface TokenEvent {
  readonly id: number;
  readonly token: number;
  readonly logprobs?: TokenLogprobs;
  /** Set on the last token. */
  readonly finish?: "stop" | "length";
  /** Set on the first token: how much of the prompt was taken from an earlier request's cache. */
  readonly cachedTokens?: number;
}

export type Report =
  | { readonly type: "ready"; readonly cacheCells: number }
  /** The model cannot be loaded; the process ends. */
  | { readonly type: "unusable"; readonly reason: string }
  /** All tokens of one decoding step. */
  | { readonly type: "step"; readonly events: readonly TokenEvent[] }
  /** These sequences failed; the engine goes on. */
  | { readonly type: "failed"; readonly ids: readonly number[] };
