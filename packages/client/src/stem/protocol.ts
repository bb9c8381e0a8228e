/**
 * What the client and the process of its stem say to each other over the child's IPC channel (V8 serialisation).
 * @module
 */

/** Float32 numbers in row-major order. */
export interface StemTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export type StemCommand =
  /** Opens the file; the first command, sent once. */
  { readonly type: "load"; readonly file: string } | { readonly type: "run"; readonly id: number; readonly input: StemTensor };

export type StemReport =
  | { readonly type: "ready" }
  /** The file cannot be used. */
  | { readonly type: "unusable" }
  | { readonly type: "outputs"; readonly id: number; readonly outputs: ReadonlyMap<string, StemTensor> }
  /** The stem cannot be run on this input. */
  | { readonly type: "failed"; readonly id: number };
