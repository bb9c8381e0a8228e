/** The `ai` SDK with its OpenAI-compatible provider against the gateway, unmodified but for the base URL. */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { ScriptedHost } from "../engines/scripted-host.fixture.ts";
import { startGateway, type RunningGateway } from "./serve.ts";
import { modelOn, says, startHost } from "./test-model.fixture.ts";

let host: ScriptedHost;
let gateway: RunningGateway;
before(async () => {
  host = await startHost("");
  gateway = await startGateway({ models: [modelOn([host])], port: 0 });
});
after(async () => {
  await gateway.close();
  await host.close();
});

const model = (): ReturnType<ReturnType<typeof createOpenAICompatible>> =>
  createOpenAICompatible({ name: "unseen", baseURL: gateway.baseUrl, includeUsage: true, supportsStructuredOutputs: true })("test-model");
function script(...answers: string[]): void {
  let number = 0;
  host.script = { ...host.script, answer: () => says(answers[Math.min(number++, answers.length - 1)]!) };
}
const city = jsonSchema<{ city: string }>({ type: "object", properties: { city: { type: "string" } }, required: ["city"] });
const tools = { get_weather: tool({ description: "Weather", inputSchema: city, execute: ({ city: name }) => `rain in ${name}` }) };
const call = '<tool_call>{"name": "get_weather", "arguments": {"city": "Bern"}}</tool_call>';

test("generateText: text, reasoning and usage", async () => {
  script("<think>Hm</think>Grüezi 🎉");
  const result = await generateText({ model: model(), prompt: "Hi", temperature: 0, seed: 1 });
  assert.deepEqual([result.text, result.reasoningText, result.finishReason], ["Grüezi 🎉", "Hm", "stop"]);
  assert.ok(result.usage.inputTokens! > 0 && result.usage.outputTokens! > 0);
});

test("streamText: deltas add up, usage arrives", async () => {
  script("Wörld 🎉");
  const result = streamText({ model: model(), prompt: "Hi" });
  const parts = await Array.fromAsync(result.textStream);
  assert.ok(parts.length > 2);
  assert.equal(parts.join(""), "Wörld 🎉");
  assert.ok((await result.usage).outputTokens! > 0);
});

test("tools: the SDK runs the function and the model sees its result, streamed or not", async () => {
  script(call, "It rains.");
  const result = await generateText({ model: model(), prompt: "Weather?", tools, stopWhen: stepCountIs(2) });
  assert.equal(result.text, "It rains.");
  assert.deepEqual(result.steps[0]?.toolCalls[0]?.input, { city: "Bern" });
  script(call, "It rains.");
  const streamed = streamText({ model: model(), prompt: "Weather?", tools, stopWhen: stepCountIs(2) });
  assert.equal((await Array.fromAsync(streamed.textStream)).join(""), "It rains.");
});

test("structured output: an invalid answer is asked for again behind the gateway", async () => {
  script("no idea", '{"city": "Bern"}');
  const result = await generateText({ model: model(), prompt: "Where?", output: Output.object({ schema: city }) });
  assert.deepEqual(result.output, { city: "Bern" });
});
