/**
 * Hosts, listed, added and removed.
 * @module
 */
import { readBody } from "@unseen/client/gateway/read-body.ts";
import { parseRequest } from "@unseen/client/openai/parse.ts";
import { Hono } from "hono";
import type { Console, ConsolePart } from "./console.ts";
import { AddedHosts } from "./hosts/added-hosts.ts";
import { hostUrl, MAXIMUM_BODY_BYTES, newHostSchema } from "./hosts/host-schema.ts";

/** Opens the routes and connects to the hosts that were added before. */
export function openHosts(console: Console): ConsolePart {
  const hosts = new AddedHosts(console);
  const routes = new Hono();
  routes.get("/console/hosts", async (context) => context.json({ hosts: await hosts.list() }));
  routes.post("/console/hosts", async (context) => {
    const { passphrase, ...kept } = parseRequest(newHostSchema, await readBody(context, MAXIMUM_BODY_BYTES));
    return context.json(await hosts.add(kept, passphrase));
  });
  routes.delete("/console/hosts", async (context) => {
    await hosts.remove(parseRequest(hostUrl, context.req.query("url")));
    return context.body(null, 204);
  });
  return { routes, close: () => hosts.close() };
}
