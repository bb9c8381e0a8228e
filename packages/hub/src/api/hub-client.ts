/**
 * One party's connection to the hub. Every request can be repeated without harm, so a hub that is away for a while is waited for.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { errorCodes, UnseenError, type ErrorCode } from "@unseen/core/errors.ts";
import { z } from "zod";
import { limits, refusalSchema } from "../protocol.ts";

/** How long a hub may be away before a request fails: a restart takes seconds. */
const PATIENCE = 60_000; // ms
const FIRST_PAUSE = 200; // ms
const LONGEST_PAUSE = 3_000; // ms
/** What a request may take beyond the wait that it asks for. */
const TIMEOUT = 30_000; // ms
/** Answers that may break off before one is whole. */
const MAXIMUM_BREAKS = 5;

/** How one request differs from the others. */
export interface RequestOptions {
  /** Sent as JSON. */
  readonly body?: object;
  /** Sent as it is. */
  readonly bytes?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Seconds that the hub may hold the request. */
  readonly wait?: number;
  readonly signal?: AbortSignal | undefined;
  /** Statuses besides 2xx that are answers. */
  readonly accept?: readonly number[];
}

/** Speaks to one hub as one account. */
export class HubClient {
  readonly url: string;
  /** Milliseconds that a hub may be away. */
  readonly patience: number;
  readonly #apiKey: string | null;

  /**
   * @param apiKey null = what everybody may read
   * @throws UnseenError USAGE for an address that is none
   */
  constructor(url: string, apiKey: string | null, patience = PATIENCE) {
    const address = URL.parse(url);
    if (!address || !/^https?:$/.test(address.protocol) || address.username || address.password)
      throw new UnseenError("USAGE", "the hub's address must be http:// or https:// and hold no password.", {
        hint: "Give it with --hub.",
      });
    this.url = address.href.replace(/\/$/, "");
    this.#apiKey = apiKey;
    this.patience = patience;
  }

  /** JSON of one answer, checked. @throws UnseenError HUB_UNREACHABLE, HUB_REFUSED, or the code that the hub gave */
  async json<Schema extends z.ZodType>(
    method: string,
    path: string,
    schema: Schema,
    options: RequestOptions = {},
  ): Promise<z.infer<Schema>> {
    const { bytes } = await this.whole(method, path, limits.jsonBytes * 2, options);
    const parsed = schema.safeParse(parseJson(new TextDecoder().decode(bytes)));
    if (!parsed.success)
      throw new UnseenError("HUB_REFUSED", "the hub's answer does not follow the protocol.", {
        hint: "Check that --hub is a model hub of this version.",
      });
    return parsed.data;
  }

  /** One answer and its body of at most so many bytes; asked for again where the connection breaks within it. Throws as {@link json}. */
  async whole(
    method: string,
    path: string,
    maximum: number,
    options: RequestOptions = {},
  ): Promise<{ readonly answer: Response; readonly bytes: Uint8Array }> {
    for (let breaks = 1; ; breaks++) {
      const answer = await this.send(method, path, options);
      try {
        return { answer, bytes: await readLimited(answer, maximum) };
      } catch (error) {
        options.signal?.throwIfAborted();
        if (UnseenError.isInstance(error)) throw error;
        if (breaks === MAXIMUM_BREAKS) throw unreachable(this.url, error);
      }
    }
  }

  /** One answer with a status of 2xx or one that is accepted. Throws as {@link json}. */
  async send(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const deadline = performance.now() + this.patience;
    for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      const answer = await this.#attempt(method, path, options).catch((error: unknown) => {
        options.signal?.throwIfAborted();
        return error instanceof Error ? error : new Error("no answer");
      });
      const mayReturn = answer instanceof Error || answer.status === 429 || answer.status === 502 || answer.status === 503;
      if (!mayReturn || performance.now() + pause > deadline) {
        if (answer instanceof Error) throw unreachable(this.url, answer);
        if (answer.ok || options.accept?.includes(answer.status)) return answer;
        throw await refusal(answer);
      }
      if (!(answer instanceof Error)) await answer.body?.cancel();
      await sleep(retryAfter(answer) ?? pause, undefined, options.signal ? { signal: options.signal } : {});
    }
  }

  async #attempt(method: string, path: string, { body, bytes, headers, wait = 0, signal }: RequestOptions): Promise<Response> {
    const timeout = AbortSignal.timeout(TIMEOUT + wait * 1000);
    return fetch(this.url + path, {
      method,
      // A redirect could carry sealed blobs and the API key elsewhere.
      redirect: "error",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      headers: {
        ...(this.#apiKey === null ? {} : { authorization: `Bearer ${this.#apiKey}` }),
        ...(body ? { "content-type": "application/json" } : bytes ? { "content-type": "application/octet-stream" } : {}),
        ...headers,
      },
      ...(body ? { body: JSON.stringify(body) } : bytes ? { body: bytes as Uint8Array<ArrayBuffer> } : {}),
    });
  }
}

/** A body of at most so many bytes (CWE-400). @throws UnseenError HUB_REFUSED beyond it */
async function readLimited(response: Response, maximum: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > maximum)
      throw new UnseenError("HUB_REFUSED", `the hub sends more than ${maximum} bytes.`, { hint: "Check that --hub is a model hub." });
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}

function parseJson(text: string): unknown {
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function retryAfter(answer: Response | Error): number | null {
  const seconds = answer instanceof Error ? Number.NaN : Number(answer.headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds * 1000, FIRST_PAUSE), LONGEST_PAUSE) : null;
}

function unreachable(url: string, cause: unknown): UnseenError {
  return new UnseenError("HUB_UNREACHABLE", `no answer from the hub at ${url}.`, {
    hint: "Check the address, and that `unseen hub serve` runs there.",
    cause,
  });
}

async function refusal(answer: Response): Promise<UnseenError> {
  const body = refusalSchema.safeParse(
    parseJson(new TextDecoder().decode(await readLimited(answer, 65_536).catch(() => new Uint8Array()))),
  );
  if (!body.success)
    return new UnseenError("HUB_REFUSED", `the hub answered with status ${answer.status}.`, { hint: "Check that --hub is a model hub." });
  const { code, message, hint } = body.data.error;
  const known = Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : "HUB_REFUSED";
  return new UnseenError(known, oneLine(message), hint ? { hint: oneLine(hint) } : {});
}

/** The hub's words end up on a terminal. */
function oneLine(text: string): string {
  return text.replaceAll(/\p{C}+/gu, " ").slice(0, 500);
}
