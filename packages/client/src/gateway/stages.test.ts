import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { collect, startUsage, type Answer, type Delta, type FinishReason } from "./delta.ts";
import { findToolCalls } from "./find-tool-calls.ts";
import { heldBack } from "./hold-back.ts";
import { merge } from "./merge.ts";
import { readText } from "./read-text.ts";
import { splitReasoning } from "./split-reasoning.ts";
import { stopAt } from "./stop-at.ts";
import { END, testTokenizer } from "./test-model.fixture.ts";

/** A text cut into pieces, one token each. */
async function* pieces(parts: readonly string[], reason: FinishReason = "stop"): AsyncGenerator<Delta> {
  for (const [id, text] of parts.entries()) yield { kind: "text", text, tokens: [{ id }] };
  yield { kind: "finish", reason, usage: startUsage(0) };
}

/** The same text in all kinds of pieces. */
function cut(text: string, sizes: readonly number[]): string[] {
  const parts: string[] = [];
  for (let start = 0, turn = 0; start < text.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    parts.push(text.slice(start, start + size));
    start += size;
  }
  return parts;
}
const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 });

test("held back is the longest end that may become a marker", () => {
  assert.equal(heldBack("abc<thi", ["<think>"]), 4);
  assert.equal(heldBack("abc<think>", ["<think>"]), 0);
  assert.equal(heldBack("aab", ["abx", "bz"]), 2);
  assert.equal(heldBack("", ["x"]), 0);
});

test("stop strings: however the text is cut, the answer ends before the first one", async () => {
  const text = fc.array(fc.constantFrom("a", "b", "END", "E", "N", "\n\n", "é", "🎉"), { maxLength: 12 }).map((parts) => parts.join(""));
  const stops = fc.uniqueArray(fc.constantFrom("END", "ab", "\n\n", "🎉", "NE"), { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(text, stops, sizes, async (whole, marks, cuts) => {
      const first = Math.min(...marks.map((mark) => whole.indexOf(mark)).map((index) => (index < 0 ? whole.length : index)));
      const answer = await collect(stopAt(pieces(cut(whole, cuts), "length"), marks, startUsage(0)));
      assert.equal(answer.text, whole.slice(0, first));
      assert.equal(answer.reason, first < whole.length ? "stop" : "length");
    }),
    { numRuns: 300 },
  );
});

test("stop strings: nothing that may be their beginning is shown, and the stages below are closed", async () => {
  let closed = false;
  async function* source(): AsyncGenerator<Delta> {
    try {
      yield* pieces(["Hello ST", "O", "P and more", "never read"]);
    } finally {
      closed = true;
    }
  }
  const shown: string[] = [];
  for await (const delta of stopAt(source(), ["STOP"], startUsage(0))) if (delta.kind === "text") shown.push(delta.text);
  assert.deepEqual(shown.filter(Boolean), ["Hello "]);
  assert.ok(closed);
});

test("stop strings: a token waits with its text", async () => {
  const listed: (readonly [string, number[]])[] = [];
  for await (const delta of stopAt(pieces(["a", "S", "T", "x"]), ["STOP"], startUsage(0))) {
    if (delta.kind === "text") listed.push([delta.text, delta.tokens.map((token) => token.id)]);
  }
  assert.deepEqual(listed, [["a", [0]], ["STx", [1, 2, 3]]]); // prettier-ignore
});

test("reasoning: the thought and the answer are told apart, however the text is cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      sizes,
      fc.constantFrom("<think>\nHm <b>.\n</think>\n\nYes </think>", " [THINK]Hm <b>.[/THINK]Yes </think>"),
      async (cuts, text) => {
        const answer = await collect(splitReasoning(pieces(cut(text, cuts)), startUsage(0)));
        assert.equal(answer.reasoning, "Hm <b>.");
        assert.equal(answer.text, "Yes </think>");
      },
    ),
  );
});

test("reasoning: a tag inside the answer is text, an opened thought needs no opening tag, a thought cut short stays one", async () => {
  const inside = await collect(splitReasoning(pieces(["Use ", "<think>", "x</think>"]), startUsage(0)));
  assert.deepEqual([inside.text, inside.reasoning], ["Use <think>x</think>", ""]);
  const usage = startUsage(0);
  const opened = await collect(splitReasoning(pieces(["Hm", "</th", "ink>", "Yes"]), usage, "</think>"));
  assert.deepEqual([opened.text, opened.reasoning, usage.reasoningTokens], ["Yes", "Hm", 3]);
  const short = await collect(splitReasoning(pieces(["<think>", "Hm"], "length"), startUsage(0)));
  assert.deepEqual([short.text, short.reasoning], ["", "Hm"]);
  const almost = await collect(splitReasoning(pieces(["<thi"]), startUsage(0)));
  assert.equal(almost.text, "<thi");
});

async function calls(text: string, cuts: readonly number[] = [3], parallel = true): Promise<Answer> {
  return collect(findToolCalls(pieces(cut(text, cuts)), { names: new Set(["add", "get_weather"]), parallel, usage: startUsage(0) }));
}
const outline = (answer: Answer): unknown => [
  answer.text,
  answer.toolCalls.map((call) => [call.name, JSON.parse(call.arguments) as unknown]),
  answer.reason,
];
const weather = ["get_weather", { city: "Bern" }];

const formats: [name: string, text: string, expected: unknown][] = [
  ["Hermes", '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Bern"}}\n</tool_call>', ["", [weather], "tool_calls"]],
  [
    "Hermes, two calls and words before",
    'Let me see.\n<tool_call>{"name":"get_weather","arguments":{"city":"Bern"}}</tool_call>\n<tool_call>{"name":"add","arguments":{"a":1}}</tool_call>\n',
    ["Let me see.\n", [weather, ["add", { a: 1 }]], "tool_calls"],
  ],
  ["Hermes without its closing tag", '<tool_call>{"name":"get_weather","arguments":{"city":"Bern"}}', ["", [weather], "tool_calls"]],
  [
    "Hermes with arguments as text",
    '<tool_call>{"name":"get_weather","arguments":"{\\"city\\":\\"Bern\\"}"}</tool_call>',
    ["", [weather], "tool_calls"],
  ],
  ["Llama 3", '{"name": "get_weather", "parameters": {"city": "Bern"}}', ["", [weather], "tool_calls"]],
  [
    "Llama 3, two",
    '<|python_tag|>{"name":"get_weather","parameters":{"city":"Bern"}}; {"name":"add","parameters":{}}',
    ["", [weather, ["add", {}]], "tool_calls"],
  ],
  ["Mistral list", '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Bern"}}]', ["", [weather], "tool_calls"]],
  [
    "Mistral named",
    '[TOOL_CALLS]get_weather[ARGS]{"city": "Bern"}[TOOL_CALLS]add{"a": "}"}',
    ["", [weather, ["add", { a: "}" }]], "tool_calls"],
  ],
  [
    "a call of an unknown function is text",
    '<tool_call>{"name":"rm","arguments":{}}</tool_call> ok',
    ['<tool_call>{"name":"rm","arguments":{}}</tool_call> ok', [], "stop"],
  ],
  ["an answer that is JSON is text", ' {"city": "Bern"}', [' {"city": "Bern"}', [], "stop"]],
  ["broken JSON is text", '<tool_call>{"name": "add", </tool_call>', ['<tool_call>{"name": "add", </tool_call>', [], "stop"]],
  ["almost a marker", "a < b <tool", ["a < b <tool", [], "stop"]],
  ["no call at all", "\nHello there", ["\nHello there", [], "stop"]],
];
for (const [name, text, expected] of formats) {
  test(`tool calls: ${name}`, () =>
    fc.assert(
      fc.asyncProperty(sizes, async (cuts) => assert.deepEqual(outline(await calls(text, cuts)), expected)),
      { numRuns: 30 },
    ));
}

test("tool calls: without parallel calls the answer ends after the first, and ids have Mistral's form", async () => {
  const two = '<tool_call>{"name":"add","arguments":{}}</tool_call><tool_call>{"name":"add","arguments":{}}</tool_call>';
  const answer = await calls(two, [4], false);
  assert.deepEqual(outline(answer), ["", [["add", {}]], "tool_calls"]);
  assert.match(answer.toolCalls[0]!.id, /^[A-Za-z0-9]{9}$/);
});

test("text: characters are whole, special tokens silent but for wanted markers, the end token listed and not shown", async () => {
  const tokenizer = testTokenizer();
  const bytes = [...Buffer.from("é🎉")];
  async function* chunks(): AsyncGenerator<{ ids: number[]; finishReason?: "stop" }> {
    for (const id of bytes) yield { ids: [id] };
    yield { ids: [257, 262, 65, END, 66] };
  }
  const usage = startUsage(4);
  const texts: string[] = [];
  for await (const delta of readText(chunks(), tokenizer, { usage, continues: false, endIds: new Set([END]), markers: ["[TOOL_CALLS]"] })) {
    if (delta.kind === "text") texts.push(delta.text);
    if (delta.kind === "text" && delta.tokens.length > 1) assert.deepEqual(delta.tokens.at(-1), { id: END, end: true });
    if (delta.kind === "finish") assert.equal(delta.reason, "stop");
  }
  assert.deepEqual(texts, ["", "é", "", "", "", "🎉", "[TOOL_CALLS]A"]);
  assert.deepEqual(usage, { promptTokens: 4, completionTokens: 10, reasoningTokens: 0 });
});

test("merge yields in the order of arrival and closes all sources when one fails", async () => {
  let closed = 0;
  async function* source(pauses: readonly number[], fail = false): AsyncGenerator<number> {
    try {
      for (const pause of pauses) {
        await new Promise((resolve) => setTimeout(resolve, pause));
        yield pause;
      }
      if (fail) throw new Error("source failed");
    } finally {
      closed += 1;
    }
  }
  const order: number[] = [];
  for await (const { index } of merge([source([60]), source([5, 5])])) order.push(index);
  assert.deepEqual(order, [1, 1, 0]);
  await assert.rejects(async () => {
    for await (const _ of merge([source([1, 20, 20]), source([1], true)])) void _;
  }, /source failed/);
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(closed, 4);
});
