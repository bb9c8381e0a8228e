/**
 * Errors as HTTP: a status, and a body by `refusalSchema`. What happened on the hub's side is not its parties' business.
 * @module
 */
import { UnseenError, type ErrorCode, type UnseenErrorOptions } from "@unseen/core/errors.ts";
import { sqlState } from "./database.ts";

const statuses: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: 400,
  UNAUTHORIZED: 401,
  MODEL_NOT_FOUND: 404,
  JOB_NOT_FOUND: 404,
  DOWNLOAD_FAILED: 404,
  REQUEST_UNSUPPORTED: 404,
  CONFLICT: 409,
  REQUEST_TOO_LARGE: 413,
  CUT_UNAVAILABLE: 422,
  QUOTA_EXCEEDED: 429,
  OVERLOADED: 503,
  HOST_UNREACHABLE: 503,
  HOST_TIMEOUT: 504,
  DISK_FULL: 507,
};

/** An error whose status is another than its code's, or that comes with headers. */
export class Refusal extends UnseenError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: ErrorCode,
    message: string,
    { status, headers = {}, ...options }: UnseenErrorOptions & { status?: number; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(code, message, options);
    this.status = status ?? statuses[code] ?? 500;
    this.headers = headers;
  }
}

/** How a request that threw is answered. */
export interface RefusalAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: { readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } };
}

/** Status, headers and body for anything that was thrown. */
export function refusalOf(error: unknown): RefusalAnswer {
  const known = UnseenError.isInstance(error) && error.code !== "PERMISSION_DENIED" ? error : fromSystem(error);
  const status = known instanceof Refusal ? known.status : (statuses[known.code] ?? 500);
  return {
    status,
    headers: {
      ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
      ...(status === 429 || status === 503 ? { "retry-after": "1" } : {}),
      ...(known instanceof Refusal ? known.headers : {}),
    },
    body: { error: { code: known.code, message: known.message, hint: known.hint ?? null } },
  };
}

function fromSystem(error: unknown): UnseenError {
  const code = (error as { code?: unknown } | null)?.code;
  const state = sqlState(error);
  if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG" || state === "53100")
    return new UnseenError("DISK_FULL", "the hub's disk is full; nothing half-written was kept.", { hint: "Try again later." });
  // Classes 08, 53, 57: connections, resources, an administrator's stop. ECONN...: no server at all.
  if ((state && /^(?:08|53|57)/.test(state)) || (typeof code === "string" && /^(?:ECONN|EPIPE|ETIMEDOUT|EAI_)/.test(code)))
    return new UnseenError("OVERLOADED", "the hub's database does not answer.", { hint: "Try again in a moment." });
  return new UnseenError("INTERNAL", "the hub failed.", { hint: "Its log has the error's name." });
}
