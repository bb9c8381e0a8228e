/** The Responses API of the official `openai` client against the gateway. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import type { FunctionTool } from "openai/resources/responses/responses";
import type { HostScript, ScriptedHost } from "../engines/scripted-host.fixture.ts";
import { startGateway, type RunningGateway } from "./serve.ts";
import { deciphered, modelOn, says, secret, startHost } from "./test-model.fixture.ts";

let host: ScriptedHost;
let gateway: RunningGateway;
let client: OpenAI;
const model = "test-model";
const tool: FunctionTool = {
  type: "function",
  name: "add",
  description: "Adds",
  parameters: { type: "object", properties: { a: { type: "number" } }, required: ["a"] },
  strict: true,
};
const call = '<tool_call>{"name":"add","arguments":{"a":1}}</tool_call>';

before(async () => {
  host = await startHost("");
  gateway = await startGateway({ models: [modelOn([host])], port: 0 });
  client = new OpenAI({ baseURL: gateway.baseUrl, apiKey: "any", maxRetries: 0 });
});
after(async () => {
  await gateway.close();
  await host.close();
});

function script(answer: HostScript["answer"] | string): void {
  host.script = { ...host.script, answer: typeof answer === "string" ? () => says(answer) : answer };
}
const lastPrompt = (): string => deciphered(host.completions.at(-1)!.body);

test("a text in, a text out, with usage and what the request said", async () => {
  script("<think>Hm</think>Hello!");
  const response = await client.responses.create({
    model,
    input: "Hi",
    instructions: "Be brief.",
    max_output_tokens: 99,
    metadata: { a: "b" },
  });
  assert.equal(response.output_text, "Hello!");
  assert.deepEqual(response.output.map((item) => item.type), ["reasoning", "message"]); // prettier-ignore
  assert.deepEqual(
    [response.status, response.instructions, response.metadata, response.max_output_tokens],
    ["completed", "Be brief.", { a: "b" }, 99],
  );
  assert.ok(response.usage!.output_tokens_details.reasoning_tokens > 0);
  assert.equal(response.usage!.total_tokens, response.usage!.input_tokens + response.usage!.output_tokens);
  assert.equal(lastPrompt(), "<|bos|><|system|>Be brief.<|end|><|user|>Hi<|end|><|assistant|>");
  assert.equal(host.completions.at(-1)!.body.max_tokens, 99);
});

test("an answer cut by max_output_tokens is incomplete", async () => {
  script(() => [{ ids: secret("Hel"), finish: "length" }]);
  const response = await client.responses.create({ model, input: "Hi", max_output_tokens: 3 });
  assert.deepEqual(
    [response.status, response.incomplete_details?.reason, response.output_text],
    ["incomplete", "max_output_tokens", "Hel"],
  );
});

test("streamed: the official helper accepts every event and ends with the same response", async () => {
  script(`<think>Hm</think>Hello${call}`);
  const types: string[] = [];
  const numbers: number[] = [];
  const stream = client.responses.stream({ model, input: "Hi", tools: [tool] });
  for await (const event of stream) {
    types.push(event.type);
    numbers.push(event.sequence_number);
  }
  const response = await stream.finalResponse();
  assert.deepEqual(numbers, numbers.map((_, index) => index)); // prettier-ignore
  assert.deepEqual(types.filter((type, index) => type !== types[index - 1]), [
    "response.created", "response.in_progress",
    "response.output_item.added", "response.content_part.added", "response.reasoning_text.delta", "response.reasoning_text.done", "response.content_part.done", "response.output_item.done",
    "response.output_item.added", "response.content_part.added", "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done",
    "response.output_item.added", "response.function_call_arguments.delta", "response.function_call_arguments.done", "response.output_item.done",
    "response.completed",
  ]); // prettier-ignore
  assert.equal(response.output_text, "Hello");
  const made = response.output.at(-1);
  assert.ok(made?.type === "function_call");
  assert.deepEqual([made.name, made.arguments], ["add", '{"a":1}']);
});

test("a function's result continues the conversation", async () => {
  script(call);
  const first = await client.responses.create({ model, input: "1?", tools: [tool], tool_choice: { type: "function", name: "add" } });
  const made = first.output[0];
  assert.ok(made?.type === "function_call");
  script("2");
  const second = await client.responses.create({
    model,
    input: [
      { role: "user", content: [{ type: "input_text", text: "1?" }] },
      made,
      { type: "function_call_output", call_id: made.call_id, output: "two" },
    ],
    tools: [tool],
  });
  assert.equal(second.output_text, "2");
  assert.match(lastPrompt(), /<\|user\|>1\?<\|end\|><\|assistant\|>.*"add".*<\|end\|><\|tool\|>two<\|end\|><\|assistant\|>$/);
});

test("text.format: the answer is JSON of the schema", async () => {
  let number = 0;
  script(() => says(["no", '{"a": 1}'][number++]!));
  const format = {
    type: "json_schema" as const,
    name: "x",
    schema: { type: "object", properties: { a: { type: "number" } }, required: ["a"] },
  };
  const response = await client.responses.parse({ model, input: "Hi", text: { format } });
  assert.deepEqual(response.output_parsed, { a: 1 });
});

test("logprobs come when they are included", async () => {
  const [id] = secret("a");
  script(() => [
    { ids: [id!], logprobs: { tokens: ["?"], token_logprobs: [-0.5], top_logprobs: [{ [`token_id:${id}`]: -0.5 }] }, finish: "stop" },
  ]);
  const response = await client.responses.create({ model, input: "Hi", include: ["message.output_text.logprobs"], top_logprobs: 1 });
  const item = response.output[0];
  assert.ok(item?.type === "message" && item.content[0]?.type === "output_text");
  assert.deepEqual(item.content[0].logprobs, [
    { token: "a", logprob: -0.5, bytes: [97], top_logprobs: [{ token: "a", logprob: -0.5, bytes: [97] }] },
  ]);
});

const refused: [param: string, fields: object][] = [
  ["previous_response_id", { previous_response_id: "resp_1" }],
  ["conversation", { conversation: "conv_1" }],
  ["background", { background: true }],
  ["tools[0].type", { tools: [{ type: "web_search" }] }],
  ["input[0].content[0]", { input: [{ role: "user", content: [{ type: "input_image", image_url: "data:" }] }] }],
  ["input[0]", { input: [{ type: "item_reference", id: "x" }] }],
];
for (const [param, fields] of refused) {
  test(`${param} is refused by name`, async () => {
    await assert.rejects(client.responses.create({ model, input: "Hi", ...fields } as never), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, param);
      return true;
    });
  });
}

test("a failure in mid-stream is an error event", async () => {
  let number = 0;
  script(() => (number++ === 0 ? [{ ids: secret("Hel") }, { ids: [300] }] : [{ status: 429 }]));
  await assert.rejects(
    async () => {
      for await (const _ of await client.responses.create({ model, input: "Hi", stream: true })) void _;
    },
    (error) => error instanceof OpenAI.APIError && error.code === "overloaded",
  );
});
