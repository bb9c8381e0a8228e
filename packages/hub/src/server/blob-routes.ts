/**
 * `/v1/blobs/:sha256`: PATCH uploads a part, HEAD says how far an upload is, GET downloads.
 * @module
 */
import { open, type FileHandle } from "node:fs/promises";
import { Readable } from "node:stream";
import type { Hono } from "hono";
import { z } from "zod";
import { limits } from "../protocol.ts";
import { readableBlob } from "./blob-access.ts";
import type { Hub } from "./hub.ts";
import { Refusal } from "./refusal.ts";
import { bodyOf, check, readCount, requireAccount, type Environment, type HubContext } from "./request.ts";

const nameSchema = z.string().regex(/^[0-9a-f]{64}$/, "expected a SHA-256 in lower-case hexadecimal");

/** Adds the routes of blobs. */
export function addBlobRoutes(application: Hono<Environment>, hub: Hub): void {
  application.patch("/v1/blobs/:sha256", async (context) => {
    const { name: owner } = requireAccount(context);
    const sha256 = check(nameSchema, context.req.param("sha256"), "blob");
    const offset = readCount(context.req.header("upload-offset"), "upload-offset");
    const length = readCount(context.req.query("length"), "length");
    if (length < 1 || offset > length)
      throw new Refusal("REQUEST_INVALID", "length: expected at least one byte, and no less than upload-offset.");
    if (Number(context.req.header("content-length") ?? 0) > limits.chunkBytes)
      throw new Refusal("REQUEST_TOO_LARGE", `the part: expected at most ${limits.chunkBytes} bytes.`);
    const received = await hub.blobs.append({ owner, sha256, offset, length, body: bodyOf(context) });
    context.header("upload-offset", String(received));
    context.header("upload-length", String(length));
    return context.body(null, 204);
  });

  application.get("/v1/blobs/:sha256", async (context) => {
    const sha256 = check(nameSchema, context.req.param("sha256"), "blob");
    return context.req.raw.method === "HEAD" ? headBlob(context, hub, sha256) : sendBlob(context, hub, sha256);
  });
}

/** How far the account's own upload is. A blob of others is absent here even where it may be read: who names it must have sent it. */
async function headBlob(context: HubContext, hub: Hub, sha256: string): Promise<Response> {
  const progress = await hub.blobs.progress({ owner: requireAccount(context).name, sha256 });
  if (progress === null) throw noBlob();
  context.header("upload-offset", String(progress.received));
  context.header("upload-length", String(progress.length));
  return context.body(null, 200);
}

async function sendBlob(context: HubContext, hub: Hub, sha256: string): Promise<Response> {
  const blob = await readableBlob(hub.database, sha256, context.get("account"));
  const file = blob && (await openBlob(hub.blobs.path(sha256)));
  if (!blob || !file) throw noBlob();
  try {
    const { length } = blob;
    const range = readRange(context.req.header("range"), length);
    context.header("accept-ranges", "bytes");
    context.header("content-length", String(range.end - range.start));
    context.header("content-type", blob.isPicture ? "image/png" : "application/octet-stream");
    // Whatever the bytes are: nobody's browser is to run them.
    context.header("content-security-policy", "default-src 'none'; sandbox");
    if (!blob.isPicture) context.header("content-disposition", "attachment");
    else context.header("cache-control", "public, max-age=86400, immutable");
    if (range.isPart) context.header("content-range", `bytes ${range.start}-${range.end - 1}/${length}`);
    const stream = file.createReadStream({ start: range.start, end: range.end - 1 });
    return context.body(Readable.toWeb(stream) as ReadableStream, range.isPart ? 206 : 200);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Null where a hub that died has left a row without a file. */
async function openBlob(path: string): Promise<FileHandle | null> {
  return open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
}

/** One range of RFC 9110, section 14; several, and units that are not bytes, are ignored as it allows. `end` exclusive. */
function readRange(header: string | undefined, length: number): { start: number; end: number; isPart: boolean } {
  const match = /^bytes=(\d{0,12})-(\d{0,12})$/.exec(header ?? "");
  const [, first = "", last = ""] = match ?? [];
  if (!match || (first === "" && last === "")) return { start: 0, end: length, isPart: false };
  const start = first === "" ? Math.max(0, length - Number(last)) : Number(first);
  const end = first === "" || last === "" ? length : Math.min(length, Number(last) + 1);
  if (start >= end)
    throw new Refusal("REQUEST_INVALID", `range: expected one within the blob's ${length} bytes.`, {
      status: 416,
      headers: { "content-range": `bytes */${length}` },
    });
  return { start, end, isPart: true };
}

function noBlob(): Refusal {
  return new Refusal("DOWNLOAD_FAILED", "the hub has no such blob, or this account may not read it.", {
    hint: "Blobs go some time after the jobs that use them have ended.",
  });
}
