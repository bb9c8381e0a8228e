/**
 * The HTTP surface: completions, models, health, version, metrics. Nothing of a request is ever logged but its size and its outcome.
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { UnseenError } from "@unseen/core/errors.ts";
import { Hono, type Context } from "hono";
import type { ServableModel } from "./admit.ts";
import { complete, streamCompletion, type CompletionContext } from "./completions.ts";
import { loading, type EngineSupervisor } from "./engine/supervisor.ts";
import { describeError } from "./errors.ts";
import type { Metrics } from "./metrics.ts";
import { parseCompletionRequest, type RequestLimits } from "./request.ts";
import { VERSION } from "./version.ts";

/** Largest request body; a prompt of a million ids takes 8 MB (CWE-770). */
const MAXIMUM_BODY_BYTES = 16 << 20;

export interface ApplicationOptions {
  readonly engine: EngineSupervisor;
  readonly metrics: Metrics;
  readonly model: ServableModel;
  /** Name under which the model is served. */
  readonly name: string;
  readonly contextLength: number;
  readonly maximumSequences: number;
  readonly apiKey: string | undefined;
  readonly log: (line: string) => void;
}

/** The server's routes. */
export function createApplication(options: ApplicationOptions): Hono {
  const { engine, metrics, model, name, log } = options;
  const completion: CompletionContext = { engine, metrics, model: name };
  const limits: RequestLimits = {
    vocabularySize: model.vocabularySize,
    contextLength: options.contextLength,
    eosIds: model.eosIds,
    maximumSequences: options.maximumSequences,
  };
  const created = Math.floor(Date.now() / 1000);
  const application = new Hono();

  application.onError((error, context) => {
    // An unknown error's message could quote a request: its class name is enough to find it.
    if (!UnseenError.isInstance(error)) log(`defect ${error.name} at ${context.req.method} ${context.req.routePath}`);
    const { status, body } = describeError(error);
    if (status === 429 || status === 503) context.header("retry-after", "1");
    if (status === 401) context.header("www-authenticate", "Bearer");
    return context.json(body, status);
  });
  application.notFound((context) =>
    context.json(
      { error: { message: "There is no such endpoint.", type: "not_found_error", param: null, code: "REQUEST_UNSUPPORTED" } },
      404,
    ),
  );

  application.get("/health", (context) => {
    if (engine.state === "ready") return context.json({ status: "ok" });
    context.header("retry-after", "1");
    return context.json(
      {
        error: {
          ...describeError(loading()).body.error,
          message: engine.state === "loading" ? "Loading model" : "The engine is not running",
        },
      },
      503,
    );
  });
  // An orchestrator asks for health without a key; everything else says something about the model or its use.
  application.use(requireKey(options.apiKey));
  application.get("/version", (context) => context.json({ version: VERSION, engine: "llama.cpp" }));
  application.get("/metrics", (context) =>
    context.text(metrics.render(engine.counts), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }),
  );

  const card = {
    id: name,
    object: "model",
    created,
    owned_by: "unseen",
    root: name,
    parent: null,
    max_model_len: options.contextLength,
    unseen: model.manifest && publicFacts(model.manifest),
  };
  application.get("/v1/models", (context) => context.json({ object: "list", data: [card] }));
  application.get("/v1/models/:id{.+}", (context) => {
    requireModel(context.req.param("id"), name);
    return context.json(card);
  });

  application.post("/v1/completions", async (context) => {
    // Any web page may send text/plain to a loopback port unasked; JSON needs the server's consent first (CWE-352).
    if (!/^application\/json\b/i.test(context.req.header("content-type") ?? ""))
      throw new UnseenError("REQUEST_INVALID", "content-type: expected application/json.");
    if (engine.state === "loading") throw loading();
    const text = await readLimited(context.req.raw);
    if (text === null) return tooLarge(context);
    const request = parseCompletionRequest(parseJson(text), limits);
    if (request.model !== undefined) requireModel(request.model, name);
    const { signal } = context.req.raw;
    if (!request.stream) return context.json(await complete(completion, request, signal));
    const body = streamCompletion(completion, request, signal);
    return context.body(body, 200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "transfer-encoding": "chunked",
    });
  });
  return application;
}

/** What `/v1/models` says of a manifest. */
function publicFacts({ fingerprint, vocabularySize, strength, family }: NonNullable<ServableModel["manifest"]>): object {
  return { fingerprint, vocabularySize, strength, family };
}

function requireModel(asked: string, name: string): void {
  if (asked !== name)
    throw new UnseenError("MODEL_NOT_FOUND", "model: no such model is served here.", { hint: "GET /v1/models lists it." });
}

/** The body of limited size, or null where it is larger. */
async function readLimited(request: Request): Promise<string | null> {
  const length = request.headers.get("content-length");
  if (length !== null && !request.headers.has("transfer-encoding")) {
    // The server's parser lets no more through than was announced.
    return Number(length) > MAXIMUM_BODY_BYTES ? null : request.text();
  }
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of request.body ?? []) {
    bytes += part.length;
    if (bytes > MAXIMUM_BODY_BYTES) return null;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UnseenError("REQUEST_INVALID", "the body is not valid JSON.");
  }
}

function tooLarge(context: Context): Response {
  const body = describeError(new UnseenError("REQUEST_TOO_LARGE", `the body: expected at most ${MAXIMUM_BODY_BYTES} bytes.`)).body;
  return context.json(body, 413);
}

/** Compares digests, so that neither length nor content of the key shows in the time it takes (CWE-208). */
function requireKey(apiKey: string | undefined): (context: Context, next: () => Promise<void>) => Promise<void> {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  const expected = apiKey === undefined ? null : digest(apiKey);
  return async (context, next) => {
    const given = /^Bearer (.+)$/i.exec(context.req.header("authorization") ?? "")?.[1] ?? "";
    if (expected && !timingSafeEqual(expected, digest(given))) {
      throw new UnseenError("UNAUTHORIZED", "the API key is missing or wrong.", {
        hint: "Send `Authorization: Bearer KEY` with the host's key.",
      });
    }
    await next();
  };
}
