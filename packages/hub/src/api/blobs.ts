/**
 * Blobs to and from the hub: by their SHA-256, in parts, going on where a broken connection stopped.
 * @module
 */
import { createHash } from "node:crypto";
import { UnseenError } from "@unseen/core/errors.ts";
import { limits } from "../protocol.ts";
import { readLimited, type HubClient } from "./hub-client.ts";

/** How far a transfer is, in bytes. */
export type TransferProgress = (done: number, total: number) => void;

/** Attempts to send one part that another upload of the same blob overtook. */
const MAXIMUM_TURNS = 8;

/** SHA-256, hexadecimal. */
export function blobName(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * Uploads bytes unless the hub has them; returns their name.
 * @throws UnseenError as `HubClient.send`
 */
export async function uploadBlob(
  hub: HubClient,
  bytes: Uint8Array,
  progress: TransferProgress = () => {},
  signal?: AbortSignal,
): Promise<string> {
  const name = blobName(bytes);
  const path = `/v1/blobs/${name}`;
  for (let turn = 0; turn < MAXIMUM_TURNS; turn++) {
    const head = await hub.send("HEAD", path, { accept: [404], signal });
    let offset = head.status === 404 ? 0 : offsetOf(head, bytes.length);
    progress(offset, bytes.length);
    if (head.status !== 404 && offset === bytes.length) return name;
    for (;;) {
      const part = bytes.subarray(offset, offset + limits.chunkBytes);
      const answer = await hub.send("PATCH", `${path}?length=${bytes.length}`, {
        bytes: part,
        headers: { "upload-offset": String(offset) },
        accept: [409],
        signal,
      });
      await answer.body?.cancel();
      if (answer.status === 409) break; // a repeated request, or another upload of the same bytes, was faster
      offset = offsetOf(answer, bytes.length);
      progress(offset, bytes.length);
      if (offset === bytes.length) return name;
    }
  }
  throw new UnseenError("CONFLICT", "an upload is overtaken again and again by another of the same bytes.", {
    hint: "Wait for the other one, then try again.",
  });
}

function offsetOf(answer: Response, total: number): number {
  const offset = Number(answer.headers.get("upload-offset") ?? Number.NaN);
  if (!Number.isInteger(offset) || offset < 0 || offset > total)
    throw new UnseenError("HUB_REFUSED", "the hub's answer to an upload does not follow the protocol.", {
      hint: "Check that --hub is a model hub of this version.",
    });
  return offset;
}

/**
 * Downloads a blob and checks it against its name.
 * @throws UnseenError as `HubClient.send`; HUB_REFUSED for other bytes than the name says
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
  const bytes = await readWhole(hub, name, maximum, progress, signal).catch((error: unknown) => {
    signal?.throwIfAborted();
    // A connection that broke within the body: once more from the start.
    if (UnseenError.isInstance(error)) throw error;
    return readWhole(hub, name, maximum, progress, signal);
  });
  if (blobName(bytes) !== name)
    throw new UnseenError("HUB_REFUSED", "the hub sent other bytes than their name says.", { hint: "Do not trust this hub." });
  return bytes;
}

async function readWhole(
  hub: HubClient,
  name: string,
  maximum: number,
  progress: TransferProgress,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const response = await hub.send("GET", `/v1/blobs/${name}`, { signal });
  const total = Number(response.headers.get("content-length") ?? 0);
  let done = 0;
  return readLimited(response, maximum, (part) => progress((done += part), total));
}
