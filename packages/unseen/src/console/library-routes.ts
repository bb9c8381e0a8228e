/**
 * Routes of the library: what can be asked now, models, keys, and what protection was measured to be worth. See the web package's
 * `protocol/library.ts`.
 * @module
 */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { readBody } from "@unseen/client/gateway/read-body.ts";
import { createKey, exportKey, loadKey } from "@unseen/client/keyring.ts";
import { parseRequest } from "@unseen/client/openai/parse.ts";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { parseReport } from "@unseen/lab/report/parse.ts";
import type { KeyRow, Status, Worth } from "@unseen/web/protocol/library.ts";
import { Hono } from "hono";
import { z } from "zod";
import { reportFile } from "../worth.ts";
import type { Console, ConsolePart } from "./console.ts";
import { deleteModel } from "./library/find-models.ts";
import { LibraryReader } from "./library/library.ts";
import { offeredRow } from "./library/status.ts";

/** Name of a key, as the keyring takes it. */
const keyName = z
  .string()
  .regex(
    /^(?![0-9a-f]{16}$)(?!.*\.age$)[A-Za-z0-9][\w.-]{0,63}$/,
    "must be up to 64 letters, digits, dots and hyphens, such as work or laptop-2",
  );
const passphrase = z.string().min(1, "must not be empty: that protects nothing").max(1024);
const newKeySchema = z.object({ name: keyName, passphrase: passphrase.optional() });
const keyExportSchema = z.object({ passphrase, current: passphrase.optional() });
const fingerprintSchema = z.string().regex(/^[0-9a-f]{32}$/, "must be 32 hexadecimal digits");

export function openLibrary(console: Console): ConsolePart {
  const { home, version, offer } = console;
  const library = new LibraryReader(home);
  const routes = new Hono();

  routes.get("/console/status", (context) => {
    const { preparing } = console;
    const status: Status = { version, models: offer.models.map(offeredRow), preparing, cpus: availableParallelism() };
    return context.json(status);
  });
  routes.get("/console/library", async (context) => context.json(await library.read()));

  routes.post("/console/keys", async (context) => {
    const { name, passphrase: given } = parseRequest(newKeySchema, await readBody(context));
    const { id, created } = await createKey(home, name, { passphrase: given });
    const row: KeyRow = { id, name, created, protection: given === undefined ? "identity" : "passphrase", models: [] };
    return context.json(row);
  });
  routes.post("/console/keys/:name/export", async (context) => {
    const name = parseRequest(keyName, context.req.param("name"));
    const { passphrase: seal, current } = parseRequest(keyExportSchema, await readBody(context));
    const text = await exportKey(home, await loadKey(home, name, { passphrase: current }), { passphrase: seal });
    return context.body(text, 200, {
      "content-type": "application/octet-stream",
      "content-disposition": `attachment; filename="${name}.age"`,
    });
  });

  routes.delete("/console/models", async (context) => {
    await deleteModel(home, parseRequest(z.string().min(1).max(4096), context.req.query("path")));
    return context.body(null, 204);
  });

  routes.get("/console/worth/:fingerprint", async (context) => {
    const worth: Worth | null = await library.worth(parseRequest(fingerprintSchema, context.req.param("fingerprint")));
    if (worth) return context.json(worth);
    throw new UnseenError("MODEL_NOT_FOUND", "the keyring has no bundle of this model.", { hint: "Encrypt it on this machine." });
  });
  routes.get("/console/reports/:fingerprint", async (context) => {
    const file = reportFile(home, parseRequest(fingerprintSchema, context.req.param("fingerprint")));
    return context.json(parseReport(await readReport(file)));
  });
  return { routes };
}

async function readReport(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw explainSystemError(error, file);
    throw new UnseenError("MODEL_NOT_FOUND", "this model was not attacked on this machine.", { hint: "Measure it first.", cause: error });
  }
}
