/**
 * One file from the hub to the disk: resumable, checked, whole or absent.
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { attempt, checkStatus, fetchHub, type Hub, type HubFile, Silence, Transient } from "./hub.ts";

/** Bytes of one file where the hub does not state its size (CWE-400). */
const MAXIMUM_UNSTATED_BYTES = 64 * 1024 * 1024;

/** What to fetch and whom to tell. */
export interface DownloadRequest {
  readonly hub: Hub;
  /** Path on the hub, e.g. `/ORG/NAME/resolve/COMMIT/FILE`. */
  readonly source: string;
  readonly file: HubFile;
  /** The finished file; while it grows it is called `TARGET.part`. */
  readonly target: string;
  /** Bytes that now lie on the disk, as often as some arrive. */
  readonly onBytes: (bytes: number) => void;
}

/**
 * Downloads a file, going on where an earlier attempt stopped, and checks its size and digest before it gets its name.
 *
 * @throws UnseenError DOWNLOAD_FAILED, UNAUTHORIZED, DISK_FULL, PERMISSION_DENIED
 */
export async function downloadFile(request: DownloadRequest): Promise<void> {
  const part = `${request.target}.part`;
  try {
    // A damaged remainder of an earlier attempt costs one fresh start, not a failure.
    const resumed = (await bytesOf(part)) > 0;
    const wrong = (await fetchPart(request, part)) ?? null;
    const still = wrong !== null && resumed ? await fetchPart(request, part) : wrong;
    if (still !== null) throw still;
    await rename(part, request.target);
  } catch (error) {
    throw explainSystemError(error, request.target);
  }
}

/** Brings a part to its full length. @returns the error when it is then not what the hub promised; the part is gone in that case */
async function fetchPart(request: DownloadRequest, part: string): Promise<UnseenError | null> {
  const { hub, file } = request;
  let furthest = await bytesOf(part);
  let before = furthest;
  const stated = await attempt(
    hub,
    async () => {
      before = await bytesOf(part);
      return append(request, part, (bytes) => {
        furthest = Math.max(furthest, bytes);
      });
    },
    () => furthest > before,
  );
  const size = file.size ?? stated.size;
  const bytes = await bytesOf(part);
  let wrong = size !== null && bytes !== size ? `${size} bytes, got ${bytes}` : null;
  const sha256 = file.sha256 ?? stated.sha256;
  if (wrong === null && sha256 !== null && (await digest(part, createHash("sha256"))) !== sha256)
    wrong = "the content whose SHA-256 the hub states, got another";
  if (wrong === null && file.blob !== null) {
    const hash = createHash("sha1").update(`blob ${bytes}\0`); // git's object name
    if ((await digest(part, hash)) !== file.blob) wrong = "the content that the commit names, got another";
  }
  if (wrong === null) return null;
  await rm(part, { force: true });
  return new UnseenError("DOWNLOAD_FAILED", `${file.path}: expected ${wrong}.`, {
    hint: "Run the command again; if it happens again, do not trust this hub or mirror.",
  });
}

interface Stated {
  readonly size: number | null;
  readonly sha256: string | null;
}

/** One connection's worth: appends what arrives to the part, or starts it anew where the server cannot resume. */
async function append({ hub, source, file, onBytes }: DownloadRequest, part: string, note: (bytes: number) => void): Promise<Stated> {
  const start = await bytesOf(part);
  if (file.size !== null && start === file.size && start > 0) return { size: file.size, sha256: file.sha256 };
  using silence = new Silence(hub);
  const { response, linkedSize, linkedSha256 } = await fetchHub(hub, source, start > 0 ? { range: `bytes=${start}-` } : {}, silence);
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
  if (response.status === 416) {
    // The part is longer than the file, or exactly as long: only a fresh start tells.
    await response.body?.cancel();
    await rm(part, { force: true });
    throw new Transient("status 416");
  }
  checkStatus(response, file.path, hub);
  const resumes = response.status === 206 && range !== null && Number(range[1]) === start;
  if (response.status === 206 && !resumes) {
    await response.body?.cancel();
    throw new UnseenError("DOWNLOAD_FAILED", `${file.path}: expected the bytes from ${start} on, got others.`, {
      hint: "Check HF_ENDPOINT.",
    });
  }
  const length = response.headers.get("content-length");
  const size =
    file.size ?? linkedSize ?? (resumes && range[2] !== "*" ? Number(range[2]) : !resumes && length !== null ? Number(length) : null);
  const limit = size ?? MAXIMUM_UNSTATED_BYTES;
  const output = await open(part, resumes ? "a" : "w", 0o600);
  try {
    let bytes = resumes ? start : 0;
    onBytes(bytes);
    for await (const chunk of response.body ?? []) {
      silence.hear();
      if (bytes + chunk.length > limit)
        throw new UnseenError("DOWNLOAD_FAILED", `${file.path}: expected ${limit} bytes, got more.`, { hint: "Check HF_ENDPOINT." });
      await output.writeFile(chunk);
      bytes += chunk.length;
      note(bytes);
      onBytes(bytes);
    }
    await output.sync();
    if (size !== null && bytes < size) throw new Transient("the connection closed early");
  } finally {
    await output.close();
  }
  return { size, sha256: linkedSha256 };
}

async function digest(path: string, hash: Hash): Promise<string> {
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

async function bytesOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
