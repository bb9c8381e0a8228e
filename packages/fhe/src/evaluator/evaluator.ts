/**
 * What whoever evaluates needs to know of an evaluator; the pool of workers implements it.
 * @module
 */
import type { Head } from "../layer.ts";
import type { Parameters } from "../parameters.ts";
import type { Calibration } from "../plan.ts";

/** Public keys that let others compute on a session's ciphertexts; as SEAL serialises them, without compression, seeded. */
export interface EvaluationKeys {
  /** Null where the program multiplies no ciphertexts. */
  readonly relinearisation: Uint8Array | null;
  /** Holds exactly the program's rotation steps; null where it has none. */
  readonly rotation: Uint8Array | null;
}

/** One evaluation. */
export interface EvaluationTask {
  readonly head: Head;
  /** The same head has the same id: its encoded weights are kept warm. */
  readonly headId: string;
  readonly parameters: Parameters;
  /** Whose task it is: a worker never holds the keys of two tenants at once. */
  readonly tenant: string;
  /** SHA-256 of the keys, hexadecimal: keys of the same id are loaded once. */
  readonly keysId: string;
  readonly keys: EvaluationKeys;
  /** The ciphertexts, seeded symmetric, in the order of the program's inputs. */
  readonly inputs: readonly Uint8Array[];
  /** Milliseconds from the moment the work begins; then the worker is terminated. */
  readonly budget: number;
}

export interface EvaluationResult {
  /** Ciphertexts of the features. */
  readonly outputs: readonly Uint8Array[];
  /** What the parts took. */
  readonly seconds: { readonly validate: number; readonly load: number; readonly evaluate: number };
}

export interface Evaluator {
  /**
   * @throws UnseenError CIPHERTEXT_INVALID for inputs or keys that are not of the exact form, EVALUATION_TIMEOUT at the budget,
   *   EVALUATION_FAILED when the worker ends, OVERLOADED when the queue is full, CUT_UNAVAILABLE for a head that does not compile
   */
  evaluate(task: EvaluationTask): Promise<EvaluationResult>;
  /** Measures what operations take on this machine, in a worker. */
  calibrate(parameters: Parameters): Promise<Calibration>;
  close(): Promise<void>;
}
