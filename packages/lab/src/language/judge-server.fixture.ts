/**
 * For tests: a stand-in for an OpenAI-compatible service, on loopback.
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What a request asked. */
export interface Asked {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
}

/** A running service; closed by `await using`. */
export interface JudgeServer extends AsyncDisposable {
  readonly url: string;
  readonly asked: readonly Asked[];
}

/** Answers each text with the words that `answer` has for it; one that takes the response itself sends what it likes. */
export async function judgeServer(answer: (text: string, response: ServerResponse) => string | null): Promise<JudgeServer> {
  const asked: Asked[] = [];
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { model, messages } = JSON.parse(Buffer.concat(parts).toString("utf8")) as Pick<Asked, "model" | "messages">;
    asked.push({ path: request.url ?? "", authorization: request.headers.authorization, model, messages });
    const words = answer(messages.at(-1)?.content ?? "", response);
    if (words === null) return;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ choices: [{ message: { role: "assistant", content: words } }] }));
  };
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
