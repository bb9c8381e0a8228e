/**
 * The OpenAI-compatible gateway: text and pictures on this side, token ids under a secret substitution and encrypted numbers on the hosts' side.
 * @module
 */
import { Hono } from "hono";
import { cors } from "hono/cors";
import { routePath } from "hono/route";
import type { WireEvent } from "../engines/blind.ts";
import { describeError, RequestError } from "../openai/errors.ts";
import { freshId } from "../openai/identifiers.ts";
import { chatRoute } from "./chat-route.ts";
import { completionRoute } from "./completion-route.ts";
import { classifyRoute, embeddingsRoute, rerankRoute } from "./encoder-routes.ts";
import { Exchange, type Gateway, type GatewayEnvironment, type LogEntry } from "./exchange.ts";
import { guard, guardAddress, loopbackNames, presentedKey } from "./guard.ts";
import { Metrics } from "./metrics.ts";
import type { GatewayModel, OfferedModel } from "./model.ts";
import { listModelsRoute, showModelRoute } from "./model-routes.ts";
import { Offer } from "./offer.ts";
import { responsesRoute } from "./responses-route.ts";
import { applyTemplateRoute, detokenizeRoute, tokenizeRoute } from "./token-routes.ts";

export interface GatewayOptions {
  readonly models: Offer | readonly (GatewayModel | OfferedModel)[];
  /** Demanded from every client when set. */
  readonly apiKey?: string | undefined;
  /** Names under which the gateway may be addressed; by default this machine's names for itself, null accepts any. */
  readonly hostNames?: readonly string[] | null | undefined;
  /** Origins of web pages that may call; by default none. */
  readonly origins?: readonly string[] | undefined;
  /** Gets one entry per request, without content. */
  readonly log?: ((entry: LogEntry) => void) | undefined;
  /** Gets the cipher ids and encrypted numbers that hosts receive and send, for showing them to the key holder. */
  readonly onWire?: ((event: WireEvent) => void) | undefined;
  /** Pages that the gateway serves beside the API. */
  readonly site?: Site | undefined;
}

/** Pages and what they call. It checks itself who asks; under which name the gateway is addressed is checked before. */
export interface Site {
  /** Whether a path is one of its own. */
  owns(path: string): boolean;
  fetch(request: Request): Response | Promise<Response>;
}

/** Builds the gateway as a web-standard application; it asks no host before the first request. */
export function createGateway(options: GatewayOptions): Hono<GatewayEnvironment> {
  const origins = options.origins ?? [];
  const rules = {
    apiKey: options.apiKey,
    origins,
    hostNames: options.hostNames === null ? null : new Set([...loopbackNames, ...(options.hostNames ?? [])]),
  };
  const offer = options.models instanceof Offer ? options.models : new Offer(options.models);
  const gateway: Gateway = {
    get models() {
      return offer.models;
    },
    metrics: new Metrics(),
    log: options.log ?? (() => {}),
    onWire: options.onWire,
  };
  const application = new Hono<GatewayEnvironment>();

  application.onError((error, context) => {
    const { status, body } = describeError(error);
    if (status === 429 || status === 503) context.header("retry-after", "1");
    return context.json(body, status as 500);
  });
  application.notFound((context) =>
    context.json(
      describeError(
        new RequestError("REQUEST_UNSUPPORTED", "path", "this gateway has no such path.", { hint: "See docs/reference/gateway-api.md." }),
      ).body,
      404,
    ),
  );

  application.use("*", async (context, next) => {
    await next();
    if (gateway.models.some(({ engines }) => engines.some(({ attestation }) => attestation?.simulated)))
      context.header("unseen-attestation", "simulator");
  });
  // Alive, and no word about what is served: open to anyone who may reach the port.
  application.get("/health", (context) => context.json({ status: "ok" }));

  const { site } = options;
  if (site) {
    application.use("*", async (context, next) => {
      if (!site.owns(context.req.path)) return next();
      guardAddress(context.req.raw, rules);
      return site.fetch(context.req.raw);
    });
  }

  application.use("*", async (context, next) => {
    const exchange = new Exchange(gateway, context.req.method, presentedKey(context.req.raw), context.req.raw.signal);
    context.set("exchange", exchange);
    context.header("x-request-id", freshId("req_"));
    await next();
    if (!exchange.streaming) exchange.end(routePath(context, -1), context.res.status, context.error);
  });
  if (origins.length > 0) application.use("*", cors({ origin: [...origins] }));
  application.use("*", async (context, next) => {
    guard(context.req.raw, rules);
    await next();
  });
  application.get("/v1/models", listModelsRoute(gateway));
  application.get("/v1/models/*", showModelRoute);
  application.post("/v1/chat/completions", chatRoute);
  application.post("/v1/completions", completionRoute);
  application.post("/v1/responses", responsesRoute);
  application.post("/v1/embeddings", embeddingsRoute);
  application.post("/classify", classifyRoute);
  application.post("/v1/rerank", rerankRoute);
  application.post("/rerank", rerankRoute);
  application.post("/tokenize", tokenizeRoute);
  application.post("/detokenize", detokenizeRoute);
  application.post("/apply-template", applyTemplateRoute);
  application.get("/metrics", (context) =>
    context.text(gateway.metrics.render(), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }),
  );
  return application;
}
