/**
 * Accounts, models and versions.
 * @module
 */
import type { Hono } from "hono";
import { z } from "zod";
import { accountSchema, manifestSchema } from "../protocol.ts";
import type { Hub } from "./hub.ts";
import { Refusal } from "./refusal.ts";
import { readJson, requireAccount, type Environment } from "./request.ts";

/** Adds the routes of accounts and models. */
export function addCatalogueRoutes(application: Hono<Environment>, hub: Hub): void {
  const { accounts, catalogue } = hub;

  application.post("/v1/accounts", async (context) => {
    if (!context.get("isAdministrator"))
      throw new Refusal("UNAUTHORIZED", "making accounts needs the administrator's key.", {
        status: context.get("account") ? 403 : 401,
        hint: "It is in admin.key in the hub's data directory.",
      });
    const account = await readJson(context, accountSchema);
    return context.json({ ...account, key: await accounts.create(account) }, 201);
  });

  application.get("/v1/models", async (context) => context.json({ models: await catalogue.list() }));
  application.get("/v1/models/:name", async (context) => context.json(await catalogue.model(context.req.param("name"))));
  application.get("/v1/models/:name/versions/:version", async (context) =>
    context.json(await catalogue.version(context.req.param("version"), context.req.param("name"))),
  );
  application.post("/v1/models/:name/versions", async (context) => {
    const creator = requireAccount(context, "creator");
    const { manifest } = await readJson(context, z.strictObject({ manifest: manifestSchema }));
    if (manifest.name !== context.req.param("name")) throw new Refusal("REQUEST_INVALID", "manifest.name: expected the name in the path.");
    const { version, isNew } = await catalogue.publish(manifest, creator);
    return context.json({ version }, isNew ? 201 : 200);
  });
}
