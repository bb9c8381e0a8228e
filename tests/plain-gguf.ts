/**
 * A plain GGUF of the bundled model, with words and special ids in its metadata as converters write them.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { convertModel } from "@unseen/core/blueprint/transform.ts";
import { layoutGguf, openGguf, type GgufValue } from "@unseen/core/checkpoint/gguf.ts";
import { STORY_LLAMA } from "./command-line.ts";

const u32 = (value: number): GgufValue => ({ type: "u32", value });
const text = (value: string): GgufValue => ({ type: "string", value });

/** The metadata that a converter takes from a Hugging Face tokenizer. */
export function tokenizerMetadata(directory: string): Map<string, GgufValue> {
  const { model, added_tokens } = JSON.parse(readFileSync(join(directory, "tokenizer.json"), "utf8")) as {
    model: { vocab: Record<string, number>; merges: (string | [string, string])[] };
    added_tokens: { id: number; content: string }[];
  };
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(model.vocab)) tokens[id] = token;
  for (const { id, content } of added_tokens) tokens[id] = content;
  const control = new Set(added_tokens.map(({ id }) => id));
  return new Map<string, GgufValue>([
    ["tokenizer.ggml.model", text("gpt2")],
    ["tokenizer.ggml.pre", text("gpt-2")],
    ["tokenizer.ggml.tokens", { type: "array", of: "string", value: tokens }],
    ["tokenizer.ggml.token_type", { type: "array", of: "i32", value: tokens.map((_, id) => (control.has(id) ? 3 : 1)) }],
    [
      "tokenizer.ggml.merges",
      { type: "array", of: "string", value: model.merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" "))) },
    ],
    ["tokenizer.ggml.bos_token_id", u32(0)],
    ["tokenizer.ggml.eos_token_id", u32(3)],
    ["tokenizer.ggml.add_bos_token", { type: "bool", value: true }],
    ["tokenizer.chat_template", text(readFileSync(join(directory, "chat_template.jinja"), "utf8"))],
  ]);
}

/** Copies a GGUF with other metadata, value by value; `null` takes one away. */
export async function rewriteMetadata(source: string, target: string, changes: ReadonlyMap<string, GgufValue | null>): Promise<void> {
  const { metadata, tensors } = await openGguf(source);
  for (const [key, value] of changes) {
    if (value === null) metadata.delete(key);
    else metadata.set(key, value);
  }
  const layout = layoutGguf(metadata, [...tensors.values()]);
  const file = readFileSync(source);
  const bytes = Buffer.alloc(layout.bytes);
  bytes.set(layout.header);
  for (const [name, { offset, bytes: length }] of tensors)
    bytes.set(file.subarray(offset, offset + length), layout.locations.get(name)?.offset);
  writeFileSync(target, bytes);
}

/** Writes the bundled model as a plain GGUF with its vocabulary. */
export async function writePlainStory(
  target: string,
  changes: ReadonlyMap<string, GgufValue | null> = new Map(),
  precision?: "f32" | "f16",
): Promise<void> {
  const bare = `${target}.bare.gguf`;
  await convertModel({ source: STORY_LLAMA, output: bare, format: "gguf", threads: 1, precision });
  await rewriteMetadata(
    bare,
    target,
    new Map<string, GgufValue | null>([
      ["general.name", text("Story Llama")],
      ["unseen.eos_token_ids", null],
      ...tokenizerMetadata(STORY_LLAMA),
      ...changes,
    ]),
  );
}
