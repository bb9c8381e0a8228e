/**
 * One streamed answer through the gateway, next to what the host saw of it.
 * @module
 */
import type { ServedModel } from "@unseen/client/gateway/model.ts";
import type { RunningGateway } from "@unseen/client/gateway/serve.ts";
import { readEvents } from "@unseen/client/engines/event-stream.ts";
import { withoutControls } from "@unseen/client/chat/chat-loop.ts";
import { listIds, type WireView } from "@unseen/client/chat/wire-view.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Terminal } from "./terminal.ts";

export interface Demonstration {
  readonly question: string;
  readonly answer: string;
  /** Ids that went to the host, and came back. */
  readonly hostSaw: { readonly prompt: readonly number[]; readonly answer: readonly number[] };
}

/** Asks over HTTP, as any program would. Throws `HOST_PROTOCOL` where the gateway refuses. */
export async function streamDemonstration(input: {
  gateway: RunningGateway;
  model: ServedModel;
  question: string;
  apiKey: string | undefined;
  /** Fed by the gateway while the answer streams. */
  wire: WireView;
  terminal: Terminal;
}): Promise<Demonstration> {
  const { gateway, model, question, apiKey, wire, terminal } = input;
  terminal.print(`You   ${question}`);
  terminal.write("Model ");
  const response = await fetch(`${gateway.baseUrl}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}) },
    body: JSON.stringify({
      model: model.id,
      stream: true,
      temperature: 0,
      max_tokens: 120,
      messages: [{ role: "user", content: question }],
    }),
  });
  if (!response.ok || !response.body) throw new UnseenError("HOST_PROTOCOL", `the gateway answered ${response.status}.`);
  let answer = "";
  for await (const data of readEvents(response.body, () => {})) {
    if (data === "[DONE]") break;
    const delta = (JSON.parse(data) as { choices?: { delta?: { content?: string } }[] }).choices?.[0]?.delta?.content ?? "";
    answer += delta;
    terminal.write(withoutControls(delta));
  }
  const { sent: prompt, received } = wire;
  terminal.print();
  terminal.print();
  terminal.print("What the host saw of it, all of it:");
  terminal.print(`  in    ${listIds(prompt)}`);
  terminal.print(`  out   ${listIds(received)}`);
  terminal.print();
  return { question, answer, hostSaw: { prompt, answer: received } };
}
