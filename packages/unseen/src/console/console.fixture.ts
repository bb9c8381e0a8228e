/**
 * A console in a temporary home, asked like a page asks it; for tests.
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Offer } from "@unseen/client/gateway/offer.ts";
import { resolveHome, type Home } from "@unseen/client/home.ts";
import type { Failure } from "@unseen/web/protocol/failure.ts";
import type { Console, ConsolePart } from "./console.ts";
import { createSite } from "./site.ts";

const ACCESS = "a".repeat(43);

/** A home that goes away with the process. */
export function temporaryHome(): Home {
  const root = mkdtempSync(join(tmpdir(), "unseen-console-"));
  process.once("exit", () => rmSync(root, { recursive: true, force: true }));
  return resolveHome({ UNSEEN_HOME: root });
}

export interface Asked<Body> {
  readonly status: number;
  readonly body: Body & { readonly error?: Failure };
}

/** One part of the console as a gateway would serve it. */
export class TestConsole implements Console {
  readonly home: Home;
  readonly version = "0.0.0";
  readonly offer = new Offer();
  preparing: string | null = null;
  /** Remarks. */
  readonly notes: string[] = [];
  readonly #part: ConsolePart;
  readonly #fetch: (request: Request) => Response | Promise<Response>;

  constructor(home: Home, open: (console: Console) => ConsolePart, offer?: Offer) {
    this.home = home;
    if (offer) this.offer = offer;
    this.#part = open(this);
    const assets = { owns: () => false, respond: () => new Response(null, { status: 404 }) };
    const site = createSite({ accessCode: ACCESS, assets, parts: [this.#part] });
    this.#fetch = (request) => site.fetch(request);
  }

  readonly note = (line: string): void => void this.notes.push(line);

  async ask<Body>(method: string, path: string, body?: unknown): Promise<Asked<Body>> {
    const response = await this.#fetch(
      new Request(`http://127.0.0.1:8800${path}`, {
        method,
        headers: { authorization: `Bearer ${ACCESS}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      }),
    );
    const text = await response.text();
    return { status: response.status, body: (text ? JSON.parse(text) : null) as Asked<Body>["body"] };
  }

  async close(): Promise<void> {
    await this.#part.close?.();
  }
}
