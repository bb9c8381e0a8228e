/**
 * The hub's HTTP surface: who may ask how often, what a refusal looks like, what is logged. What is asked for is in the routes.
 * @module
 */
import { Hono } from "hono";
import { routePath } from "hono/route";
import { UnseenError } from "@unseen/core/errors.ts";
import { isSameKey, presentedKey } from "./accounts.ts";
import { addBlobRoutes } from "./blob-routes.ts";
import { addCatalogueRoutes } from "./catalogue-routes.ts";
import type { Hub } from "./hub.ts";
import { addJobRoutes } from "./job-routes.ts";
import { addPages } from "./pages.ts";
import { Refusal, refusalOf } from "./refusal.ts";
import type { Environment, HubContext } from "./request.ts";
import { sqlState } from "./database.ts";
import { networkOf, TokenBuckets } from "./token-bucket.ts";

/** The server's routes. `log` gets a line for each request, without names, keys or content. */
export function createApplication(hub: Hub, log: (line: string) => void): Hono<Environment> {
  const application = new Hono<Environment>();

  application.onError((error, context) => {
    const { status, headers, body } = refusalOf(error);
    // An unknown error's message could quote a request: its name is enough to find it.
    if (status >= 500 && !UnseenError.isInstance(error)) log(`failure ${sqlState(error) ?? error.name} at ${routePath(context, -1)}`);
    for (const [name, value] of Object.entries(headers)) context.header(name, value);
    // The rest of a refused body is not read, which ends the connection: a client that kept it would fail with its next request.
    if (!["GET", "HEAD"].includes(context.req.method)) context.header("connection", "close");
    return context.json(body, status as 500);
  });
  application.notFound((context) => context.json(refusalOf(new Refusal("REQUEST_UNSUPPORTED", "there is no such path.")).body, 404));

  application.use("*", async (context, next) => {
    const start = performance.now();
    context.header("x-content-type-options", "nosniff");
    context.header("cache-control", "no-store");
    context.header("referrer-policy", "no-referrer");
    await next();
    const isSimulated = await hub.enclaves.hasSimulator();
    if (isSimulated) context.header("unseen-attestation", "simulator");
    const route = routePath(context, -1);
    hub.metrics.count(context.req.method, route, context.res.status);
    log(
      `${context.req.method} ${route} ${context.res.status} ${Math.round(performance.now() - start)} ms${isSimulated ? " (SIMULATOR)" : ""}`,
    );
  });
  application.get("/health", async (context) => {
    await hub.database.query("SELECT 1");
    return context.json({ status: "ok" });
  });
  application.use("*", admit(hub));
  application.get("/metrics", async (context) =>
    context.text(await hub.metrics.render(), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }),
  );
  addCatalogueRoutes(application, hub);
  addBlobRoutes(application, hub);
  addJobRoutes(application, hub);
  addPages(application, hub);
  return application;
}

/** Finds out who asks. Who shows no valid key counts by the connection's address, which a proxy in front must limit itself. */
function admit(hub: Hub): (context: HubContext, next: () => Promise<void>) => Promise<void> {
  const { accountBurst, accountPerSecond, addressBurst, addressPerSecond } = hub.settings;
  const accounts = new TokenBuckets(accountBurst, accountPerSecond);
  const addresses = new TokenBuckets(addressBurst, addressPerSecond);
  return async (context, next) => {
    const authorization = context.req.header("authorization");
    const key = presentedKey(authorization);
    const isAdministrator = key !== null && isSameKey(key, hub.adminKey);
    const account = key === null || isAdministrator ? null : await hub.accounts.find(key);
    if (account) accounts.take(account.name);
    else if (!isAdministrator) {
      addresses.take(networkOf(context.env?.incoming?.socket.remoteAddress ?? ""));
      if (authorization !== undefined)
        throw new Refusal("UNAUTHORIZED", "the API key is not of an account of this hub.", {
          hint: "Check the key.",
        });
    }
    context.set("account", account);
    context.set("isAdministrator", isAdministrator);
    await next();
  };
}
