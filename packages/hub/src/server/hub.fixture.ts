/**
 * Hubs for tests: with the embedded database or a PostgreSQL server of their own, and requests to them.
 * @module
 */
import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { chownSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { JobRequest, ModelManifest, Role } from "../protocol.ts";
import { startHub, type RunningHub } from "./serve.ts";
import type { HubSettings } from "./settings.ts";

/** A directory that goes when the test file ends. */
export function temporaryDirectory(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "unseen-hub-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Starts a hub on loopback. */
export function startTestHub(
  dataDirectory: string,
  { databaseUrl, limits, log = () => {} }: { databaseUrl?: string; limits?: Partial<HubSettings>; log?: (line: string) => void } = {},
): Promise<RunningHub> {
  return startHub({ dataDirectory, databaseUrl, port: 0, hostname: "127.0.0.1", log, limits });
}

/** An answer with its JSON, if it has any. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // What a route gives is for its test to know.
  readonly json: Record<string, unknown> & { error?: { code: string; message: string; hint: string | null } };
}

/** One account's requests to a hub. */
export class Asker {
  readonly url: string;
  readonly key: string | null;

  constructor(url: string, key: string | null) {
    this.url = url;
    this.key = key;
  }

  raw(method: string, path: string, options: RequestInit = {}): Promise<Response> {
    const headers = new Headers(options.headers);
    if (this.key !== null) headers.set("authorization", `Bearer ${this.key}`);
    return fetch(this.url + path, { method, ...options, headers });
  }

  async ask(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await this.raw(
      method,
      path,
      body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } },
    );
    const text = await response.text();
    return { status: response.status, headers: response.headers, json: text.startsWith("{") ? JSON.parse(text) : {} };
  }

  /** As `ask`, for what must succeed. */
  async get(method: string, path: string, body?: unknown): Promise<Answer["json"]> {
    const { status, json } = await this.ask(method, path, body);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(json)}`);
    return json;
  }

  /** One part of an upload. */
  part(name: string, length: number, offset: number, bytes: Uint8Array): Promise<Response> {
    const send = (): Promise<Response> =>
      this.raw("PATCH", `/v1/blobs/${name}?length=${length}`, {
        body: bytes as Uint8Array<ArrayBuffer>,
        headers: { "upload-offset": String(offset) },
      });
    // A hub that refuses a body closes the connection, at times before `fetch` has read why. Asked again, it answers the same.
    return send().catch((error: unknown) => {
      if ((error as { cause?: { code?: string } }).cause?.code !== "UND_ERR_SOCKET") throw error;
      return send();
    });
  }

  /** Uploads a blob as one part; its name. */
  async upload(bytes: Uint8Array): Promise<string> {
    const name = sha256(bytes);
    const response = await this.part(name, bytes.length, 0, bytes);
    if (response.status !== 204) throw new Error(`upload: ${response.status} ${await response.text()}`);
    return name;
  }
}

/** Makes an account of each role and one more user; names end in a random number, so that tests may share a hub. */
export async function createAccounts(
  hub: RunningHub,
): Promise<Record<Role | "stranger" | "otherEnclave" | "otherCreator", Asker> & { creatorName: string; admin: Asker; nobody: Asker }> {
  const admin = new Asker(hub.url, readFileSync(hub.adminKeyFile, "utf8").trim());
  const suffix = randomBytes(4).toString("hex");
  const create = async (name: string, role: Role): Promise<Asker> =>
    new Asker(hub.url, (await admin.get("POST", "/v1/accounts", { name: `${name}-${suffix}`, role }))["key"] as string);
  return {
    admin,
    nobody: new Asker(hub.url, null),
    user: await create("user", "user"),
    stranger: await create("stranger", "user"),
    enclave: await create("enclave", "enclave"),
    otherEnclave: await create("other-enclave", "enclave"),
    creator: await create("creator", "creator"),
    otherCreator: await create("other-creator", "creator"),
    creatorName: `creator-${suffix}`,
  };
}

/** A published version's manifest, with one cut and one measurement. */
export function exampleManifest(name: string, head: string, picture: string | null): ModelManifest {
  return {
    format: "unseen-model/1",
    name,
    card: "# Example\n\nFinds <b>nothing</b>.",
    licence: "CC-BY-4.0",
    model: "0".repeat(64),
    creatorKey: randomKey(),
    labels: ["normal", "pneumonia"],
    picture: { shape: [1, 28, 28], scale: 1 },
    cuts: [
      {
        cut: 1,
        value: "conv1",
        layers: ["Conv 3x3, 16 channels"],
        features: [16, 14, 14],
        parameters: { scheme: "ckks", degree: 8192, primeBits: [49, 40, 40, 40, 49], scaleBits: 40 },
        depth: 1,
        rotationKeys: 0,
        rotations: 0,
        keyBytes: 0,
        uploadBytes: 2_359_296,
        downloadBytes: 131_072,
        seconds: 0.1,
        outline: [],
        normalise: null,
        gains: [],
        rotationSteps: [],
        outputSteps: null,
        head,
      },
    ],
    leaks: [
      {
        cut: 1,
        obfuscation: { clip: null, noise: 0.01, bits: 8, channels: 1 },
        data: "example pictures",
        trained: 1000,
        tested: 100,
        psnr: 21.25,
        psnrBaseline: 13.5,
        ssim: 0.7,
        ssimBaseline: 0.2,
        attributes: [{ name: "diagnosis", recovered: 0.9, baseline: 0.62 }],
        decisionsKept: 0.99,
        pictures: picture,
      },
    ],
  };
}

/** A job for the cut of {@link exampleManifest}. */
export function exampleJob(version: string, input: string, keys: string | null, enclaveKey: string): JobRequest {
  return {
    idempotencyKey: randomBytes(16).toString("hex"),
    version,
    cut: 1,
    scheme: "ckks",
    session: randomBytes(16).toString("hex"),
    userKey: randomKey(),
    enclaveKey,
    keys,
    input,
    budget: 60,
  };
}

export function randomKey(): string {
  return randomBytes(32).toString("base64");
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Debian's and others' places of PostgreSQL's programs; the newest, null where there is none. */
const binaries = globSync("/usr/{lib/postgresql,pgsql-}*/**/bin/initdb").toSorted().at(-1) ?? null;

/** Options for `test()` that skip it where PostgreSQL is not installed. */
export const needsPostgres = { skip: binaries === null && "PostgreSQL's initdb is not here" };

/** Starts a PostgreSQL server on a Unix socket in a directory of its own; as user postgres where root, which it refuses, runs the test. */
export async function startPostgres(): Promise<{ url: string; stop(): Promise<void> }> {
  const directory = temporaryDirectory();
  const isRoot = process.getuid?.() === 0;
  const identity = isRoot ? { uid: numberOf("-u"), gid: numberOf("-g") } : {};
  if (identity.uid !== undefined) chownSync(directory.path, identity.uid, identity.gid);
  const data = join(directory.path, "data");
  const programs = dirname(binaries as string);
  execFileSync(join(programs, "initdb"), ["-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"], {
    ...identity,
    cwd: directory.path,
    stdio: "ignore",
  });
  const options = ["-D", data, "-k", directory.path, "-h", "", "-F", "-c", "synchronous_commit=off"];
  const server = spawn(join(programs, "postgres"), options, { ...identity, cwd: directory.path, stdio: ["ignore", "ignore", "pipe"] });
  const exited = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    let text = "";
    server.stderr!.on("data", (part: Buffer) => {
      text += part.toString();
      if (text.includes("ready to accept connections")) resolve();
    });
    server.once("exit", () => reject(new Error(`postgres ended: ${text}`)));
  });
  return {
    url: `postgres://postgres@localhost/postgres?host=${encodeURIComponent(directory.path)}`,
    async stop() {
      server.kill("SIGINT"); // "fast": connections are closed
      await exited;
      directory.remove();
    },
  };
}

function numberOf(flag: "-u" | "-g"): number {
  return Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
}
