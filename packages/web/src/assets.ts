/**
 * The built pages as answers to requests: from memory, compressed once, under a content security policy that lets nothing in or out.
 * @module
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

/** Where `npm run build:web` writes. */
export const DIST = fileURLToPath(new URL("../dist", import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".woff2": "font/woff2",
  ".webmanifest": "application/manifest+json",
};

/**
 * Nothing is loaded from elsewhere, nothing is sent elsewhere, no text becomes a script or markup.
 * @see https://www.w3.org/TR/CSP3/ https://www.w3.org/TR/trusted-types/
 */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), microphone=(), geolocation=(), usb=(), payment=()",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Pages that the browser's program shows; it finds out itself which one an address means. */
const PAGES = /^\/(?:$|(?:chat|models|pictures|lab|servers|benchmarks|settings)(?:\/|$))/;

interface Asset {
  readonly type: string;
  readonly etag: string;
  /** Named by its content, so that it never changes. */
  readonly immutable: boolean;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly gzip: Uint8Array<ArrayBuffer>;
  readonly brotli: Uint8Array<ArrayBuffer>;
}

export interface WebAssets {
  /** Whether a path is a page or a file of these. */
  owns(path: string): boolean;
  respond(request: Request): Response;
}

/** Reads the built pages. @returns null where they were not built. */
export async function openWebAssets(directory = DIST): Promise<WebAssets | null> {
  const assets = new Map<string, Asset>();
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const type = TYPES[extname(entry.name)];
    if (!entry.isFile() || !type) continue;
    const file = join(entry.parentPath, entry.name);
    assets.set(
      `/${file.slice(directory.length + 1).replaceAll("\\", "/")}`,
      assetOf(await readFile(file), type, entry.parentPath.endsWith("assets")),
    );
  }
  const page = assets.get("/index.html");
  if (!page) return null;
  const find = (path: string): Asset | undefined => (PAGES.test(path) ? page : assets.get(path));
  return {
    owns: (path) => find(path) !== undefined,
    respond: (request) => respond(request, find(new URL(request.url).pathname)),
  };
}

function assetOf(content: Uint8Array, type: string, immutable: boolean): Asset {
  const bytes = new Uint8Array(content);
  return {
    type,
    immutable,
    etag: `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`,
    bytes,
    gzip: new Uint8Array(gzipSync(bytes, { level: 9 })),
    brotli: new Uint8Array(brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } })),
  };
}

function respond(request: Request, asset: Asset | undefined): Response {
  if (!asset) return new Response("Not found.", { status: 404, headers: HEADERS });
  if (request.method !== "GET" && request.method !== "HEAD")
    return new Response("Method not allowed.", { status: 405, headers: { ...HEADERS, allow: "GET, HEAD" } });
  const accepted = request.headers.get("accept-encoding") ?? "";
  const [body, encoding] = /\bbr\b/.test(accepted)
    ? [asset.brotli, "br"]
    : /\bgzip\b/.test(accepted)
      ? [asset.gzip, "gzip"]
      : [asset.bytes, null];
  const headers = {
    ...HEADERS,
    "content-type": asset.type,
    "cache-control": asset.immutable ? "public, max-age=31536000, immutable" : "no-cache",
    etag: asset.etag,
    vary: "accept-encoding",
    ...(encoding ? { "content-encoding": encoding } : {}),
  };
  if (request.headers.get("if-none-match") === asset.etag) return new Response(null, { status: 304, headers });
  return new Response(request.method === "HEAD" ? null : body, { headers });
}
