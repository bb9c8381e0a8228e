/**
 * Reads a request's JSON body.
 * @module
 */
import { BodyTooLargeError } from "../openai/errors.ts";
import { parseJson } from "../openai/parse.ts";
import type { GatewayContext } from "./exchange.ts";

/** Bytes of a request (CWE-770): a context of a million tokens is about five megabytes of text. */
const MAXIMUM_BODY_BYTES = 16 * 1024 * 1024;

/** The body as a value. @throws RequestError REQUEST_INVALID, REQUEST_TOO_LARGE. */
export async function readBody(context: GatewayContext): Promise<unknown> {
  return parseJson(await readLimited(context.req.raw));
}

async function readLimited(request: Request): Promise<string> {
  const length = request.headers.get("content-length");
  if (length !== null && !request.headers.has("transfer-encoding")) {
    // The server's parser lets no more through than was announced.
    if (Number(length) > MAXIMUM_BODY_BYTES) throw new BodyTooLargeError(MAXIMUM_BODY_BYTES);
    return request.text();
  }
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of request.body ?? []) {
    bytes += part.length;
    if (bytes > MAXIMUM_BODY_BYTES) throw new BodyTooLargeError(MAXIMUM_BODY_BYTES);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
