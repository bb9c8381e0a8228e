/**
 * How model families write function calls.
 * @module
 */
import { randomInt } from "node:crypto";
import type { ToolCall } from "./delta.ts";
import { readJsonValues, tryJson, valueLength } from "./json-values.ts";

/** Hermes, Qwen: `<tool_call>{"name": ..., "arguments": ...}</tool_call>`, once per call. */
export const TAG_OPEN = "<tool_call>";
export const TAG_CLOSE = "</tool_call>";
/** Mistral: `[TOOL_CALLS]` and a list, or `name[ARGS]{...}` in newer ones. */
export const LIST_OPEN = "[TOOL_CALLS]";
/** Llama 3: bare `{"name": ..., "parameters": ...}`, sometimes after this token. */
export const PYTHON_TAG = "<|python_tag|>";

const ARGUMENTS = "[ARGS]";

/** Markers that some vocabularies hold as special tokens, which would otherwise be silent. */
export const toolMarkers: readonly string[] = [TAG_OPEN, TAG_CLOSE, LIST_OPEN, PYTHON_TAG, ARGUMENTS];

/**
 * Reads all calls in `text` (what stood after a marker, or a whole answer).
 * @returns null when it is anything but calls of the functions in `names`: then it is text.
 */
export function readToolCalls(text: string, names: ReadonlySet<string>): ToolCall[] | null {
  const named = readNamedCalls(text, names);
  if (named) return named;
  const values = readJsonValues(text)?.flat();
  if (!values || values.length === 0) return null;
  const calls = values.map((value) => toCall(value, names));
  return calls.every((call) => call !== null) ? calls : null;
}

function toCall(value: unknown, names: ReadonlySet<string>): ToolCall | null {
  if (typeof value !== "object" || value === null) return null;
  const { name, arguments: given, parameters } = value as { name?: unknown; arguments?: unknown; parameters?: unknown };
  if (typeof name !== "string" || !names.has(name)) return null;
  const inputs = given ?? parameters ?? {};
  // Some models write the arguments as a JSON text inside the JSON.
  const object = typeof inputs === "string" ? tryJson(inputs) : inputs;
  if (typeof object !== "object" || object === null || Array.isArray(object)) return null;
  return makeCall(name, object);
}

/** `name[ARGS]{...}` or `name{...}`, possibly several, each with or without its own `[TOOL_CALLS]`. */
function readNamedCalls(text: string, names: ReadonlySet<string>): ToolCall[] | null {
  const calls: ToolCall[] = [];
  let rest = text.trim();
  while (rest) {
    const match = /^(?:\[TOOL_CALLS\])?\s*([a-zA-Z0-9_.-]{1,128})(?:\[CALL_ID\][a-zA-Z0-9]*)?\s*(?:\[ARGS\])?\s*(?=\{)/.exec(rest);
    const name = match?.[1];
    if (!match || !name || !names.has(name)) return null;
    rest = rest.slice(match[0].length);
    const length = valueLength(rest);
    const inputs = length === null ? undefined : tryJson(rest.slice(0, length));
    if (length === null || typeof inputs !== "object" || inputs === null) return null;
    calls.push(makeCall(name, inputs));
    rest = rest.slice(length).trim();
  }
  return calls.length > 0 ? calls : null;
}

function makeCall(name: string, inputs: object): ToolCall {
  return { id: callId(), name, arguments: JSON.stringify(inputs) };
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** Nine letters and digits: Mistral's templates refuse any other form when the call comes back in the history. */
function callId(): string {
  return Array.from({ length: 9 }, () => ALPHABET[randomInt(ALPHABET.length)]).join("");
}
