/**
 * A stand-in for an untrusted host, for tests: vLLM's dialect over real HTTP, saying exactly what a script tells it,
 * which includes dying, hanging and lying.
 * @module
 */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** One thing that the host does. */
export type Step =
  | { readonly ids: readonly number[]; readonly logprobs?: unknown; readonly finish?: string }
  | { readonly raw: string }
  | { readonly status: number; readonly body?: unknown }
  | { readonly wait: number }
  | "die"
  | "hang"
  | "done";

/** The body of a completion request, as far as scripts look at it. */
export interface ReceivedBody {
  readonly prompt: number[];
  readonly max_tokens: number;
  readonly stop_token_ids: number[];
  readonly [field: string]: unknown;
}

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: string;
  /** Resolves when the connection ends, with whether the client hung up before the answer was complete. */
  readonly ended: Promise<"complete" | "aborted">;
}

export interface HostScript {
  /** Rows of `/v1/models`. */
  readonly models?: readonly unknown[];
  /** Status of `/v1/models`; 200 by default. */
  readonly modelsStatus?: number | (() => number);
  /** The steps of answer number `call` (from 0). */
  readonly answer: (body: ReceivedBody, call: number) => readonly Step[] | Iterable<Step>;
}

export class ScriptedHost {
  readonly received: Received[] = [];
  script: HostScript;
  readonly #server: Server;
  #calls = 0;

  private constructor(server: Server, script: HostScript) {
    this.#server = server;
    this.script = script;
  }

  static async start(script: HostScript): Promise<ScriptedHost> {
    const server = createServer();
    const host = new ScriptedHost(server, script);
    server.on("request", (request, response: ServerResponse) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const ended = once(response, "close").then(() => (response.writableFinished ? ("complete" as const) : ("aborted" as const)));
        const bytes = Buffer.concat(parts).toString("utf8");
        host.received.push({ path: request.url ?? "", headers: request.headers, bytes, ended });
        void host.#respond(request.url ?? "", bytes, response);
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return host;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The completion requests, parsed. */
  get completions(): (Received & { readonly body: ReceivedBody })[] {
    return this.received
      .filter((entry) => entry.path === "/v1/completions")
      .map((entry) => ({ ...entry, body: JSON.parse(entry.bytes) as ReceivedBody }));
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #respond(path: string, bytes: string, response: ServerResponse): Promise<void> {
    const { modelsStatus = 200 } = this.script;
    const status = typeof modelsStatus === "number" ? modelsStatus : modelsStatus();
    if (path === "/v1/models") return json(response, status, { object: "list", data: this.script.models ?? [] });
    if (path !== "/v1/completions") return json(response, 404, { error: { message: "no such path" } });
    const call = this.#calls;
    this.#calls += 1;
    for (const step of this.script.answer(JSON.parse(bytes) as ReceivedBody, call)) {
      if (response.destroyed) return;
      if (step === "hang") return;
      if (step === "die") return void response.destroy();
      if (step === "done") {
        response.end("data: [DONE]\n\n");
        return;
      }
      if ("wait" in step) {
        await sleep(step.wait);
        continue;
      }
      if ("status" in step)
        return json(response, step.status, step.body ?? { error: { message: "scripted", type: "scripted", param: null, code: null } });
      if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("raw" in step ? step.raw : event(step));
      // Gives each chunk a packet of its own, so that a later "die" finds it delivered.
      await sleep(2);
    }
    response.end("data: [DONE]\n\n");
  }
}

function event(step: { readonly ids: readonly number[]; readonly logprobs?: unknown; readonly finish?: string }): string {
  const choice = { index: 0, text: "", token_ids: step.ids, logprobs: step.logprobs ?? null, finish_reason: step.finish ?? null };
  return `data: ${JSON.stringify({ id: "cmpl-1", object: "text_completion", created: 1, model: "m", choices: [choice] })}\n\n`;
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}
