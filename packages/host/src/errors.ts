/**
 * Errors as HTTP: status and OpenAI's body. The codes are those of `docs/reference/errors.md`.
 * @module
 */
import { UnseenError, type ErrorCode } from "@unseen/core/errors.ts";

const statuses: Partial<Record<ErrorCode, 400 | 401 | 404 | 413 | 429 | 500 | 503>> = {
  REQUEST_INVALID: 400,
  REQUEST_UNSUPPORTED: 400,
  REQUEST_TOO_LARGE: 400,
  TOKEN_OUT_OF_RANGE: 400,
  UNAUTHORIZED: 401,
  MODEL_NOT_FOUND: 404,
  OVERLOADED: 429,
  ENGINE_CRASHED: 500,
  HOST_LOADING: 503,
  ATTESTATION_UNAVAILABLE: 503,
};

const types: Record<number, string> = {
  400: "invalid_request_error",
  401: "authentication_error",
  404: "not_found_error",
  413: "invalid_request_error",
  429: "rate_limit_error",
  500: "server_error",
  503: "unavailable_error",
};

export interface ErrorBody {
  readonly error: { readonly message: string; readonly type: string; readonly param: string | null; readonly code: string };
}

/** Status and body for anything that was thrown; unknown errors keep their message to themselves. */
export function describeError(error: unknown): { status: 400 | 401 | 404 | 413 | 429 | 500 | 503; body: ErrorBody } {
  const known = UnseenError.isInstance(error)
    ? error
    : new UnseenError("INTERNAL", "the server failed.", { hint: "Its log has the error's name." });
  const status = statuses[known.code] ?? 500;
  // "max_tokens: ..." and "prompt[3]: ..." name the field that the client must change.
  const param = status === 400 ? (/^([a-z_]+)(?:\[\d+\])*:/.exec(known.message)?.[1] ?? null) : null;
  return { status, body: { error: { message: known.line, type: types[status]!, param, code: known.code } } };
}
