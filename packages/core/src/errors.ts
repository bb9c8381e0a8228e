/**
 * The one error class of Unseen: a stable code, a message that names the field, what was expected
 * and what came, and a hint that says what to do next.
 * @module
 */

const MARKER = Symbol.for("unseen.error");

/** Every code and what it means; `docs/reference/errors.md` lists the same table. */
export const errorCodes = {
  // files and formats
  CHECKPOINT_NOT_FOUND: "A model file or directory does not exist or holds no weights.",
  CHECKPOINT_TRUNCATED: "A file ends before the data that its header promises.",
  CHECKPOINT_MALFORMED: "A header or index contradicts its format.",
  CHECKPOINT_TOO_LARGE: "A length in a header exceeds the named limit.",
  CHECKPOINT_OVERLAP: "Two tensors claim the same bytes.",
  CHECKPOINT_DUPLICATE: "A name occurs twice.",
  CHECKPOINT_MISSING_SHARD: "The index names a shard that is not there.",
  CHECKPOINT_MISSING_TENSOR: "A tensor that the architecture needs is not there.",
  CHECKPOINT_WRONG_SHAPE: "A tensor's shape contradicts the configuration.",
  CHECKPOINT_DTYPE_UNSUPPORTED: "A tensor's number format cannot be transformed.",
  CHECKPOINT_NON_FINITE: "A weight is NaN or infinite.",
  CHECKPOINT_INCOMPLETE: "A directory was left behind by an interrupted command.",
  // architectures
  FAMILY_UNKNOWN: "No exact transformation is known for this model type.",
  FAMILY_UNKNOWN_FIELD: "The configuration has a field whose effect on the mathematics is unknown.",
  FAMILY_UNSUPPORTED_VALUE: "A configuration field has a value that the family's transformation does not cover.",
  FAMILY_UNKNOWN_TENSOR: "The checkpoint has a tensor that the family's table does not list.",
  // keys and bundles
  KEY_NOT_FOUND: "The keyring has no such key.",
  KEY_EXISTS: "The keyring already has a key of that name.",
  KEY_INVALID: "A key file cannot be read: wrong passphrase, wrong identity or damaged.",
  KEY_WRONG: "The model was not encrypted under this key.",
  BUNDLE_NOT_FOUND: "No client bundle for this model is in the keyring.",
  BUNDLE_INVALID: "A client bundle is incomplete or damaged.",
  BUNDLE_MISMATCH: "The host serves another encrypted model than the bundle describes.",
  TOKENIZER_MISSING: "The model has no tokenizer, so text cannot be turned into ids.",
  TOKEN_OUT_OF_RANGE: "A token id lies outside the vocabulary.",
  // hosts and gateways
  HOST_UNREACHABLE: "No host answers at the address.",
  HOST_LOADING: "The host is still loading its model.",
  HOST_TIMEOUT: "The host stopped sending.",
  HOST_PROTOCOL: "The host's answer violates the protocol.",
  HOST_REFUSED: "The host refused the request.",
  ENGINE_CRASHED: "The inference engine's process ended; it is being restarted.",
  NOT_ENCRYPTED: "The model to serve is not an encrypted model.",
  REQUEST_INVALID: "A request field has a wrong type or value.",
  REQUEST_TOO_LARGE: "A request exceeds the context or a size limit.",
  REQUEST_UNSUPPORTED: "A request asks for something this server does not do.",
  OUTPUT_INVALID: "The model's answer did not have the requested form after all retries.",
  UNAUTHORIZED: "The API key is missing or wrong.",
  MODEL_NOT_FOUND: "No such model is served here.",
  OVERLOADED: "The queue is full.",
  PORT_IN_USE: "Another process listens on the port.",
  // encrypted first layers
  CUT_UNAVAILABLE: "The model cannot be cut there, or its first layers exceed the multiplicative depth or the time budget.",
  CIPHERTEXT_INVALID: "A ciphertext or an evaluation key does not have the exact form of its parameters.",
  EVALUATION_TIMEOUT: "The evaluation on ciphertext passed its deadline and was stopped.",
  EVALUATION_FAILED: "The evaluator's worker ended or refused; other jobs go on in a new one.",
  SEALED_INVALID: "A sealed message does not open: another key, another purpose, or changed bytes.",
  // attestation
  ATTESTATION_UNAVAILABLE: "There is no evidence: the machine has no trusted hardware, or does not answer.",
  ATTESTATION_INVALID: "The evidence is malformed, or a signature in it does not hold.",
  ATTESTATION_NONCE: "The evidence was made for another challenge or other keys.",
  ATTESTATION_MEASUREMENT: "The machine runs another program than the policy allows.",
  ATTESTATION_DEBUG: "The enclave may be looked into: it runs in debug mode.",
  ATTESTATION_REVOKED: "A certificate in the evidence has been revoked.",
  ATTESTATION_EXPIRED: "A certificate, a revocation list or the vendor's statements are not valid at this time.",
  ATTESTATION_TCB: "The machine's firmware is not at a level that the policy allows.",
  ATTESTATION_SIMULATOR: "The evidence comes from a simulator, which protects nothing, and the policy asks for real hardware.",
  // the model hub
  HUB_UNREACHABLE: "No model hub answers at the address.",
  HUB_REFUSED: "The model hub refused the request.",
  CREATOR_CHANGED: "The model's creator has another key than when this model was first used here.",
  JOB_NOT_FOUND: "There is no such job, or it belongs to someone else.",
  JOB_FAILED: "A job ended without a result.",
  CONFLICT: "Something of that name exists with other content, or the job has moved on.",
  QUOTA_EXCEEDED: "The account has used up what it may use, or asks too often.",
  // the console
  VAULT_LOCKED: "Conversations are locked until the passphrase is given.",
  VAULT_INVALID: "The file of the conversations' key is damaged, or the passphrase is wrong.",
  CONVERSATION_NOT_FOUND: "There is no such conversation or message, or its file is damaged.",
  // the machine
  DISK_FULL: "The disk is full.",
  OUTPUT_EXISTS: "The output path already exists.",
  PERMISSION_DENIED: "A file or directory may not be read or written.",
  USAGE: "The command line is incomplete or contradictory.",
  DOWNLOAD_FAILED: "A file could not be downloaded from the hub.",
  VERIFICATION_FAILED:
    "The encrypted model does not compute what the plain one does, a share server answered wrongly, or a solution is not the one that a contest committed to.",
  INTERNAL: "A defect in Unseen.",
} as const;

export type ErrorCode = keyof typeof errorCodes;

export interface UnseenErrorOptions {
  /** What the reader should do next, one sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/**
 * An error with a stable {@link ErrorCode}.
 *
 * @example
 * Recognise an error even when two copies of this package are loaded.
 * ```ts
 * try { await openModel(path); } catch (error) {
 *   if (UnseenError.isInstance(error) && error.code === "CHECKPOINT_TRUNCATED") download(path);
 * }
 * ```
 */
export class UnseenError extends Error {
  override readonly name = "UnseenError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly [MARKER] = true;

  constructor(code: ErrorCode, message: string, options: UnseenErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }

  static isInstance(error: unknown): error is UnseenError {
    return typeof error === "object" && error !== null && MARKER in error;
  }

  /** The message and the hint in one line, as a terminal shows it. */
  get line(): string {
    return this.hint ? `${this.message} ${this.hint}` : this.message;
  }
}

/** Gives operating-system errors (`ENOSPC`, `EACCES`, `EADDRINUSE`, ...) their Unseen code; leaves others alone. */
export function explainSystemError(error: unknown, subject: string): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return new UnseenError("DISK_FULL", `no space left while writing ${subject}.`, {
        hint: "Free some space or choose another --out; nothing half-written was kept.",
        cause: error,
      });
    case "EFBIG":
      return new UnseenError("DISK_FULL", `${subject} would become larger than a file may be here.`, {
        hint: "Raise the limit (ulimit -f), or choose an --out on a file system for large files; nothing half-written was kept.",
        cause: error,
      });
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new UnseenError("PERMISSION_DENIED", `no permission for ${subject}.`, {
        hint: "Check the owner and mode of the path.",
        cause: error,
      });
    case "EADDRINUSE":
      return new UnseenError("PORT_IN_USE", `${subject} is already in use.`, {
        hint: "Stop the other process or choose another port with --port.",
        cause: error,
      });
    case "EEXIST":
    case "ENOTDIR":
      return new UnseenError("OUTPUT_EXISTS", `${subject} collides with a file that is already there.`, {
        hint: "Choose another path or remove it first.",
        cause: error,
      });
    case "EISDIR":
      return new UnseenError("USAGE", `${subject} is a directory.`, { hint: "Give a file.", cause: error });
    case "ENOENT":
      return new UnseenError("CHECKPOINT_NOT_FOUND", `${subject} does not exist.`, { hint: "Check the path.", cause: error });
    default:
      return error;
  }
}
