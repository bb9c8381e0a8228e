/**
 * The pages and the console behind them, as one site that the gateway serves.
 * @module
 */
import type { Site } from "@unseen/client/gateway/gateway.ts";
import { describeError } from "@unseen/client/openai/errors.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { WebAssets } from "@unseen/web/assets.ts";
import type { Failure } from "@unseen/web/protocol/failure.ts";
import { Hono } from "hono";
import { requireAccess } from "./access.ts";
import type { ConsolePart } from "./console.ts";

const CONSOLE = "/console/";

export interface SiteOptions {
  readonly accessCode: string;
  readonly assets: WebAssets;
  readonly parts: readonly ConsolePart[];
}

/** Puts pages and routes together. */
export function createSite({ accessCode, assets, parts }: SiteOptions): Site {
  const application = new Hono();
  application.onError((error, context) => context.json({ error: failureOf(error) }, describeError(error).status as 500));
  application.notFound((context) =>
    context.json(
      { error: failureOf(new UnseenError("REQUEST_UNSUPPORTED", "the console has no such path.", { hint: "Load the page again." })) },
      404,
    ),
  );
  application.use("*", async (context, next) => {
    requireAccess(context.req.raw, accessCode);
    await next();
    context.header("cache-control", "no-store");
  });
  for (const { routes } of parts) application.route("/", routes);
  return {
    owns: (path) => path.startsWith(CONSOLE) || assets.owns(path),
    fetch: (request) => (new URL(request.url).pathname.startsWith(CONSOLE) ? application.fetch(request) : assets.respond(request)),
  };
}

/** What a page is told; a defect of ours says nothing about itself. */
export function failureOf(error: unknown): Failure {
  if (!UnseenError.isInstance(error))
    return { code: "INTERNAL", message: "the gateway failed.", hint: "Report it with the steps that lead here." };
  return { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
}
