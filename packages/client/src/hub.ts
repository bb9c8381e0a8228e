/**
 * Talking to a model hub: Hugging Face's API, at its own address or a mirror's.
 *
 * Plain HTTP and no client library, because a pull must resume inside a file, show bytes as they come and follow
 * redirects without carrying the access token along; `@huggingface/hub` does none of the three, and takes only tokens
 * that begin with `hf_`.
 * @see https://huggingface.co/docs/hub/api
 * @module
 */
import { setTimeout as wait } from "node:timers/promises";
import { UnseenError } from "@unseen/core/errors.ts";

/** Bytes of one listing page (CWE-770). */
const MAXIMUM_LISTING_BYTES = 32 * 1024 * 1024;
/** Files of one repository (CWE-770). */
const MAXIMUM_FILES = 20_000;
const MAXIMUM_PAGES = 200;
const MAXIMUM_REDIRECTS = 8;
const ATTEMPTS = 6;

/** Where a hub is and as whom one asks. */
export interface Hub {
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** Milliseconds before the first repetition of a failed step; each further one waits twice as long. */
  readonly retryDelay: number;
  /** Milliseconds of silence after which a connection counts as lost. */
  readonly silence: number;
}

/** A file of a repository, as the hub states it; nothing here is trusted until checked. */
export interface HubFile {
  readonly path: string;
  /** Bytes, where stated. */
  readonly size: number | null;
  /** Of the content, where the file is stored as LFS; hexadecimal. */
  readonly sha256: string | null;
  /** Git's object name of a file that is not LFS; hexadecimal SHA-1. */
  readonly blob: string | null;
}

/** Checks an endpoint. @throws UnseenError USAGE, also when a token would travel in the clear */
export function openHub(endpoint: string, token: string | undefined, patience: Pick<Hub, "signal" | "retryDelay" | "silence">): Hub {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  if (!url || !["http:", "https:"].includes(url.protocol)) {
    throw new UnseenError("USAGE", "HF_ENDPOINT: expected an http or https address, got something else.", {
      hint: "Leave it unset for https://huggingface.co.",
    });
  }
  const loopback = ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
  if (token && url.protocol === "http:" && !loopback) {
    throw new UnseenError("USAGE", `HF_ENDPOINT: expected https because HF_TOKEN is set, got http to ${url.host}.`, {
      hint: "Use an https address, or unset HF_TOKEN.",
    });
  }
  return { endpoint: url.href.replace(/\/+$/, ""), token: token || undefined, ...patience };
}

/** A response after redirects, with what the hub itself said about the file before it sent us elsewhere. */
export interface HubResponse {
  readonly response: Response;
  readonly linkedSize: number | null;
  readonly linkedSha256: string | null;
}

/**
 * Fetches from the hub, following redirects; the token stays with the hub's own origin.
 *
 * @param silence restarted by {@link Silence.hear} while the body is read
 * @throws UnseenError DOWNLOAD_FAILED for a redirect that should not be followed; network errors as they are
 */
export async function fetchHub(hub: Hub, path: string, headers: Readonly<Record<string, string>>, silence: Silence): Promise<HubResponse> {
  const origin = new URL(hub.endpoint).origin;
  let url = path.startsWith("/") ? new URL(hub.endpoint + path) : new URL(path);
  let linkedSize: number | null = null;
  let linkedSha256: string | null = null;
  for (let hop = 0; hop <= MAXIMUM_REDIRECTS; hop++) {
    const authorization: Record<string, string> = hub.token && url.origin === origin ? { authorization: `Bearer ${hub.token}` } : {};
    // Compressed bodies would make byte ranges and sizes mean something else.
    const response = await fetch(url, {
      headers: { "accept-encoding": "identity", ...headers, ...authorization },
      redirect: "manual",
      signal: silence.signal,
    });
    silence.hear();
    const size = Number(response.headers.get("x-linked-size") ?? Number.NaN);
    if (Number.isSafeInteger(size)) linkedSize = size;
    linkedSha256 ??= /^"?([0-9a-f]{64})"?$/.exec(response.headers.get("x-linked-etag") ?? "")?.[1] ?? null;
    const location = response.headers.get("location");
    if (response.status < 300 || response.status > 399 || response.status === 304 || location === null)
      return { response, linkedSize, linkedSha256 };
    await response.body?.cancel();
    const next = URL.canParse(location, url) ? new URL(location, url) : null;
    if (!next || (next.protocol !== "https:" && next.protocol !== "http:") || (url.protocol === "https:" && next.protocol === "http:")) {
      throw new UnseenError("DOWNLOAD_FAILED", `${origin}: expected a redirect to https, got another.`, { hint: "Check HF_ENDPOINT." });
    }
    url = next;
  }
  throw new UnseenError("DOWNLOAD_FAILED", `${origin}: expected at most ${MAXIMUM_REDIRECTS} redirects, got more.`, {
    hint: "Check HF_ENDPOINT.",
  });
}

/** Aborts when nothing was heard for a while, or when the caller gives up. */
export class Silence implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly signal: AbortSignal;

  constructor({ signal, silence }: Pick<Hub, "signal" | "silence">) {
    this.#timer = setTimeout(() => this.#controller.abort(new Error("the hub stopped sending")), silence);
    this.signal = signal ? AbortSignal.any([signal, this.#controller.signal]) : this.#controller.signal;
  }

  /** Something arrived. */
  hear(): void {
    this.#timer.refresh();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** The commit that a revision names, and the repository's files at that commit. */
export async function listRepository(hub: Hub, repository: string, revision: string): Promise<{ commit: string; files: HubFile[] }> {
  const about = `/api/models/${repository}`;
  const facts = (await fetchJson(hub, `${about}/revision/${encodeURIComponent(revision)}`, repository)).value as {
    sha?: unknown;
    siblings?: unknown;
  };
  const commit = typeof facts?.sha === "string" && /^[0-9a-f]{40,64}$/.test(facts.sha) ? facts.sha : revision;
  const files: HubFile[] = [];
  let page: string | null = `${about}/tree/${encodeURIComponent(commit)}?recursive=false`;
  for (let count = 0; page !== null; count++) {
    if (count >= MAXIMUM_PAGES) throw malformed(repository, `at most ${MAXIMUM_PAGES} pages of files`);
    let answer: { value: unknown; next: string | null };
    try {
      answer = await fetchJson(hub, page, repository);
    } catch (error) {
      // A mirror without the tree interface still lists names with the model's facts.
      if (count === 0 && UnseenError.isInstance(error) && Array.isArray(facts?.siblings))
        return { commit, files: parseEntries(facts.siblings, repository) };
      throw error;
    }
    if (!Array.isArray(answer.value)) throw malformed(repository, "a list of files");
    files.push(...parseEntries(answer.value, repository));
    if (files.length > MAXIMUM_FILES) throw malformed(repository, `at most ${MAXIMUM_FILES} files`);
    page = answer.next;
  }
  return { commit, files };
}

function parseEntries(entries: readonly unknown[], repository: string): HubFile[] {
  return entries.flatMap((entry) => {
    if (typeof entry !== "object" || entry === null) throw malformed(repository, "files as objects");
    const { type, path, rfilename, size, oid, lfs } = entry as Record<string, unknown>;
    if (type !== undefined && type !== "file") return [];
    const name = path ?? rfilename;
    if (typeof name !== "string") throw malformed(repository, "files with a path");
    const { oid: lfsOid, sha256, size: lfsSize } = (lfs ?? {}) as Record<string, unknown>;
    const bytes = [lfsSize, size].find((value) => Number.isSafeInteger(value) && (value as number) >= 0) as number | undefined;
    const digest = [lfsOid, sha256].find((value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value)) as string | undefined;
    const blob = lfs === undefined && typeof oid === "string" && /^[0-9a-f]{40}$/.test(oid) ? oid : null;
    return [{ path: name, size: bytes ?? null, sha256: digest ?? null, blob }];
  });
}

async function fetchJson(hub: Hub, path: string, repository: string): Promise<{ value: unknown; next: string | null }> {
  const { response, bytes } = await attempt(hub, async () => {
    using silence = new Silence(hub);
    const { response: answer } = await fetchHub(hub, path, { accept: "application/json" }, silence);
    checkStatus(answer, repository, hub);
    return { response: answer, bytes: await readBody(answer, silence, repository) };
  });
  // Pages beyond the first are asked for at the hub's own origin whatever the link says, since the token goes along.
  const link = /<([^>]+)>\s*;\s*rel="?next"?/.exec(response.headers.get("link") ?? "")?.[1];
  const next = link && URL.canParse(link, hub.endpoint) ? new URL(link, hub.endpoint) : null;
  try {
    return { value: JSON.parse(Buffer.from(bytes).toString("utf8")), next: next && next.pathname + next.search };
  } catch {
    throw malformed(repository, "JSON");
  }
}

async function readBody(response: Response, silence: Silence, repository: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of response.body ?? []) {
    silence.hear();
    total += chunk.length;
    if (total > MAXIMUM_LISTING_BYTES) throw malformed(repository, `at most ${MAXIMUM_LISTING_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Turns an HTTP status into an error that says what to do. @throws UnseenError UNAUTHORIZED, DOWNLOAD_FAILED; {@link Transient} for a server's trouble */
export function checkStatus(response: Response, subject: string, hub: Hub): void {
  if (response.ok) return;
  void response.body?.cancel();
  const { status } = response;
  if (status === 401 || status === 403) {
    throw new UnseenError("UNAUTHORIZED", `${subject}: expected access, got status ${status} from the hub.`, {
      hint: hub.token
        ? "Check HF_TOKEN, and whether the model's page asks you to accept its licence."
        : "Check the name; for a private or gated model set HF_TOKEN.",
    });
  }
  if (status === 404)
    throw new UnseenError("DOWNLOAD_FAILED", `${subject}: expected it on the hub, got status 404.`, {
      hint: "Check the name and --revision.",
    });
  if (status >= 500 || status === 429 || status === 408) throw new Transient(`status ${status}`);
  throw new UnseenError("DOWNLOAD_FAILED", `${subject}: expected status 200, got ${status} from the hub.`, { hint: "Check HF_ENDPOINT." });
}

/** A failure that may pass by itself. */
export class Transient extends Error {}

/**
 * Repeats a step that failed for a reason that may pass: lost connections, silence, a server's trouble.
 *
 * @param progressed whether the last attempt got further, which earns a fresh set of attempts
 * @throws UnseenError DOWNLOAD_FAILED when patience ends; the caller's own abort reason at once
 */
export async function attempt<Result>(hub: Hub, step: () => Promise<Result>, progressed: () => boolean = () => false): Promise<Result> {
  for (let failures = 0; ;) {
    try {
      return await step();
    } catch (error) {
      hub.signal?.throwIfAborted();
      if (UnseenError.isInstance(error) || (error as NodeJS.ErrnoException).code === "ENOSPC") throw error;
      failures = progressed() ? 1 : failures + 1;
      if (failures >= ATTEMPTS) {
        throw new UnseenError(
          "DOWNLOAD_FAILED",
          `${new URL(hub.endpoint).host}: expected an answer, got ${failures} failures in a row (${reasonOf(error)}).`,
          {
            hint: "Check the network and run the command again; it goes on where it stopped.",
            cause: error,
          },
        );
      }
      await wait(hub.retryDelay * 2 ** (failures - 1), undefined, hub.signal ? { signal: hub.signal } : {});
    }
  }
}

function reasonOf(error: unknown): string {
  const cause = (error as { cause?: NodeJS.ErrnoException }).cause;
  return cause?.code ?? (error instanceof Error ? error.message : "unknown");
}

function malformed(repository: string, expected: string): UnseenError {
  return new UnseenError("DOWNLOAD_FAILED", `${repository}: expected ${expected} from the hub, got something else.`, {
    hint: "Check HF_ENDPOINT.",
  });
}
