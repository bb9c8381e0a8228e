/**
 * Blobs to and from the hub: by their SHA-256, in parts, going on where a broken connection stopped.
 * @module
 */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { UnseenError } from "@unseen/core/errors.ts";
import { limits } from "../protocol.ts";
import type { HubClient } from "./hub-client.ts";

/** How far a transfer is, in bytes. */
export type TransferProgress = (done: number, total: number) => void;

/** Between two looks at an upload of the same blob that is faster. */
const PAUSE = 250; // ms

/** SHA-256, hexadecimal. */
export function blobName(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * Uploads bytes unless the hub has them; returns their name.
 * @throws UnseenError as `HubClient.send`; CONFLICT when another upload of the same bytes is in the way and does not get on
 */
export async function uploadBlob(
  hub: HubClient,
  bytes: Uint8Array,
  progress: TransferProgress = () => {},
  signal?: AbortSignal,
): Promise<string> {
  const name = blobName(bytes);
  const path = `/v1/blobs/${name}`;
  const total = bytes.length;
  let best = -1;
  let deadline = 0;
  for (;;) {
    const head = await hub.send("HEAD", path, { accept: [404], signal });
    let offset = head.status === 404 ? 0 : offsetOf(head, 0, total);
    progress(offset, total);
    if (offset > best) deadline = performance.now() + hub.patience;
    best = Math.max(best, offset);
    while (head.status === 404 || offset < total) {
      const answer = await hub.send("PATCH", `${path}?length=${total}`, {
        bytes: bytes.subarray(offset, offset + limits.chunkBytes),
        headers: { "upload-offset": String(offset) },
        accept: [409],
        signal,
      });
      await answer.body?.cancel();
      if (answer.status === 409) break; // a repeated request, or another upload of the same bytes, was faster
      offset = offsetOf(answer, offset + 1, total);
      progress(offset, total);
      if (offset === total) return name;
    }
    if (offset === total) return name;
    if (performance.now() + PAUSE > deadline)
      throw new UnseenError("CONFLICT", "an upload is overtaken again and again by another of the same bytes.", {
        hint: "Wait for the other one, then try again.",
      });
    await sleep(PAUSE, undefined, signal ? { signal } : {});
  }
}

/** How far the hub has an upload, in bytes: at least so many, or it would never end. */
function offsetOf(answer: Response, least: number, total: number): number {
  const text = answer.headers.get("upload-offset") ?? "";
  const offset = Number(text);
  if (!/^\d{1,12}$/.test(text) || offset < least || offset > total) throw offProtocol("an upload");
  return offset;
}

/**
 * Downloads a blob, part by part, and checks it against its name.
 * @throws UnseenError as `HubClient.send`; HUB_REFUSED for more bytes than the maximum or others than the name says
 */
export async function downloadBlob(
  hub: HubClient,
  name: string,
  {
    maximum = limits.blobBytes,
    progress = () => {},
    signal,
  }: { maximum?: number; progress?: TransferProgress; signal?: AbortSignal | undefined } = {},
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let done = 0;
  let total: number;
  do {
    const range = { range: `bytes=${done}-${done + limits.chunkBytes - 1}` };
    const { answer, bytes } = await hub.whole("GET", `/v1/blobs/${name}`, maximum - done, { headers: range, signal });
    total = totalOf(answer, done, bytes.length);
    if (total > maximum)
      throw new UnseenError("HUB_REFUSED", `the hub has a blob of ${total} bytes where at most ${maximum} are expected.`, {
        hint: "Check that --hub is a model hub of this version.",
      });
    parts.push(bytes);
    done += bytes.length;
    progress(done, total);
  } while (done < total);
  const blob = new Uint8Array(Buffer.concat(parts));
  if (blobName(blob) !== name)
    throw new UnseenError("HUB_REFUSED", "the hub sent other bytes than their name says.", { hint: "Do not trust this hub." });
  return blob;
}

/** Length of the blob that a part belongs to (RFC 9110, section 14.4); a part that was not asked for is refused. */
function totalOf(answer: Response, offset: number, length: number): number {
  if (answer.status === 200 && offset === 0) return length;
  const [, first, total] = /^bytes (\d{1,12})-\d{1,12}\/(\d{1,12})$/.exec(answer.headers.get("content-range") ?? "") ?? [];
  if (Number(first) !== offset || length === 0 || offset + length > Number(total)) throw offProtocol("a download");
  return Number(total);
}

function offProtocol(what: string): UnseenError {
  return new UnseenError("HUB_REFUSED", `the hub's answer to ${what} does not follow the protocol.`, {
    hint: "Check that --hub is a model hub of this version.",
  });
}
