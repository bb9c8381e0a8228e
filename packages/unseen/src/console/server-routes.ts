/**
 * Two servers instead of a host: switched on and off, and what each of them sees.
 * @module
 */
import { readBody } from "@unseen/client/gateway/read-body.ts";
import { parseRequest } from "@unseen/client/openai/parse.ts";
import type { ServerSight } from "@unseen/shares/client/pair-witness.ts";
import type { ServerRow, ServerView, TwoServers } from "@unseen/web/protocol/library.ts";
import { Hono } from "hono";
import { z } from "zod";
import { pairOf, type SharePair } from "../shares/share-pair.ts";
import type { Console, ConsolePart } from "./console.ts";
import { hostUrl, MAXIMUM_BODY_BYTES } from "./hosts/host-schema.ts";
import { closeModel, renamed } from "./hosts/join-offer.ts";
import { openKeyWith } from "./open-key.ts";
import { failureOf } from "./site.ts";

/** How long a page waits for a server; milliseconds. */
const PATIENCE = 2_000;

const newServersSchema = z.strictObject({
  urls: z.tuple([hostUrl, hostUrl]),
  model: z.string().min(1).max(256).optional(),
  allowSameOperator: z.boolean(),
  passphrase: z.string().max(4096).optional(),
});

/** Opens the routes. A pair that the gateway was started with is shown and can be switched off, too. */
export function openServers(console: Console): ConsolePart {
  const { home, offer, note } = console;
  const routes = new Hono();
  /** Changes come one after the other. */
  let queue: Promise<unknown> = Promise.resolve();
  const change = <T>(action: () => Promise<T>): Promise<T> => {
    const result = queue.then(action);
    queue = result.catch(() => {});
    return result;
  };
  const switchOff = (): void => {
    for (const model of offer.models) {
      if (!model.engines.some(pairOf)) continue;
      offer.remove(model.id);
      closeModel(model);
    }
  };

  routes.get("/console/servers", async (context) => context.json({ servers: await show(console) }));
  routes.put("/console/servers", async (context) => {
    const { urls, model, allowSameOperator, passphrase } = parseRequest(newServersSchema, await readBody(context, MAXIMUM_BODY_BYTES));
    await change(async () => {
      // Loaded here, because other models do without the forward pass.
      const { connectShares } = await import("../shares/connect-shares.ts");
      const flags = { shares: urls, allowSameOperator, ...(model === undefined ? {} : { model: [model] }) };
      const connected = await connectShares(home, flags, note, openKeyWith(passphrase));
      switchOff();
      offer.add(renamed(connected, `${connected.bundle.name}@two-servers`));
    });
    return context.json(await show(console));
  });
  routes.delete("/console/servers", async (context) => {
    await change(async () => switchOff());
    return context.body(null, 204);
  });
  return { routes, close: () => change(async () => {}) };
}

async function show({ offer }: Console): Promise<TwoServers | null> {
  for (const { id, engines } of offer.models) {
    const pair = engines.map(pairOf).find((one) => one !== null);
    if (pair) return describe(id, pair);
  }
  return null;
}

async function describe(model: string, pair: SharePair): Promise<TwoServers> {
  // Looking costs a moment for each byte, so that only who asks pays for it.
  pair.watch();
  const health = await pair.health(PATIENCE);
  const { servers, checked, violation, roundTrips, secondsWaiting } = pair.statistics;
  const { sights } = pair;
  const row = (index: 0 | 1): ServerRow => ({
    url: pair.urls[index],
    state: health[index] ? "up" : "down",
    sentBytes: servers[index]?.sent ?? 0,
    receivedBytes: servers[index]?.received ?? 0,
    last: sights && viewOf(sights[index]),
  });
  return {
    model,
    sameOperator: pair.sameOperator,
    servers: [row(0), row(1)],
    checked,
    violation: violation && failureOf(violation),
    roundTrips,
    secondsWaiting,
  };
}

function viewOf({ sample, ...figures }: ServerSight): ServerView {
  return { ...figures, sample: Buffer.from(sample).toString("base64") };
}
