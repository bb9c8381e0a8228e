/** The official `openai` client against the gateway, unmodified but for the base URL. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import type { ChatCompletionTool } from "openai/resources/chat/completions";
import type { HostScript, ScriptedHost } from "../engines/scripted-host.fixture.ts";
import { startGateway, type RunningGateway } from "./serve.ts";
import { deciphered, modelOn, PLAIN_TEMPLATE, says, secret, startHost, testCipher } from "./test-model.fixture.ts";

let host: ScriptedHost;
let gateway: RunningGateway;
let client: OpenAI;

before(async () => {
  host = await startHost("");
  const plain = { ...modelOn([host], { template: PLAIN_TEMPLATE, contextLength: 4096 }), id: "plain" };
  gateway = await startGateway({
    models: [modelOn([host]), plain, { ...plain, id: "org/idsonly", tokenizer: null }],
    port: 0,
    apiKey: "sk-test",
  });
  client = new OpenAI({ baseURL: gateway.baseUrl, apiKey: "sk-test", maxRetries: 0 });
});
after(async () => {
  await gateway.close();
  await host.close();
});

/** Sets what the host says from now on; returns the bodies it receives. */
function script(answer: HostScript["answer"] | string): () => ReturnType<typeof bodies> {
  const from = host.completions.length;
  let call = 0;
  host.script = { ...host.script, answer: typeof answer === "string" ? () => says(answer) : (body) => answer(body, call++) };
  return () => bodies(from);
}
const bodies = (from: number) => host.completions.slice(from).map((entry) => entry.body);

const model = "test-model";
const messages = [{ role: "user" as const, content: "Hi" }];
const weather: ChatCompletionTool = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const call = '<tool_call>{"name": "get_weather", "arguments": {"city": "Zürich"}}</tool_call>';

test("chat: the template is applied here and the answer comes back as text with its usage", async () => {
  const seen = script("Grüezi 🎉");
  const result = await client.chat.completions.create({ model, messages: [{ role: "developer", content: "Be kind." }, { role: "user", content: [{ type: "text", text: "Hi" }, { type: "text", text: "there" }] }] }); // prettier-ignore
  assert.equal(result.choices[0]?.message.content, "Grüezi 🎉");
  assert.equal(result.choices[0]?.finish_reason, "stop");
  assert.equal(deciphered(seen()[0]!), "<|bos|><|system|>Be kind.<|end|><|user|>Hi\nthere<|end|><|assistant|>");
  assert.deepEqual(result.usage, {
    prompt_tokens: seen()[0]!.prompt.length,
    completion_tokens: 13,
    total_tokens: seen()[0]!.prompt.length + 13,
    completion_tokens_details: { reasoning_tokens: 0 },
  });
  assert.match(result._request_id ?? "", /^req_/);
});

test("chat stream: role first, whole characters, the reason last, usage when asked for", async () => {
  script("Wörld 🎉!");
  const chunks = await Array.fromAsync(
    await client.chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } }),
  );
  assert.deepEqual(chunks[0]?.choices[0]?.delta, { role: "assistant", content: "" });
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), "Wörld 🎉!");
  assert.ok(chunks.every((chunk) => !JSON.stringify(chunk).includes("\ufffd")));
  assert.equal(chunks.at(-2)?.choices[0]?.finish_reason, "stop");
  assert.deepEqual([chunks.at(-1)?.choices, chunks.at(-1)?.usage?.completion_tokens], [[], 13]);
  const helper = await client.chat.completions.stream({ model, messages }).finalContent();
  assert.equal(helper, "Wörld 🎉!");
});

test("sampling fields reach the host as numbers, stop strings do not, and max_tokens is kept inside the context", async () => {
  const seen = script("one two three");
  const result = await client.chat.completions.create({ model, messages, temperature: 0.5, top_p: 0, seed: 7, presence_penalty: 1, frequency_penalty: -1, logit_bias: { "65": -100 }, stop: [" t"], max_completion_tokens: 1_000_000 }); // prettier-ignore
  assert.equal(result.choices[0]?.message.content, "one");
  assert.equal(result.choices[0]?.finish_reason, "stop");
  const [body] = seen();
  assert.deepEqual(
    [body?.["temperature"], body?.["top_p"], body?.["seed"], body?.["presence_penalty"], body?.["frequency_penalty"]],
    [0.5, 1e-6, 7, 1, -1],
  );
  assert.deepEqual(body?.["logit_bias"], { [testCipher.encipher([65])[0]!]: -100 });
  assert.equal(body?.max_tokens, 4096 - body!.prompt.length);
  assert.ok(!("stop" in body!));
});

test("a stop string hangs up on the host", async () => {
  script(() => [{ ids: secret("abc STOP") }, "hang"]);
  const result = await client.chat.completions.create({ model, messages, stop: "STOP" });
  assert.equal(result.choices[0]?.message.content, "abc ");
  assert.equal(await host.received.at(-1)?.ended, "aborted");
});

test("n answers are generated side by side, each with its own seed", async () => {
  const seen = script((body) => says(`seed ${String(body["seed"])}`));
  const result = await client.chat.completions.create({ model, messages, n: 3, seed: 10 });
  assert.deepEqual(result.choices.map((choice) => [choice.index, choice.message.content]), [[0, "seed 10"], [1, "seed 11"], [2, "seed 12"]]); // prettier-ignore
  assert.equal(result.usage?.prompt_tokens, seen()[0]!.prompt.length);
  const texts = ["", "", ""];
  for await (const chunk of await client.chat.completions.create({ model, messages, n: 3, seed: 10, stream: true })) {
    for (const choice of chunk.choices) texts[choice.index] += choice.delta.content ?? "";
  }
  assert.deepEqual(texts, ["seed 10", "seed 11", "seed 12"]);
});

test("logprobs carry the token's text and bytes, also of a character cut in two", async () => {
  const [first, second] = secret("é");
  const line = (id: number): unknown => ({
    tokens: ["?"],
    token_logprobs: [-0.25],
    top_logprobs: [{ [`token_id:${id}`]: -0.25, [`token_id:${testCipher.encipher([66])[0]}`]: -2 }],
  });
  const seen = script(() => [
    { ids: [first!], logprobs: line(first!) },
    { ids: [second!], logprobs: line(second!), finish: "length" },
  ]);
  const result = await client.chat.completions.create({ model, messages, logprobs: true, top_logprobs: 2 });
  const content = result.choices[0]?.logprobs?.content;
  assert.deepEqual(content?.map((entry) => [entry.logprob, entry.bytes, entry.top_logprobs.length]), [[-0.25, [0xc3], 2], [-0.25, [0xa9], 2]]); // prettier-ignore
  assert.deepEqual(content?.[0]?.top_logprobs[1], { token: "B", logprob: -2, bytes: [66] });
  assert.equal(result.choices[0]?.finish_reason, "length");
  assert.deepEqual([seen()[0]!["logprobs"], seen()[0]!["return_tokens_as_token_ids"]], [2, true]);
  const chunks = await Array.fromAsync(
    await client.chat.completions.create({ model, messages, logprobs: true, top_logprobs: 1, stream: true }),
  );
  assert.equal(chunks.flatMap((chunk) => chunk.choices[0]?.logprobs?.content ?? []).length, 2);
});

test("tools: a call comes back as a tool call, its result goes into the prompt, streamed or not", async () => {
  const seen = script((_, number) => says(number === 0 ? `I will look.${call}` : "It rains."));
  const first = await client.chat.completions.create({ model, messages, tools: [weather] });
  const message = first.choices[0]!.message;
  assert.deepEqual([first.choices[0]?.finish_reason, message.content], ["tool_calls", "I will look."]);
  const made = message.tool_calls![0]!;
  assert.ok(made.type === "function");
  assert.deepEqual(made.function, { name: "get_weather", arguments: '{"city":"Zürich"}' });
  assert.match(deciphered(seen()[0]!), /Tools: .*get_weather/);
  const second = await client.chat.completions.create({
    model,
    messages: [...messages, message, { role: "tool", tool_call_id: made.id, content: "rain" }],
    tools: [weather],
  });
  assert.equal(second.choices[0]?.message.content, "It rains.");
  assert.match(deciphered(seen()[1]!), /"city": ?"Z.*<\|tool\|>rain<\|end\|>/);

  script(call);
  const stream = client.chat.completions.stream({ model, messages, tools: [weather] });
  const final = await stream.finalChatCompletion();
  assert.equal(final.choices[0]?.finish_reason, "tool_calls");
  const streamed = final.choices[0]?.message.tool_calls?.[0];
  assert.ok(streamed?.type === "function");
  assert.equal(streamed.function.arguments, '{"city":"Zürich"}');
});

test("tool_choice none offers no tools, a template without tools gets them described", async () => {
  const seen = script("no");
  await client.chat.completions.create({ model, messages, tools: [weather], tool_choice: "none" });
  assert.ok(!deciphered(seen()[0]!).includes("get_weather"));
  await client.chat.completions.create({ model: "plain", messages, tools: [weather] });
  assert.match(deciphered(seen()[1]!), /<\|user\|>Hi\n\nYou can call these functions:.*get_weather/s);
});

for (const tool_choice of ["required", { type: "function" as const, function: { name: "get_weather" } }] as const) {
  test(`tool_choice ${typeof tool_choice === "string" ? tool_choice : "by name"}: asks again until the call is valid`, async () => {
    const answers = ["I'd rather talk.", '<tool_call>{"name": "get_weather", "arguments": {"town": 1}}</tool_call>', call];
    const seen = script((_, number) => says(answers[number]!));
    const result = await client.chat.completions.create({ model, messages, tools: [weather], tool_choice });
    assert.equal(result.choices[0]?.finish_reason, "tool_calls");
    assert.equal(result.choices[0]?.message.tool_calls?.length, 1);
    assert.match(deciphered(seen()[1]!), /I'd rather talk\..*called no function/s);
    assert.match(deciphered(seen()[2]!), /city/);
  });
}

const schema = { type: "object", properties: { name: { type: "string" } }, required: ["name"], additionalProperties: false };

test("response_format: JSON is checked, asked for again, unwrapped, and streamed only when valid", async () => {
  const answers = ["Sure!", '```json\n{"name": "Ada"}\n```'];
  const format = {
    type: "json_schema" as const,
    json_schema: { name: "person", schema: { $schema: "http://json-schema.org/draft-07/schema#", ...schema } },
  };
  const seen = script((_, number) => says(answers[number]!));
  const result = await client.chat.completions.create({ model: "plain", messages, response_format: format });
  assert.equal(result.choices[0]?.message.content, '{"name": "Ada"}');
  assert.match(deciphered(seen()[0]!), /<\|user\|>Hi\n\nAnswer with one JSON object/);
  script((_, number) => says(answers[number]!));
  const stream = client.chat.completions.stream({ model, messages, response_format: format });
  assert.equal(await stream.finalContent(), '{"name": "Ada"}');
  script('{"a": [1, 2]} and so on');
  const object = await client.chat.completions.create({ model, messages, response_format: { type: "json_object" } });
  assert.equal(object.choices[0]?.message.content, '{"a": [1, 2]}');
});

test("response_format: an answer that never fits is OUTPUT_INVALID, which clients do not repeat", async () => {
  const seen = script("never");
  const promise = client.chat.completions.create({ model, messages, response_format: { type: "json_object" }, stream: true });
  await assert.rejects(promise, (error) => error instanceof OpenAI.UnprocessableEntityError && error.code === "output_invalid");
  assert.equal(seen().length, 3);
});

test("reasoning goes into reasoning_content and is counted, also when the template opens the thought", async () => {
  script("<think>\nHm.\n</think>\n\nYes.");
  const result = await client.chat.completions.create({ model, messages });
  const message = result.choices[0]!.message as { content: string; reasoning_content?: string };
  assert.deepEqual([message.content, message.reasoning_content], ["Yes.", "Hm."]);
  assert.ok(result.usage!.completion_tokens_details!.reasoning_tokens! > 0);
  script("Hm.</think>Yes.");
  const opened = await client.chat.completions.create({ model, messages, chat_template_kwargs: { thinking: true } } as never);
  assert.equal((opened.choices[0]!.message as { reasoning_content?: string }).reasoning_content, "Hm.");
});

test("unknown fields and nulls are ignored", async () => {
  script("ok");
  const body = {
    model,
    messages,
    stop: null,
    tools: null,
    n: null,
    metadata: { a: "b" },
    store: true,
    service_tier: "auto",
    frobnicate: { deep: [1] },
  };
  assert.equal((await client.chat.completions.create(body as never)).choices[0]?.message.content, "ok");
});

test("models: list and one by name, also with a slash in it", async () => {
  const list = await Array.fromAsync(await client.models.list());
  assert.deepEqual(list.map((entry) => entry.id), ["test-model", "plain", "org/idsonly"]); // prettier-ignore
  assert.deepEqual([list[0]?.object, list[0]?.owned_by, list[0]?.created], ["model", "unseen", Date.parse("2026-11-21") / 1000]);
  assert.equal((await client.models.retrieve("org/idsonly")).id, "org/idsonly");
});

test("completions: texts, ids, several prompts, echo, logprobs, ids in the answer", async () => {
  const seen = script((body) => says(`(${body.prompt.length})`));
  const texts = await client.completions.create({ model, prompt: ["ab", "abcd"], echo: true });
  assert.deepEqual(texts.choices.map((choice) => choice.text), ["ab(3)", "abcd(5)"]); // prettier-ignore
  assert.equal(seen()[0]?.max_tokens, 16);
  const ids = (await client.completions.create({
    model: "org/idsonly",
    prompt: [256, 65],
    max_tokens: 9,
    return_token_ids: true,
  } as never)) as unknown as { choices: { text: string; token_ids: number[]; prompt_token_ids: number[] }[] };
  assert.deepEqual([ids.choices[0]?.text, ids.choices[0]?.prompt_token_ids, ids.choices[0]?.token_ids], ["", [256, 65], [40, 50, 41, 260]]);
  const chunks = await Array.fromAsync(
    await client.completions.create({ model, prompt: "ab", stream: true, stream_options: { include_usage: true } }),
  );
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? "").join(""), "(3)");
  assert.equal(chunks.at(-1)?.usage?.prompt_tokens, 3);
  const [a] = secret("a");
  script(() => [
    { ids: [a!], logprobs: { tokens: ["?"], token_logprobs: [-0.5], top_logprobs: [{ [`token_id:${a}`]: -0.5 }] }, finish: "stop" },
  ]);
  assert.deepEqual((await client.completions.create({ model, prompt: "x", echo: true, logprobs: 1 })).choices[0]?.logprobs, {
    tokens: ["a"],
    token_logprobs: [-0.5],
    top_logprobs: [{ a: -0.5 }],
    text_offset: [1],
  });
});

const failures: [
  name: string,
  request: () => Promise<unknown>,
  kind: new (...given: never[]) => InstanceType<typeof OpenAI.APIError>,
  code: string,
  param?: string,
][] = [
  ["an unknown model", () => client.chat.completions.create({ model: "gpt-5", messages }), OpenAI.NotFoundError, "model_not_found"],
  [
    "a wrong field",
    () => client.chat.completions.create({ model, messages, temperature: 9 }),
    OpenAI.BadRequestError,
    "invalid_value",
    "temperature",
  ],
  [
    "a wrong message",
    () => client.chat.completions.create({ model, messages: [{ role: "king" }] as never }),
    OpenAI.BadRequestError,
    "invalid_value",
    "messages[0].role",
  ],
  [
    "an image",
    () =>
      client.chat.completions.create({
        model,
        messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:" } }] }],
      }),
    OpenAI.BadRequestError,
    "unsupported",
    "messages[0].content[0]",
  ],
  [
    "a prompt beyond the context",
    () => client.chat.completions.create({ model, messages: [{ role: "user", content: "x".repeat(5000) }] }),
    OpenAI.BadRequestError,
    "context_length_exceeded",
    "messages",
  ],
  [
    "a bias outside the vocabulary",
    () => client.chat.completions.create({ model, messages, logit_bias: { "300": 1 } }),
    OpenAI.BadRequestError,
    "token_out_of_range",
    "logit_bias",
  ],
  [
    "an id outside the vocabulary",
    () => client.completions.create({ model, prompt: [300] }),
    OpenAI.BadRequestError,
    "token_out_of_range",
    "prompt",
  ],
  [
    "a schema that does not compile",
    () =>
      client.chat.completions.create({
        model,
        messages,
        response_format: { type: "json_schema", json_schema: { name: "x", schema: { type: "nonsense" } } },
      }),
    OpenAI.BadRequestError,
    "invalid_value",
    "response_format.json_schema.schema",
  ],
  [
    "text for a model without tokenizer",
    () => client.chat.completions.create({ model: "org/idsonly", messages }),
    OpenAI.BadRequestError,
    "tokenizer_missing",
  ],
  ["a suffix", () => client.completions.create({ model, prompt: "x", suffix: "y" }), OpenAI.BadRequestError, "unsupported", "suffix"],
  ["embeddings", () => client.embeddings.create({ model, input: "x" }), OpenAI.BadRequestError, "unsupported", "model"],
  ["a wrong key", () => client.withOptions({ apiKey: "sk-wrong" }).models.list(), OpenAI.AuthenticationError, "invalid_api_key"],
];
for (const [name, request, kind, code, param] of failures) {
  test(`errors: ${name} is ${kind.name} ${code}`, async () => {
    const before = host.completions.length;
    await assert.rejects(request(), (error) => {
      assert.ok(error instanceof kind, String(error));
      assert.deepEqual([error.code, error.param ?? null, typeof error.type], [code, param ?? null, "string"]);
      return true;
    });
    assert.equal(host.completions.length, before, "no host was asked");
  });
}

const hostFailures: [
  name: string,
  answer: HostScript["answer"],
  kind: new (...given: never[]) => InstanceType<typeof OpenAI.APIError>,
  status: number,
  code: string,
][] = [
  ["a full queue", () => [{ status: 429 }], OpenAI.RateLimitError, 429, "overloaded"],
  ["a loading host", () => [{ status: 503 }], OpenAI.InternalServerError, 503, "host_loading"],
  ["a failing host", () => [{ status: 500 }], OpenAI.InternalServerError, 502, "host_refused"],
  ["an id out of range", () => [{ ids: [300] }], OpenAI.InternalServerError, 502, "host_protocol"],
];
for (const [name, answer, kind, status, code] of hostFailures) {
  test(`errors: ${name} is ${status} ${code}, streamed or not`, async () => {
    script(answer);
    for (const stream of [false, true]) {
      await assert.rejects(client.chat.completions.create({ model, messages, stream }), (error) => {
        assert.ok(error instanceof kind, String(error));
        assert.deepEqual([error.status, error.code], [status, code]);
        return true;
      });
    }
  });
}

test("errors: a failure in mid-stream reaches the client as an error after the text so far", async () => {
  script((_, number) => (number === 0 ? [{ ids: secret("Hel") }, { ids: [300] }] : [{ status: 500 }]));
  let text = "";
  await assert.rejects(
    async () => {
      for await (const chunk of await client.chat.completions.create({ model, messages, stream: true }))
        text += chunk.choices[0]?.delta.content ?? "";
    },
    (error) => error instanceof OpenAI.APIError && error.code === "host_refused",
  );
  assert.equal(text, "Hel");
});
