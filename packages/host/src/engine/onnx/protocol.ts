/**
 * What the server and the process of ONNX Runtime say to each other over the child's IPC channel (V8 serialisation).
 * Typed arrays cross as they are; everything is numbers.
 * @module
 */
import type { Pooling } from "@unseen/core/blueprint/interface.ts";
import type { LifeReport } from "../keeper.ts";
import type { FeedType, Numbers } from "./numbers.ts";

/** Opens the model; the first command, sent once. */
export interface LoadCommand {
  readonly type: "load";
  readonly file: string;
  readonly threads: number;
  /** Execution provider. */
  readonly provider: string;
  /** The output that is asked for; others are not even fetched. */
  readonly output: string;
}

/** One input of a run. */
export interface Feed {
  readonly name: string;
  readonly type: FeedType;
  readonly shape: readonly number[];
  readonly data: Numbers;
}

/** Makes one vector of a row's vectors: (rows, length, width) -> (rows, width). */
export interface PoolCommand {
  readonly kind: Pooling;
  /** Ids of each row that are no padding of the server's. */
  readonly lengths: readonly number[];
  /** The mask that a row came with, 0 or 1 for each of its ids, not all 0; null = all 1. */
  readonly masks: readonly (Uint8Array | null)[];
}

export interface RunCommand {
  readonly type: "run";
  readonly id: number;
  readonly feeds: readonly Feed[];
  /** Applied where the output has three axes. */
  readonly pool: PoolCommand | null;
}

export type Command = LoadCommand | RunCommand;

/** An output. */
export interface Output {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/** Why a run gave nothing; the engine's own words may quote ids, so they stay in its process. */
export type RunFailure =
  /** The model cannot be run on these inputs. */
  | "refused"
  /** The memory did not suffice. */
  | "memory"
  /** The output holds more than {@link MAXIMUM_OUTPUT_VALUES}. */
  | "large";

/** Numbers of one run's output; 64 MiB (CWE-770). */
export const MAXIMUM_OUTPUT_VALUES = 16 << 20;

export type Report =
  | LifeReport
  | { readonly type: "output"; readonly id: number; readonly output: Output }
  | { readonly type: "failed"; readonly id: number; readonly reason: RunFailure };
