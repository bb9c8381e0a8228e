/**
 * The HTTP surface that every model has: health, version, metrics, models, API keys, limits and errors. What a model answers beside
 * that comes as routes. Nothing of a request is ever logged but its size and its outcome.
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { UnseenError } from "@unseen/core/errors.ts";
import { Hono, type Context } from "hono";
import { attestationFacts, attestationRoute, type Attestation } from "./attestation.ts";
import { loading, type Engine } from "./engine/keeper.ts";
import { describeError } from "./errors.ts";
import { VERSION } from "./version.ts";

/** Largest request body; a prompt of a million ids takes 8 MB (CWE-770). */
export const MAXIMUM_BODY_BYTES = 16 << 20;

/** Answers a POST whose body was JSON of allowed size. */
export type Route = (body: unknown, context: Context) => Response | Promise<Response>;

export interface ApplicationOptions {
  readonly engine: Engine;
  /** For `/version`: "llama.cpp". */
  readonly engineName: string;
  /** Name under which the model is served. */
  readonly name: string;
  /** Tokens of a sequence; null for models without tokens. */
  readonly maximumLength: number | null;
  /** What `/v1/models` says of the encryption; null for a plain model. */
  readonly facts: object | null;
  readonly apiKey: string | undefined;
  /** Keys inside an enclave, and evidence for them; null for a host without. */
  readonly attestation: Attestation | null;
  readonly log: (line: string) => void;
  /** POST routes by path. */
  readonly routes: Readonly<Record<string, Route>>;
  /** Paths that another kind of model would answer, and why this one does not. */
  readonly refused: Readonly<Record<string, string>>;
  /** The page that Prometheus reads. */
  metrics(): string;
}

/** The server's routes. */
export function createApplication(options: ApplicationOptions): Hono {
  const { engine, name, log, attestation } = options;
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

  if (attestation?.kind === "simulator") {
    application.use(async (context, next) => {
      await next();
      context.header("unseen-attestation", attestation.kind);
    });
  }
  const facts = attestation && attestationFacts(attestation);
  application.get("/health", (context) => {
    if (engine.state === "ready") return context.json({ status: "ok", ...facts });
    context.header("retry-after", "1");
    return context.json(
      {
        error: {
          ...describeError(loading()).body.error,
          message: engine.state === "loading" ? "Loading model" : "The engine is not running",
        },
        ...facts,
      },
      503,
    );
  });
  // Evidence comes before anything that is secret, the API key included.
  if (attestation) application.get("/v1/attestation", attestationRoute(attestation));
  // An orchestrator asks for health without a key; everything else says something about the model or its use.
  application.use(requireKey(options.apiKey));
  application.get("/version", (context) => context.json({ version: VERSION, engine: options.engineName }));
  application.get("/metrics", (context) =>
    context.text(options.metrics(), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }),
  );

  const card = {
    id: name,
    object: "model",
    created,
    owned_by: "unseen",
    root: name,
    parent: null,
    max_model_len: options.maximumLength,
    unseen: options.facts,
  };
  application.get("/v1/models", (context) => context.json({ object: "list", data: [card] }));
  application.get("/v1/models/:id{.+}", (context) => {
    requireModel(context.req.param("id"), name);
    return context.json(card);
  });

  for (const [path, route] of Object.entries(options.routes)) {
    application.post(path, async (context) => {
      // Any web page may send text/plain to a loopback port unasked; JSON needs the server's consent first (CWE-352).
      if (!/^application\/json\b/i.test(context.req.header("content-type") ?? ""))
        throw new UnseenError("REQUEST_INVALID", "content-type: expected application/json.");
      if (engine.state === "loading") throw loading();
      const text = await readLimited(context.req.raw);
      if (text === null) return tooLarge(context);
      return route(parseJson(text), context);
    });
  }
  for (const [path, reason] of Object.entries(options.refused)) {
    application.post(path, () => {
      throw new UnseenError("REQUEST_UNSUPPORTED", reason, { hint: "GET /v1/models tells what is served here." });
    });
  }
  return application;
}

/** @throws UnseenError `MODEL_NOT_FOUND` where another model was asked for than the one that is served */
export function requireModel(asked: string, name: string): void {
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
