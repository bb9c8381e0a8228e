/**
 * Turns what goes wrong between client and host into errors with a stable code.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { HostResponse } from "./host-connection.ts";

/** Bytes of an answer that is not a stream (CWE-770): a list of models or an error. */
const MAXIMUM_ANSWER_BYTES = 1_000_000;
/** A host's own words are quoted no longer than this. */
const MAXIMUM_QUOTE = 200;

/** The error for an HTTP status other than 2xx. */
export async function refusal(url: string, response: HostResponse): Promise<UnseenError> {
  const body = await errorBody(response);
  const crash = engineCrash(url, body);
  if (crash) return crash;
  const quote = quoteHost(body);
  const said = quote ? `: ${quote}` : "";
  switch (response.status) {
    case 429:
      return new UnseenError("OVERLOADED", `the host at ${url} has a full queue.`, {
        hint: "Try again in a moment, or add a host.",
      });
    case 503:
      return new UnseenError("HOST_LOADING", `the host at ${url} is not ready yet.`, {
        hint: "Wait until its /health answers 200.",
      });
    case 401:
    case 403:
      return new UnseenError("HOST_REFUSED", `the host at ${url} wants another API key (status ${response.status}).`, {
        hint: "Give the host's key with --host-api-key.",
      });
    case 404:
      return new UnseenError("HOST_REFUSED", `the host at ${url} has no such path or model (status 404)${said}.`, {
        hint: "Check the address: it is the server's root, without /v1.",
      });
    default:
      return new UnseenError("HOST_REFUSED", `the host at ${url} answered with status ${response.status}${said}.`, {
        hint: "See the host's log.",
      });
  }
}

/** The error for an error event in mid-answer. */
export function failure(url: string, body: unknown): UnseenError {
  const quote = quoteHost(body) || "no reason given";
  return (
    engineCrash(url, body) ??
    new UnseenError("HOST_REFUSED", `the host at ${url} failed in mid-answer: ${quote}.`, { hint: "See the host's log." })
  );
}

/** Our own host says so when its inference engine's process ended; it restarts it. */
function engineCrash(url: string, body: unknown): UnseenError | null {
  const { error } = (body ?? {}) as { error?: { code?: unknown } | null };
  if (error?.code !== "ENGINE_CRASHED") return null;
  return new UnseenError("ENGINE_CRASHED", `the inference engine of the host at ${url} crashed; it is being restarted.`, {
    hint: "Try again in a moment, or add a host.",
  });
}

/** Names the failure of a connection; a host's or caller's own error passes unchanged. */
export function connectionError(url: string, error: unknown): unknown {
  if (UnseenError.isInstance(error)) return error;
  const { code } = (error ?? {}) as { code?: string };
  if (code?.startsWith("HPE_")) {
    return new UnseenError("HOST_PROTOCOL", `the host at ${url} does not speak HTTP/1.1 (${code}).`, {
      hint: "Check that the address is a token server's.",
      cause: error,
    });
  }
  if (code === "ECONNRESET" || code === "EPIPE") {
    return new UnseenError("HOST_UNREACHABLE", `the host at ${url} closed the connection.`, {
      hint: "See the host's log; it may be restarting.",
      cause: error,
    });
  }
  return new UnseenError("HOST_UNREACHABLE", `no host answers at ${url}${code ? ` (${code})` : ""}.`, {
    hint: "Start it with `unseen serve DIR`, or correct the address.",
    cause: error,
  });
}

/** Reads a JSON answer of limited size; `touch` is called for every piece of it. @throws UnseenError HOST_PROTOCOL. */
export async function readJson(
  url: string,
  response: HostResponse,
  maximumBytes = MAXIMUM_ANSWER_BYTES,
  touch = (): void => {},
): Promise<unknown> {
  const text = await readLimited(response, maximumBytes, touch);
  try {
    if (text !== null) return JSON.parse(text);
  } catch {
    // Falls through: the parser's message would quote the answer.
  }
  throw new UnseenError("HOST_PROTOCOL", `the host at ${url} did not answer with JSON.`, {
    hint: "Check that the address is a token server's.",
  });
}

async function readLimited(response: HostResponse, maximumBytes: number, touch: () => void): Promise<string | null> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body) {
    touch();
    bytes += part.length;
    if (bytes > maximumBytes) return null;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

async function errorBody(response: HostResponse): Promise<unknown> {
  try {
    return JSON.parse((await readLimited(response, MAXIMUM_ANSWER_BYTES, () => {})) ?? "null") as unknown;
  } catch {
    return null;
  }
}

/** The message of an OpenAI-shaped error body, made safe for a terminal (CWE-150); empty where there is none. */
function quoteHost(body: unknown): string {
  const outer = body as { error?: { message?: unknown } | string; message?: unknown } | null;
  const inner = typeof outer?.error === "object" ? outer.error?.message : (outer?.error ?? outer?.message);
  if (typeof inner !== "string") return "";
  // oxlint-disable-next-line no-control-regex -- removing control characters is the point
  const safe = inner.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g, " ").trim();
  return safe.length > MAXIMUM_QUOTE ? `${safe.slice(0, MAXIMUM_QUOTE)}…` : safe.replace(/\.$/, "");
}
