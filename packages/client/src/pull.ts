/**
 * Downloads a model from a hub into the home's `models` directory.
 *
 * Files gather in `models/ORG/.NAME.partial`, which becomes `models/ORG/NAME` in one rename when all are there and checked.
 * Killed at any point, the next pull goes on in the middle of the file where this one stopped.
 * @module
 */
import { readFile, rename, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { createFileAtomically, ensureDirectory, writeFileAtomically } from "./atomic-file.ts";
import { downloadFile } from "./download.ts";
import type { Home } from "./home.ts";
import { type HubFile, listRepository, openHub } from "./hub.ts";

/** Where from, and whom to tell. */
export interface PullOptions {
  /** Branch, tag or commit; `main` when absent. */
  readonly revision?: string | undefined;
  /** `HF_ENDPOINT` when absent, else https://huggingface.co. */
  readonly endpoint?: string | undefined;
  /** `HF_TOKEN` when absent. */
  readonly token?: string | undefined;
  /** The one GGUF file to take from a repository that has several. */
  readonly file?: string | undefined;
  readonly onProgress?: ((progress: PullProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds before a failed request is repeated for the first time; 500 when absent. */
  readonly retryDelay?: number | undefined;
  /** Milliseconds of silence after which a connection counts as lost; a minute when absent. */
  readonly silence?: number | undefined;
}

/** How far a pull has come. */
export interface PullProgress {
  readonly file: string;
  /** Bytes of all files that lie on the disk, and that will. */
  readonly bytes: number;
  readonly totalBytes: number;
}

/** What a pull brought. */
export interface PulledModel {
  readonly directory: string;
  readonly commit: string;
  readonly files: readonly string[];
  readonly bytes: number;
  /** False when everything was already there. */
  readonly changed: boolean;
}

/** Written into the directory: which commit, and what identifies each file. */
interface PullRecord {
  readonly repository: string;
  readonly commit: string;
  readonly files: Record<string, string>;
}

const RECORD = ".unseen-pull.json";
const LOCK = ".lock";

/**
 * Pulls a model: configuration, weights, tokenizer, chat template, licence and card; never code or pickles.
 *
 * @param repository `ORG/NAME` or `ORG/NAME@REVISION`
 * @throws UnseenError USAGE, DOWNLOAD_FAILED, UNAUTHORIZED, DISK_FULL
 */
export async function pullModel(home: Home, repository: string, options: PullOptions = {}): Promise<PulledModel> {
  const { owner, name, revision } = parseRepository(repository, options.revision);
  const { signal, retryDelay = 500, silence = 60_000 } = options;
  const endpoint = options.endpoint || process.env["HF_ENDPOINT"] || "https://huggingface.co";
  const hub = openHub(endpoint, options.token ?? process.env["HF_TOKEN"], { signal, retryDelay, silence });
  const { commit, files: listed } = await listRepository(hub, `${owner}/${name}`, revision);
  const files = chooseFiles(listed, `${owner}/${name}`, options.file);
  const record: PullRecord = {
    repository: `${owner}/${name}`,
    commit,
    files: Object.fromEntries(files.map((file) => [file.path, identityOf(file, commit)])),
  };

  const directory = join(home.models, owner, name);
  const totalBytes = files.reduce((sum, file) => sum + (file.size ?? 0), 0);
  const result = { directory, commit, files: files.map((file) => file.path), bytes: totalBytes };
  if (await isComplete(directory, record)) return { ...result, changed: false };

  const partial = join(home.models, owner, `.${name}.partial`);
  await ensureDirectory(partial);
  await using lock = await takeLock(join(partial, LOCK), `${owner}/${name}`);
  await discardOthers(partial, record);
  await writeFileAtomically(join(partial, RECORD), JSON.stringify(record, null, 2));
  await checkSpace(partial, files);
  let done = 0;
  for (const file of files) {
    const target = join(partial, file.path);
    const report = (bytes: number): void => options.onProgress?.({ file: file.path, bytes: done + bytes, totalBytes });
    if ((await bytesOf(target)) === null) {
      const source = `/${owner}/${name}/resolve/${encodeURIComponent(commit)}/${encodeURIComponent(file.path)}`;
      await downloadFile({ hub, source, file, target, onBytes: report });
    }
    done += (await bytesOf(target)) ?? 0;
    report(0);
  }
  await lock.release();
  await publish(partial, directory);
  return { ...result, bytes: done, changed: true };
}

/** Splits and checks a name; both parts become directory names, so they may hold nothing that leads elsewhere (CWE-22). */
function parseRepository(repository: string, revision: string | undefined): { owner: string; name: string; revision: string } {
  const match = /^([A-Za-z0-9][\w.-]{0,95})\/([A-Za-z0-9][\w.-]{0,95})(?:@([^@]+))?$/.exec(repository);
  const chosen = revision ?? match?.[3] ?? "main";
  if (!match || repository.includes("..") || !/^[A-Za-z0-9][\w./-]{0,199}$/.test(chosen) || chosen.includes("..")) {
    throw new UnseenError(
      "USAGE",
      `model ${JSON.stringify(repository.slice(0, 100))}: expected ORG/NAME or ORG/NAME@REVISION, got something else.`,
      {
        hint: "Copy the name from the model's page.",
      },
    );
  }
  return { owner: match[1]!, name: match[2]!, revision: chosen };
}

const TEXT_FILES =
  /^(?:config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template|preprocessor_config|processor_config)\.json$|^(?:chat_template\.jinja|merges\.txt|vocab\.txt|tokenizer\.model|spiece\.model)$|^(?:LICEN[CS]E|NOTICE|README|USE_POLICY)(?:\.(?:md|txt))?$/i;

/** The files that make the model: of the top directory only, by kind; everything else (code, pickles) stays on the hub. */
function chooseFiles(listed: readonly HubFile[], repository: string, wanted: string | undefined): HubFile[] {
  const top = listed.filter((file) => /^[A-Za-z0-9][\w.+-]{0,199}$/.test(file.path));
  const text = top.filter((file) => TEXT_FILES.test(file.path));
  // Some publishers store the same weights a second time in their own layout.
  const safetensors = top.filter((file) => /\.safetensors(?:\.index\.json)?$/.test(file.path) && !file.path.startsWith("consolidated"));
  const gguf = top.filter((file) => file.path.endsWith(".gguf"));
  const hint = (names: readonly HubFile[]): string =>
    names
      .slice(0, 8)
      .map((file) => file.path)
      .join(", ");
  if (wanted !== undefined) {
    const chosen = gguf.filter((file) => file.path === wanted);
    if (chosen.length === 0) {
      throw new UnseenError(
        "DOWNLOAD_FAILED",
        `${repository}: expected the GGUF file ${JSON.stringify(wanted.slice(0, 200))}, got none of that name.`,
        {
          hint: gguf.length ? `It has ${hint(gguf)}.` : "It has no GGUF file.",
        },
      );
    }
    return [...text, ...chosen];
  }
  if (safetensors.some((file) => file.path.endsWith(".safetensors"))) return [...text, ...safetensors];
  if (gguf.length > 1) {
    throw new UnseenError("USAGE", `${repository}: expected one GGUF file, got ${gguf.length}.`, {
      hint: `Choose one with --file: ${hint(gguf)}.`,
    });
  }
  if (gguf.length === 1) return [...text, ...gguf];
  throw new UnseenError("DOWNLOAD_FAILED", `${repository}: expected safetensors or GGUF weights, got none.`, {
    hint: "Choose a repository that publishes one of the two.",
  });
}

/** Two files with the same identity have the same content. */
function identityOf(file: HubFile, commit: string): string {
  return file.sha256 ? `sha256:${file.sha256}` : file.blob ? `git:${file.blob}` : `commit:${commit}`;
}

async function readRecord(directory: string): Promise<PullRecord | null> {
  try {
    return JSON.parse(await readFile(join(directory, RECORD), "utf8")) as PullRecord;
  } catch {
    return null; // absent or damaged: then everything is fetched again
  }
}

async function isComplete(directory: string, record: PullRecord): Promise<boolean> {
  const present = await readRecord(directory);
  if (!present || typeof present.files !== "object") return false;
  for (const [path, identity] of Object.entries(record.files)) {
    if (present.files[path] !== identity || (await bytesOf(join(directory, path))) === null) return false;
  }
  return true;
}

/** Keeps of an earlier attempt what is still wanted, also when the branch has moved on in the meantime. */
async function discardOthers(partial: string, record: PullRecord): Promise<void> {
  const earlier = (await readRecord(partial))?.files ?? {};
  for (const path of new Set([...Object.keys(earlier), ...Object.keys(record.files)])) {
    if (!/^[A-Za-z0-9][\w.+-]{0,199}$/.test(path) || earlier[path] === record.files[path]) continue;
    for (const name of [path, `${path}.part`]) await rm(join(partial, name), { force: true });
  }
}

async function checkSpace(partial: string, files: readonly HubFile[]): Promise<void> {
  let needed = 0;
  for (const file of files) {
    const target = join(partial, file.path);
    if ((await bytesOf(target)) === null) needed += (file.size ?? 0) - ((await bytesOf(`${target}.part`)) ?? 0);
  }
  const { bavail, bsize } = await statfs(partial);
  if (needed <= bavail * bsize) return;
  throw new UnseenError("DISK_FULL", `${partial}: expected ${needed} free bytes for the download, got ${bavail * bsize}.`, {
    hint: "Free some space, or set UNSEEN_HOME to a larger disk.",
  });
}

/** Puts the finished directory in place of an older one. */
async function publish(partial: string, directory: string): Promise<void> {
  const old = `${partial}.old`;
  try {
    await rm(old, { recursive: true, force: true });
    if ((await bytesOf(directory)) !== null) await rename(directory, old);
    await rename(partial, directory);
    await rm(old, { recursive: true, force: true });
  } catch (error) {
    throw explainSystemError(error, directory);
  }
}

/** One pull of a model at a time: two would write into the same part. The lock of a dead process is taken over. */
async function takeLock(path: string, repository: string): Promise<AsyncDisposable & { release(): Promise<void> }> {
  const release = (): Promise<void> => rm(path, { force: true });
  for (let tries = 0; tries < 2; tries++) {
    if (await createFileAtomically(path, `${process.pid}`)) return { release, [Symbol.asyncDispose]: release };
    const holder = Number(await readFile(path, "utf8").catch(() => ""));
    if (holder > 0 && isRunning(holder)) {
      throw new UnseenError("USAGE", `${repository}: expected one pull at a time, got another by process ${holder}.`, {
        hint: "Wait until it ends.",
      });
    }
    await release();
  }
  throw new UnseenError("USAGE", `${repository}: expected one pull at a time, got another.`, { hint: "Wait until it ends." });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function bytesOf(path: string): Promise<number | null> {
  return stat(path).then(
    ({ size }) => size,
    () => null,
  );
}
