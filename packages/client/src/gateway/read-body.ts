/**
 * Reads a request's JSON body.
 * @module
 */
import { BodyTooLargeError } from "../openai/errors.ts";
import { parseJson } from "../openai/parse.ts";

/** Bytes of a request (CWE-770): a context of a million tokens is about five megabytes of text. */
const MAXIMUM_BODY_BYTES = 16 * 1024 * 1024;

interface BodyContext {
  readonly req: { readonly raw: Request };
}

/** The body as a value. @throws RequestError REQUEST_INVALID, REQUEST_TOO_LARGE. */
export async function readBody(context: BodyContext, maximumBytes = MAXIMUM_BODY_BYTES): Promise<unknown> {
  return parseJson(await readBodyText(context, maximumBytes));
}

/** The body as it is. @param remedy - What to do about one that is too large. @throws RequestError REQUEST_TOO_LARGE. */
export async function readBodyText({ req: { raw: request } }: BodyContext, maximumBytes: number, remedy?: string): Promise<string> {
  const length = request.headers.get("content-length");
  if (length !== null && !request.headers.has("transfer-encoding")) {
    // The server's parser lets no more through than was announced.
    if (Number(length) > maximumBytes) throw new BodyTooLargeError(maximumBytes, remedy);
    return request.text();
  }
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of request.body ?? []) {
    bytes += part.length;
    if (bytes > maximumBytes) throw new BodyTooLargeError(maximumBytes, remedy);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
