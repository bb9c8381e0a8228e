/**
 * Errors as the OpenAI API writes them: `{error: {message, type, param, code}}` with a fitting HTTP status.
 * @module
 */
import { UnseenError, type ErrorCode, type UnseenErrorOptions } from "@unseen/core/errors.ts";

/** An error in one field of a request. */
export class RequestError extends UnseenError {
  /** Path of the field, as in `messages[2].content`. */
  readonly param: string;

  constructor(code: ErrorCode, param: string, message: string, options: UnseenErrorOptions = {}) {
    super(code, message, options);
    this.param = param;
  }
}

/** A body too large to be read, whatever it says. */
export class BodyTooLargeError extends RequestError {
  constructor(maximumBytes: number, remedy = "Shorten the conversation.") {
    super("REQUEST_TOO_LARGE", "", `the request body: expected at most ${maximumBytes} bytes.`, { hint: remedy });
  }
}

export interface ErrorBody {
  readonly error: { readonly message: string; readonly type: string; readonly param: string | null; readonly code: string };
}

interface Mapping {
  readonly status: number;
  readonly type: string;
  readonly code: string;
}

/**
 * Codes that a request can meet. The status decides which class the official clients throw and whether they try again
 * (they do on 408, 409, 429 and 5xx), so what a repetition cannot cure is 4xx.
 */
const mappings: Partial<Record<ErrorCode, Mapping>> = {
  REQUEST_INVALID: { status: 400, type: "invalid_request_error", code: "invalid_value" },
  REQUEST_UNSUPPORTED: { status: 400, type: "invalid_request_error", code: "unsupported" },
  REQUEST_TOO_LARGE: { status: 400, type: "invalid_request_error", code: "context_length_exceeded" },
  TOKEN_OUT_OF_RANGE: { status: 400, type: "invalid_request_error", code: "token_out_of_range" },
  TOKENIZER_MISSING: { status: 400, type: "invalid_request_error", code: "tokenizer_missing" },
  UNAUTHORIZED: { status: 401, type: "authentication_error", code: "invalid_api_key" },
  PERMISSION_DENIED: { status: 403, type: "permission_error", code: "permission_denied" },
  VAULT_LOCKED: { status: 423, type: "permission_error", code: "vault_locked" },
  VAULT_INVALID: { status: 403, type: "permission_error", code: "vault_invalid" },
  CONVERSATION_NOT_FOUND: { status: 404, type: "invalid_request_error", code: "conversation_not_found" },
  CHECKPOINT_NOT_FOUND: { status: 404, type: "invalid_request_error", code: "checkpoint_not_found" },
  NOT_ENCRYPTED: { status: 400, type: "invalid_request_error", code: "not_encrypted" },
  KEY_NOT_FOUND: { status: 404, type: "invalid_request_error", code: "key_not_found" },
  KEY_EXISTS: { status: 409, type: "invalid_request_error", code: "key_exists" },
  JOB_NOT_FOUND: { status: 404, type: "invalid_request_error", code: "job_not_found" },
  MODEL_NOT_FOUND: { status: 404, type: "invalid_request_error", code: "model_not_found" },
  CONFLICT: { status: 409, type: "invalid_request_error", code: "conflict" },
  USAGE: { status: 400, type: "invalid_request_error", code: "usage" },
  KEY_INVALID: { status: 403, type: "permission_error", code: "key_invalid" },
  BUNDLE_NOT_FOUND: { status: 404, type: "invalid_request_error", code: "bundle_not_found" },
  QUOTA_EXCEEDED: { status: 429, type: "rate_limit_error", code: "quota_exceeded" },
  OUTPUT_INVALID: { status: 422, type: "invalid_output", code: "output_invalid" },
  OVERLOADED: { status: 429, type: "rate_limit_error", code: "overloaded" },
  HOST_REFUSED: { status: 502, type: "host_error", code: "host_refused" },
  HOST_PROTOCOL: { status: 502, type: "host_error", code: "host_protocol" },
  HOST_UNREACHABLE: { status: 502, type: "host_error", code: "host_unreachable" },
  ENGINE_CRASHED: { status: 502, type: "host_error", code: "engine_crashed" },
  BUNDLE_MISMATCH: { status: 502, type: "host_error", code: "bundle_mismatch" },
  ATTESTATION_UNAVAILABLE: { status: 502, type: "host_error", code: "attestation_unavailable" },
  ATTESTATION_INVALID: { status: 502, type: "host_error", code: "attestation_invalid" },
  ATTESTATION_NONCE: { status: 502, type: "host_error", code: "attestation_nonce" },
  ATTESTATION_MEASUREMENT: { status: 502, type: "host_error", code: "attestation_measurement" },
  ATTESTATION_DEBUG: { status: 502, type: "host_error", code: "attestation_debug" },
  ATTESTATION_REVOKED: { status: 502, type: "host_error", code: "attestation_revoked" },
  ATTESTATION_EXPIRED: { status: 502, type: "host_error", code: "attestation_expired" },
  ATTESTATION_TCB: { status: 502, type: "host_error", code: "attestation_tcb" },
  ATTESTATION_SIMULATOR: { status: 502, type: "host_error", code: "attestation_simulator" },
  HOST_LOADING: { status: 503, type: "unavailable_error", code: "host_loading" },
  HOST_TIMEOUT: { status: 504, type: "host_error", code: "host_timeout" },
};

const BODY_TOO_LARGE: Mapping = { status: 413, type: "invalid_request_error", code: "request_too_large" };
const INTERNAL: Mapping = { status: 500, type: "server_error", code: "internal" };

/** The HTTP status and body for anything that was thrown; a defect of ours says nothing about itself. */
export function describeError(error: unknown): { status: number; body: ErrorBody; code: ErrorCode } {
  if (!UnseenError.isInstance(error)) {
    const message = "the gateway failed. Report it with the steps that lead here.";
    return { status: INTERNAL.status, body: errorBody(message, INTERNAL, null), code: "INTERNAL" };
  }
  const mapping = error instanceof BodyTooLargeError ? BODY_TOO_LARGE : (mappings[error.code] ?? INTERNAL);
  const param = "param" in error && typeof error.param === "string" ? error.param || null : null;
  return { status: mapping.status, body: errorBody(error.line, mapping, param), code: error.code };
}

function errorBody(message: string, { type, code }: Mapping, param: string | null): ErrorBody {
  return { error: { message, type, param, code } };
}
