/**
 * What every route does with a request: who asks, what the body is, how long it may wait.
 * @module
 */
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { z } from "zod";
import { limits, type Role } from "../protocol.ts";
import type { Account } from "./accounts.ts";
import { Refusal } from "./refusal.ts";

/** Nesting of a JSON body (CWE-674): a deeper one could not be written again. */
const MAXIMUM_DEPTH = 64;

/** What the application's routes know of a request. */
export interface Environment {
  readonly Bindings: Partial<HttpBindings>;
  readonly Variables: {
    /** Null where no key was shown, and for the administrator. */
    account: Account | null;
    isAdministrator: boolean;
  };
}

/** One request and its answer. */
export type HubContext = Context<Environment>;

/** The account that asks. @throws UnseenError UNAUTHORIZED (401 without a key, 403 for another role) */
export function requireAccount(context: HubContext, ...allowed: readonly Role[]): Account {
  const account = context.get("account");
  if (account === null)
    throw new Refusal("UNAUTHORIZED", "this needs the API key of an account.", { hint: "Send it as `Authorization: Bearer KEY`." });
  if (allowed.length > 0 && !allowed.includes(account.role))
    throw new Refusal("UNAUTHORIZED", `expected the key of an account that is ${allowed.join(" or ")}, got one of a ${account.role}.`, {
      status: 403,
      hint: "Use another account.",
    });
  return account;
}

/** The body, checked. @throws UnseenError REQUEST_INVALID, REQUEST_TOO_LARGE */
export async function readJson<Schema extends z.ZodType>(context: HubContext, schema: Schema): Promise<z.infer<Schema>> {
  // A page may send other types to any address unasked (CWE-352).
  if (!/^application\/json *(?:;|$)/i.test(context.req.header("content-type") ?? ""))
    throw new Refusal("REQUEST_INVALID", "content-type: expected application/json.");
  const text = await readText(context);
  if (depthOf(text) > MAXIMUM_DEPTH)
    throw new Refusal("REQUEST_INVALID", `the body: expected at most ${MAXIMUM_DEPTH} levels of arrays and objects.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal("REQUEST_INVALID", "the body: expected JSON.");
  }
  return check(schema, value, "the body");
}

/** A value from outside, checked. The message names the field and repeats nothing. @throws UnseenError REQUEST_INVALID */
export function check<Schema extends z.ZodType>(schema: Schema, value: unknown, name: string): z.infer<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const path = issue.path.slice(0, 6).map((part) => String(part).slice(0, 40));
  const problem = issue.code === "unrecognized_keys" ? "has members that are not known" : issue.message;
  throw new Refusal("REQUEST_INVALID", `${[name, ...path].join(".").replaceAll(/\p{C}+/gu, " ")}: ${problem}.`);
}

/** A whole number of a query or header. @throws UnseenError REQUEST_INVALID */
export function readCount(text: string | undefined, name: string): number {
  if (!/^\d{1,12}$/.test(text ?? "")) throw new Refusal("REQUEST_INVALID", `${name}: expected a whole number.`);
  return Number(text);
}

async function readText(context: HubContext): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of bodyOf(context)) {
    length += part.length;
    if (length > limits.jsonBytes) throw new Refusal("REQUEST_TOO_LARGE", `the body: expected at most ${limits.jsonBytes} bytes.`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** The body as it comes; empty where there is none. */
export function bodyOf(context: HubContext): AsyncIterable<Uint8Array> {
  return context.req.raw.body ?? new ReadableStream<Uint8Array>({ start: (controller) => controller.close() });
}

/** Deepest nesting of brackets outside strings; one pass, whatever the text (CWE-1333). */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let isString = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (character === '"') isString = !isString;
    else if (isString && character === "\\") index++;
    else if (!isString && (character === "[" || character === "{")) deepest = Math.max(deepest, ++depth);
    else if (!isString && (character === "]" || character === "}")) depth--;
  }
  return deepest;
}
