/**
 * What the console's conversations take: the bodies and queries of their routes, and how large each may be.
 * @module
 */
import { readBodyText } from "@unseen/client/gateway/read-body.ts";
import { folderSchema, settingsSchema, titleSchema } from "@unseen/client/conversations/message.ts";
import { parseJson, parseRequest } from "@unseen/client/openai/parse.ts";
import type { Context } from "hono";
import { z } from "zod";

/** Bytes of a body with settings (CWE-770): a system message of a million characters, escaped. */
const SETTINGS_BYTES = 8 * 1024 * 1024;
/** Bytes of a body with a question: eight megabytes, each character escaped. */
const QUESTION_BYTES = 64 * 1024 * 1024;
/** Bytes of an imported file. */
const IMPORT_BYTES = 128 * 1024 * 1024;
/** Messages of a page. */
const PAGE = 100;
const LARGEST_PAGE = 500;

const identifier = z.string().min(1).max(64);

export const unlockSchema = z.object({ passphrase: z.string().max(1024) });
export const passphraseSchema = z.object({ passphrase: z.string().min(1, "must not be empty").max(1024).nullable() });

export const conversationSchema = z.object({
  title: titleSchema.exactOptional(),
  folder: folderSchema.nullable().exactOptional(),
  settings: settingsSchema.exactOptional(),
});

export const folderChangeSchema = z.object({ from: folderSchema, to: folderSchema.nullable() });
export const currentSchema = z.object({ message: identifier });

export const newTurnSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("say"), parent: identifier.nullable(), content: z.string() }),
  z.object({ kind: z.literal("regenerate"), answer: identifier }),
  z.object({ kind: z.literal("continue"), answer: identifier }),
]);

const count = z
  .string()
  .regex(/^\d{1,4}$/, "must be a whole number")
  .transform(Number)
  .pipe(z.number().min(1).max(LARGEST_PAGE));
export const pageSchema = z.object({ before: identifier.exactOptional(), limit: count.default(PAGE) });

/** A body that fits a schema. @throws RequestError REQUEST_INVALID, REQUEST_TOO_LARGE. */
export async function readSmall<Schema extends z.ZodType>(context: Context, schema: Schema): Promise<z.output<Schema>> {
  return parseRequest(schema, parseJson(await readBodyText(context, SETTINGS_BYTES, "Shorten the system message.")));
}

/** Something to answer. @throws RequestError REQUEST_INVALID, REQUEST_TOO_LARGE. */
export async function readTurn(context: Context): Promise<z.output<typeof newTurnSchema>> {
  return parseRequest(
    newTurnSchema,
    parseJson(await readBodyText(context, QUESTION_BYTES, "Say it in parts, or leave out what does not matter.")),
  );
}

/** A file's text. @throws RequestError REQUEST_TOO_LARGE. */
export function readImport(context: Context): Promise<string> {
  return readBodyText(context, IMPORT_BYTES, "Split the export into several files.");
}
