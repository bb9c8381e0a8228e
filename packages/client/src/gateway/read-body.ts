/**
 * Reads a request's JSON body.
 * @module
 */
import { parseJson } from "../openai/parse.ts";
import type { GatewayContext } from "./exchange.ts";

/** The body as a value; its size is limited before it gets here. @throws RequestError REQUEST_INVALID. */
export async function readBody(context: GatewayContext): Promise<unknown> {
  return parseJson(await context.req.text());
}
