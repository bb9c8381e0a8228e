/**
 * A small model hub on this machine, for tests: listing, redirects to a separate origin for large files, byte ranges,
 * access tokens, and every kind of trouble on request.
 * @module
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";

/** What goes wrong, for the path of one file; counts are used up. */
export interface Trouble {
  /** Answer with this status so many times. */
  status?: { code: number; times: number };
  /** Break the connection after so many bytes of the body, so many times. */
  cut?: { after: number; times: number };
  /** Serve other content of the same length. */
  corrupt?: boolean;
  /** Send more than was promised. */
  overlong?: boolean;
  /** Ignore Range. */
  ignoreRange?: boolean;
  /** Milliseconds between chunks of 64 KiB. */
  slow?: number;
  /** Send the headers and so many bytes, then nothing more. */
  hang?: number;
}

/** A request for content as it arrived. */
export interface ContentRequest {
  readonly path: string;
  readonly origin: "hub" | "store";
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** A running stand-in hub with one repository. */
export class StandInHub implements AsyncDisposable {
  readonly files: Map<string, Buffer>;
  readonly trouble = new Map<string, Trouble>();
  readonly requests: ContentRequest[] = [];
  commit = "a".repeat(40);
  token: string | null = null;
  /** No tree interface: names come with the model's facts. */
  treeless = false;
  /** Paths to list besides the files. */
  readonly extraPaths: string[] = [];
  readonly #repository: string;
  readonly #hub: Server;
  readonly #store: Server;

  constructor(repository: string, files: Readonly<Record<string, Buffer | string>>) {
    this.#repository = repository;
    this.files = new Map(Object.entries(files).map(([path, content]) => [path, Buffer.from(content as string)]));
    this.#hub = createServer((request, response) => void this.#answer(request, response));
    this.#store = createServer((request, response) => void this.#serve(request, response, "store"));
  }

  async start(): Promise<this> {
    for (const server of [this.#hub, this.#store]) await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`;
  }

  // Another port is another origin, as another host would be.
  get #storeUrl(): string {
    return `http://127.0.0.1:${(this.#store.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of [this.#hub, this.#store]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  /** Files at least this long are stored as LFS. */
  static readonly largeFrom = 10_000;

  #entry(path: string): object {
    const content = this.files.get(path) ?? Buffer.alloc(0);
    const oid = createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
    if (content.length < StandInHub.largeFrom) return { type: "file", path, size: content.length, oid };
    const sha256 = createHash("sha256").update(content).digest("hex");
    return { type: "file", path, size: content.length, oid: "0".repeat(40), lfs: { oid: sha256, size: content.length, pointerSize: 134 } };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, this.url);
    const json = (value: unknown, headers = {}): void =>
      void response.writeHead(200, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
    if (this.token !== null && request.headers.authorization !== `Bearer ${this.token}`) return void response.writeHead(401).end();
    const api = `/api/models/${this.#repository}`;
    const paths = [...this.files.keys(), ...this.extraPaths];
    if (url.pathname === `${api}/revision/main` || url.pathname === `${api}/revision/${this.commit}`) {
      return json({ id: this.#repository, sha: this.commit, siblings: paths.map((rfilename) => ({ rfilename })) });
    }
    if (url.pathname === `${api}/tree/${this.commit}` && !this.treeless) {
      // Three entries a page, so that paging is always met.
      const from = Number(url.searchParams.get("cursor") ?? 0);
      const next = from + 3 < paths.length ? { link: `<${this.url}${url.pathname}?cursor=${from + 3}>; rel="next"` } : {};
      return json(
        [{ type: "directory", path: "original", size: 0 }, ...paths.slice(from, from + 3).map((path) => this.#entry(path))],
        next,
      );
    }
    const resolve = `/${this.#repository}/resolve/${this.commit}/`;
    if (!url.pathname.startsWith(resolve)) return void response.writeHead(404).end();
    const path = decodeURIComponent(url.pathname.slice(resolve.length));
    const content = this.files.get(path);
    if (!content) return void response.writeHead(404).end();
    if (content.length < StandInHub.largeFrom) return this.#serve(request, response, "hub", path);
    const linked = { "x-linked-size": content.length, "x-linked-etag": `"${createHash("sha256").update(content).digest("hex")}"` };
    this.#note(request, "hub", path);
    response.writeHead(302, { location: `${this.#storeUrl}/${encodeURIComponent(path)}`, ...linked }).end();
  }

  #note(request: IncomingMessage, origin: "hub" | "store", path: string): void {
    this.requests.push({ path, origin, range: request.headers.range, authorization: request.headers.authorization });
  }

  async #serve(request: IncomingMessage, response: ServerResponse, origin: "hub" | "store", named?: string): Promise<void> {
    const path = named ?? decodeURIComponent(new URL(request.url!, this.url).pathname.slice(1));
    this.#note(request, origin, path);
    const trouble = this.trouble.get(path) ?? {};
    if (trouble.status && trouble.status.times-- > 0) return void response.writeHead(trouble.status.code).end();
    let content = this.files.get(path)!;
    if (trouble.corrupt) content = Buffer.alloc(content.length, 0x2a);
    const start = trouble.ignoreRange ? 0 : Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    if (start > 0 && start >= content.length) return void response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
    let body = content.subarray(start);
    if (trouble.overlong) body = Buffer.concat([body, Buffer.alloc(1000)]);
    const headers = start > 0 ? { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` } : {};
    response.writeHead(start > 0 ? 206 : 200, { ...(trouble.overlong ? {} : { "content-length": body.length }), ...headers });
    if (trouble.hang !== undefined) return void (response.flushHeaders(), response.write(body.subarray(0, trouble.hang)));
    const cut = trouble.cut && trouble.cut.times-- > 0 ? trouble.cut.after : Number.POSITIVE_INFINITY;
    for (let sent = 0; sent < body.length && !response.destroyed; sent += 65536) {
      const chunk = body.subarray(sent, Math.min(sent + 65536, cut));
      await new Promise((resolve) => response.write(chunk, resolve));
      if (sent + 65536 >= cut) return void response.destroy();
      if (trouble.slow) await wait(trouble.slow);
    }
    response.end();
  }
}
