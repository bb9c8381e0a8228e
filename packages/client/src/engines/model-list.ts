/**
 * Asks a host what it serves: `GET /v1/models`, which all dialects share.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";
import type { HostAttestation } from "./attested-connection.ts";
import type { HostFacts } from "./engine.ts";
import type { HostConnection, HostResponse } from "./host-connection.ts";
import { connectionError, readJson, refusal } from "./host-error.ts";
import { Watchdog } from "./watchdog.ts";

/** Where a host is and how it is reached. */
export interface HostAddress {
  /** Root of the server, with or without a final `/v1`. */
  readonly url: string;
  readonly apiKey?: string;
  /** Milliseconds without a byte before a host counts as hung. */
  readonly silence?: number;
  /** What the host must prove first. */
  readonly attestation?: HostAttestation | undefined;
}

/** Long enough to read a long prompt on a slow machine before the first token. */
export const DEFAULT_SILENCE = 120_000; // ms
const PROBE_TIMEOUT = 10_000; // ms

const modelList = z.object({
  data: z
    .array(
      z.object({
        id: z.string().max(1024),
        owned_by: z.string().nullish(),
        max_model_len: z.int().positive().nullish(),
        unseen: z.object({ fingerprint: z.string().nullish(), vocabularySize: z.int().nonnegative().nullish() }).nullish(),
      }),
    )
    .max(10_000),
});

/** A host's root without what people append to it. */
export function hostRoot(url: string): string {
  return url.replace(/\/+$/, "").replace(/\/v1$/, "");
}

/** What the host serves. @throws UnseenError HOST_UNREACHABLE, HOST_LOADING, HOST_REFUSED, HOST_PROTOCOL, HOST_TIMEOUT. */
export async function listHostModels(url: string, connection: HostConnection, silence: number, signal?: AbortSignal): Promise<HostFacts> {
  const watchdog = new Watchdog(Math.min(PROBE_TIMEOUT, silence), `the host at ${url}`, signal);
  let response: HostResponse | undefined;
  try {
    response = await connection.get("/v1/models", watchdog.signal);
    if (!response.ok) throw await refusal(url, response);
    const list = modelList.safeParse(await readJson(url, response));
    if (!list.success) throw protocolViolation(url, "its list of models has another form");
    const engine = list.data.data[0]?.owned_by ?? "unknown";
    const models = list.data.data.map((row) => ({
      id: row.id,
      ...(row.max_model_len ? { contextLength: row.max_model_len } : {}),
      ...(row.unseen?.fingerprint ? { fingerprint: row.unseen.fingerprint } : {}),
      ...(typeof row.unseen?.vocabularySize === "number" ? { vocabularySize: row.unseen.vocabularySize } : {}),
    }));
    return { models, engine };
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw connectionError(url, watchdog.signal.aborted ? watchdog.signal.reason : error);
  } finally {
    watchdog.stop();
    response?.finish();
  }
}

/** The error for an answer that says something which cannot be. */
export function protocolViolation(url: string, what: string, hint = "Check that the address is a token server's."): UnseenError {
  return new UnseenError("HOST_PROTOCOL", `the host at ${url} violates the protocol: ${what}.`, { hint });
}
