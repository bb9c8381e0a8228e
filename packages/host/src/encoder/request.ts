/**
 * The bodies of `/v1/embeddings`, `/classify` and `/v1/rerank`, checked field by field before anything reaches native code.
 * Every limit is named; a message names the field and never repeats what the client sent.
 * @module
 */
import type { Pooling } from "@unseen/core/blueprint/interface.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { BatchPlan } from "../engine/onnx/plan.ts";
import { tokensOf, type Row, type SequenceRow } from "../engine/onnx/rows.ts";
import { parseIds, refuseText } from "../token-ids.ts";
import { takesSequences, type ModelEnds } from "./ends.ts";
import { parseTensors } from "./tensors.ts";

// CWE-770: what one request may ask for.
const MAXIMUM_INPUTS = 2048; // OpenAI's figure
const MAXIMUM_NAME_LENGTH = 512;
/** Numbers in one answer, as JSON about 80 MB. */
const MAXIMUM_ANSWER_VALUES = 4 << 20;
/** Of indices into tables that the graph does not show. */
const MAXIMUM_INDEX = 2 ** 31;

/** What a request must fit into. */
export interface EncoderLimits {
  readonly ends: ModelEnds;
  /** As found when the model was loaded. */
  readonly plan: BatchPlan;
  readonly maximumLength: number;
  /** Rows of one request; the queue could never hold more. */
  readonly maximumRows: number;
}

interface Request {
  readonly model: string | undefined;
  readonly rows: readonly Row[];
  /** Token ids in the request that no mask hides. */
  readonly tokens: number;
}

export interface EmbeddingsRequest extends Request {
  readonly isBase64: boolean;
}

export type RerankRequest = Request &
  /** By cosine: row 0 is the query. By score: one row per pair. */
  ({ readonly by: "cosine"; readonly best: number } | { readonly by: "score" });

/** @throws UnseenError `REQUEST_INVALID`, `REQUEST_UNSUPPORTED`, `REQUEST_TOO_LARGE`, `TOKEN_OUT_OF_RANGE` */
export function parseEmbeddingsRequest(body: unknown, limits: EncoderLimits): EmbeddingsRequest {
  const fields = fieldsOf(body, ["model", "input", "encoding_format", "mask", "segments", "position", "peaks"]);
  const format = fields["encoding_format"] ?? "float";
  if (format !== "float" && format !== "base64") throw new UnseenError("REQUEST_INVALID", 'encoding_format: expected "float" or "base64".');
  const pool = vectorPooling(limits);
  return { ...sequences(fields, ["input"], pool, limits), model: modelOf(fields), isBase64: format === "base64" };
}

/** @throws UnseenError as {@link parseEmbeddingsRequest} */
export function parseClassifyRequest(body: unknown, limits: EncoderLimits): Request {
  const fields = fieldsOf(body, ["model", "input", "tensors", "mask", "segments", "position", "peaks"]);
  const model = modelOf(fields);
  if (!isSet(fields["tensors"])) return { ...sequences(fields, ["input"], null, limits), model };
  const other = ["input", "mask", "segments", "position", "peaks"].find((field) => isSet(fields[field]));
  if (other !== undefined) throw new UnseenError("REQUEST_INVALID", `${other}: expected either input or tensors, got both.`);
  const rows = parseTensors(fields["tensors"], limits.ends, limits.plan, limits);
  requireAnswerable(rows.length, rows.length, limits);
  return { model, rows, tokens: 0 };
}

/** @throws UnseenError as {@link parseEmbeddingsRequest} */
export function parseRerankRequest(body: unknown, limits: EncoderLimits): RerankRequest {
  const fields = fieldsOf(body, ["model", "query", "documents", "top_n", "pairs", "mask", "segments", "position", "peaks"]);
  const model = modelOf(fields);
  if (isSet(fields["pairs"])) {
    const other = ["query", "documents", "top_n"].find((field) => isSet(fields[field]));
    if (other !== undefined) throw new UnseenError("REQUEST_INVALID", `${other}: expected either pairs or query and documents, got both.`);
    if (limits.ends.interface.task === "embedding")
      throw new UnseenError("REQUEST_UNSUPPORTED", "pairs: this model gives vectors, not scores.", { hint: "Send query and documents." });
    return { ...sequences(fields, ["pairs"], null, limits), model, by: "score" };
  }
  const pool = vectorPooling(limits);
  if (!limits.ends.interface.outputs[0]!.isometric) {
    throw new UnseenError("REQUEST_UNSUPPORTED", "query: cosines of this model's encrypted vectors mean nothing here.", {
      hint: "Ask for the embeddings and compare them at the client.",
    });
  }
  for (const field of ["mask", "segments", "position", "peaks"])
    if (isSet(fields[field])) throw new UnseenError("REQUEST_UNSUPPORTED", `${field}: goes with pairs only.`);
  const { query, documents } = fields;
  refuseText(query, "query");
  if (!Array.isArray(query) || Array.isArray(query[0])) throw new UnseenError("REQUEST_INVALID", "query: expected an array of token ids.");
  if (!Array.isArray(documents) || !Array.isArray(documents[0])) {
    refuseText(documents, "documents");
    throw new UnseenError("REQUEST_INVALID", "documents: expected arrays of token ids.");
  }
  const best = fields["top_n"] ?? documents.length;
  if (!Number.isSafeInteger(best) || (best as number) < 1)
    throw new UnseenError("REQUEST_INVALID", "top_n: expected an integer of at least 1.");
  return { ...sequences(fields, ["query", "documents"], pool, limits), model, by: "cosine", best: best as number };
}

/** How a row's vector comes about. @throws UnseenError `REQUEST_UNSUPPORTED` where the model has none to give */
function vectorPooling({ ends, plan }: EncoderLimits): Pooling | null {
  const { task, pooling, outputs } = ends.interface;
  if (task === "classification")
    throw new UnseenError("REQUEST_UNSUPPORTED", "this model classifies; it has no embeddings to give.", { hint: "POST /classify." });
  const isPerTokenOutput = plan.lengthAxis !== null || outputs[0]!.shape.length === 3;
  if (isPerTokenOutput && pooling === null) {
    throw new UnseenError("REQUEST_UNSUPPORTED", "this model gives one vector per token and says not how to make one of them.", {
      hint: "POST /classify gives them all.",
    });
  }
  return isPerTokenOutput ? pooling : null;
}

/** The rows of one or more fields, `int[]` or `int[][]` each, with the masks, token types and positions that stand beside them. */
function sequences(
  fields: Readonly<Record<string, unknown>>,
  names: readonly string[],
  pool: Pooling | null,
  limits: EncoderLimits,
): { rows: SequenceRow[]; tokens: number } {
  const { interface: described, lookups } = limits.ends;
  if (!takesSequences(described) || !limits.plan.hasRows) {
    throw new UnseenError("REQUEST_UNSUPPORTED", `${names[0]}: this model does not take rows of token ids.`, {
      hint: "POST /classify with `tensors`, named as in GET /v1/models.",
    });
  }
  const vocabularySize = described.inputs.find(({ kind }) => kind === "ids")!.vocabularySize ?? MAXIMUM_INDEX;
  const lists = names.flatMap((name) => listsOf(fields[name], name, limits));
  if (lists.length > limits.maximumRows) throw tooMany(names.at(-1)!, limits.maximumRows, lists.length);
  for (const { values, field } of lists) requireLength(values.length, field, limits);
  const ids = lists.map(({ values, field }) => parseIds(values, field, vocabularySize));
  const beside = <Numbers>(
    field: "mask" | "segments" | "position",
    kind: "mask" | "segments" | "positions",
    parse: (values: readonly unknown[], field: string, limit: number) => Numbers,
  ): (Numbers | null)[] => {
    if (!isSet(fields[field])) return ids.map(() => null);
    const input = described.inputs.find((one) => one.kind === kind);
    if (!input) throw new UnseenError("REQUEST_UNSUPPORTED", `${field}: this model has no such input.`, { hint: "Leave it out." });
    const given = listsOf(fields[field], field, limits);
    if (given.length !== ids.length || given.some(({ values }, index) => values.length !== ids[index]!.length))
      throw new UnseenError("REQUEST_INVALID", `${field}: expected one number for each token id.`);
    const rows = lookups.get(input.name)?.rows ?? MAXIMUM_INDEX;
    return given.map((list) => parse(list.values, list.field, rows));
  };
  const peaks = peaksOf(fields["peaks"], ids, limits);
  const masks = beside("mask", "mask", parseMask);
  const segments = beside("segments", "segments", parseIds);
  const positions = beside("position", "positions", parseIds);
  const rows = ids.map((one, index): SequenceRow => ({
    kind: "sequence",
    ids: one,
    mask: masks[index]!,
    segments: segments[index]!,
    positions: positions[index]!,
    peak: peaks?.[index] ?? null,
    pool,
  }));
  // Masked tokens have their place in the answer, too.
  const answered = ids.reduce((sum, { length }) => sum + length, 0);
  requireAnswerable(rows.length, pool === null && limits.plan.lengthAxis !== null ? answered : rows.length, limits);
  return { rows, tokens: rows.reduce((sum, row) => sum + tokensOf(row), 0) };
}

/** A mask of nothing but zeros would leave a softmax and a mean with nothing to divide by. */
function parseMask(values: readonly unknown[], field: string): Uint8Array<ArrayBuffer> {
  const isFitting = values.every((value) => value === 0 || value === 1) && values.includes(1);
  if (!isFitting) throw new UnseenError("REQUEST_INVALID", `${field}: expected 0 or 1 for each token id, and not only 0.`);
  return Uint8Array.from(values as readonly number[]);
}

/** One place in each row. A place outside would lie in the row of another client (CWE-125). */
function peaksOf(value: unknown, ids: readonly Uint32Array[], { ends }: EncoderLimits): readonly number[] | null {
  const isAsked = ends.interface.inputs.some(({ kind }) => kind === "peaks");
  if (!isSet(value)) {
    if (isAsked) throw new UnseenError("REQUEST_INVALID", "peaks: expected the place of the highest plain id of each row.");
    return null;
  }
  if (!isAsked) throw new UnseenError("REQUEST_UNSUPPORTED", "peaks: this model has no such input.", { hint: "Leave it out." });
  const isFitting =
    Array.isArray(value) &&
    value.length === ids.length &&
    value.every((place: unknown, row) => Number.isInteger(place) && (place as number) >= 0 && (place as number) < ids[row]!.length);
  if (!isFitting) throw new UnseenError("REQUEST_INVALID", "peaks: expected one place in each row, from 0 to below its length.");
  return value as number[];
}

/** `int[]` is one list, `int[][]` several; their numbers are not looked at yet. */
function listsOf(value: unknown, field: string, { maximumRows }: EncoderLimits): { values: readonly unknown[]; field: string }[] {
  refuseText(value, field);
  if (!Array.isArray(value) || value.length === 0)
    throw new UnseenError("REQUEST_INVALID", `${field}: expected a non-empty array of token ids.`);
  if (!Array.isArray(value[0])) return [{ values: value, field }];
  if (value.length > maximumRows) throw tooMany(field, maximumRows, value.length);
  return value.map((values: unknown, index) => {
    if (!Array.isArray(values) || values.length === 0) {
      refuseText(values, field);
      throw new UnseenError("REQUEST_INVALID", `${field}[${index}]: expected a non-empty array of token ids.`);
    }
    return { values, field: `${field}[${index}]` };
  });
}

/** Before anything is allocated for it. */
function requireLength(length: number, field: string, { plan, maximumLength }: EncoderLimits): void {
  const { fixedLength, pads } = plan;
  if (fixedLength !== null && !pads && length !== fixedLength)
    throw new UnseenError("REQUEST_INVALID", `${field}: this model takes exactly ${fixedLength} tokens, got ${length}.`);
  const most = Math.min(maximumLength, fixedLength ?? Infinity);
  if (length > most) {
    throw new UnseenError("REQUEST_TOO_LARGE", `${field}: expected at most ${most} tokens, got ${length}.`, { hint: "Shorten the text." });
  }
}

function requireAnswerable(rows: number, parts: number, { plan }: EncoderLimits): void {
  if (parts * plan.outputValues > MAXIMUM_ANSWER_VALUES) {
    throw new UnseenError("REQUEST_TOO_LARGE", `the input: the answer would hold more than ${MAXIMUM_ANSWER_VALUES} numbers.`, {
      hint: rows > 1 ? "Send fewer rows at once." : "Send a shorter input.",
    });
  }
}

/** The body's fields. Unlike with completions, none that is unknown is passed over: it could hold text. */
function fieldsOf(body: unknown, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new UnseenError("REQUEST_INVALID", "the body is not a JSON object.");
  const fields = body as Record<string, unknown>;
  if (Object.keys(fields).some((field) => !known.includes(field) && isSet(fields[field]))) {
    throw new UnseenError("REQUEST_UNSUPPORTED", `the body has a field that is not supported; expected ${known.join(", ")}.`, {
      hint: "Send requests through `unseen gateway`, which does the rest on your side.",
    });
  }
  return fields;
}

function modelOf(fields: Readonly<Record<string, unknown>>): string | undefined {
  const model = fields["model"] ?? undefined;
  if (model !== undefined && (typeof model !== "string" || model.length > MAXIMUM_NAME_LENGTH))
    throw new UnseenError("REQUEST_INVALID", "model: expected a name.");
  return model;
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function tooMany(field: string, limit: number, count: number): UnseenError {
  return new UnseenError("REQUEST_TOO_LARGE", `${field}: expected at most ${limit} rows, got ${count}.`, {
    hint: "Send several requests.",
  });
}

/** Rows that one request may have where the queue holds more. */
export function maximumRowsFor(queue: number, batchRows: number): number {
  return Math.min(MAXIMUM_INPUTS, queue + batchRows);
}
