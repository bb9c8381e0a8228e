/**
 * A small encoder under a real key, and a host that computes it from what a host may have: permuted rows, enciphered columns.
 * Tests tell the host to lie, fail or die.
 * @module
 */
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ClientInterface } from "@unseen/core/blueprint/interface.ts";
import { elementOf, type LeafMap, type Recipe } from "@unseen/core/blueprint/recipe.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { testBundle, testTokenizer, VOCABULARY } from "../gateway/test-model.fixture.ts";
import type { EncoderModel } from "../gateway/model.ts";
import type { Stem } from "../stem/stem.ts";
import type { TextTokenizer } from "../tokenizer.ts";
import { BlindEncoder } from "./blind-encoder.ts";
import { encodeFloats, EncoderHost } from "./encoder-host.ts";
import { applyAlong } from "./tensor.ts";

export const SECRET = Uint8Array.from({ length: 32 }, (_, index) => index * 7 + 1);
export const FINGERPRINT = "fedcba9876543210fedcba9876543210";

/** A recipe of one leaf. */
export function leaf(id: string, size: number, map: LeafMap, within: readonly string[] = []): Recipe {
  return { kind: "leaf", id, size, map, dual: false, scales: [], signs: [], within };
}

/** What a toy makes: the mean of its tokens' rows, `(vocabulary, width)`. */
export interface Toy {
  readonly width: number;
  readonly recipe: Recipe | null;
  readonly ends: ClientInterface;
}

const base = { stem: null, fixedLength: null, normalise: false, maximumLength: 32, labels: null, image: null } as const;
const textInputs: ClientInterface["inputs"] = [
  { name: "input_ids", kind: "ids", label: "vocabulary", size: VOCABULARY },
  { name: "attention_mask", kind: "mask" },
  { name: "token_type_ids", kind: "segments" },
];

/** A toy that makes vectors. */
export function toyEmbedder(map: LeafMap, changes: Partial<ClientInterface> = {}): Toy {
  const recipe = leaf("stream", 6, map);
  const outputs = [{ name: "hidden", axes: [null, null, recipe] }];
  return { width: 6, recipe, ends: { ...base, inputs: textInputs, outputs, task: "embedding", pooling: "mean", ...changes } };
}

/** A toy that makes logits of so many classes. */
export function toyClassifier(labels: readonly string[] | null, width = labels?.length ?? 1, changes: Partial<ClientInterface> = {}): Toy {
  const recipe = leaf("logits", width, "general");
  const outputs = [{ name: "logits", axes: [null, recipe] }];
  return { width, recipe, ends: { ...base, inputs: textInputs, outputs, task: "classification", pooling: null, labels, ...changes } };
}

/** A secret order of so many tokens, the first of which keeps its place, as `encrypt` writes it. */
export function orderOf(length: number): Recipe {
  return { kind: "sum", parts: [leaf("", 1, "none"), leaf("order", length - 1, "permutation")] };
}

/** The same toy with every sequence filled up and in secret order. */
export function ordered(toy: Toy, length: number): Toy {
  const order = orderOf(length);
  const inputs = toy.ends.inputs.map((input) => ({ ...input, order }) as (typeof toy.ends.inputs)[number]);
  const outputs = toy.ends.outputs.map(({ name, axes }) => ({ name, axes: axes.length === 3 ? axes.with(1, order) : axes }));
  return { ...toy, ends: { ...toy.ends, inputs, outputs, fixedLength: length, maximumLength: length } };
}

/** The plain row of a token: small numbers that differ. A token's segment counts too. */
function row(id: number, width: number, segment: number): Float64Array {
  return Float64Array.from({ length: width }, (_, i) => Math.sin(id * (i + 1) + 3 * segment * (i + 2)));
}

/** What the plain toy makes of plain ids. */
export function plainToy(toy: Toy, ids: readonly number[], segments?: readonly number[]): number[] {
  return Array.from(
    { length: toy.width },
    (_, i) => ids.reduce((sum, id, place) => sum + row(id, toy.width, segments?.[place] ?? 0)[i]!, 0) / ids.length,
  );
}

export interface ToyRequest {
  readonly path: string;
  readonly body: Record<string, unknown> & {
    input?: number[][];
    query?: number[];
    documents?: number[][];
    mask?: number[][];
    segments?: number[][];
    peaks?: number[];
  };
}

/** What a host does instead of answering. */
export type Misdeed = { readonly status: number; readonly body?: unknown } | { readonly answer: unknown } | "die" | "hang" | null;

/** A host of one toy. */
export class ToyHost {
  readonly received: ToyRequest[] = [];
  /** Decides per request; null answers well. */
  misbehave: (request: ToyRequest, call: number) => Misdeed = () => null;
  /** Rewrites what would have been answered. */
  rewrite: (answer: Record<string, unknown>) => unknown = (answer) => answer;
  fingerprint = FINGERPRINT;
  /** `(segment, cipher id)` -> enciphered row. */
  readonly #rows: Float64Array[][];
  readonly #server: Server;

  private constructor(toy: Toy) {
    const cipher = vocabularyPermutation(SECRET, VOCABULARY);
    const element = toy.recipe && elementOf(toy.recipe, SECRET);
    this.#rows = [0, 1].map((segment) => {
      const rows: Float64Array[] = [];
      cipher.forEach((secret, id) => {
        const values = row(id, toy.width, segment);
        if (element) applyAlong(element, values, toy.width, 1);
        rows[secret] = values;
      });
      return rows;
    });
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => this.#respond(request.url ?? "", Buffer.concat(parts).toString("utf8"), response));
    });
  }

  static async start(toy: Toy): Promise<ToyHost> {
    const host = new ToyHost(toy);
    host.#server.listen(0, "127.0.0.1");
    await once(host.#server, "listening");
    return host;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #respond(path: string, text: string, response: ServerResponse): void {
    if (path === "/v1/models") {
      const unseen = { fingerprint: this.fingerprint, vocabularySize: VOCABULARY };
      return send(response, 200, { data: [{ id: "toy", owned_by: "unseen", max_model_len: 64, unseen }] });
    }
    const request: ToyRequest = { path, body: JSON.parse(text) as ToyRequest["body"] };
    const misdeed = this.misbehave(request, this.received.push(request) - 1);
    if (misdeed === "hang") return;
    if (misdeed === "die") return void response.destroy();
    if (misdeed) return "answer" in misdeed ? send(response, 200, misdeed.answer) : send(response, misdeed.status, misdeed.body ?? {});
    send(response, 200, this.rewrite(this.#answer(request)));
  }

  #answer({ path, body }: ToyRequest): Record<string, unknown> {
    const vectors = (lists: readonly (readonly number[])[]): Float64Array[] =>
      lists.map((ids, place) => this.#mean(ids, body.segments?.[place], body.mask?.[place]));
    if (path === "/v1/rerank") {
      const [query, ...documents] = vectors([body.query!, ...body.documents!]) as [Float64Array, ...Float64Array[]];
      const results = documents.map((vector, index) => ({ index, relevance_score: cosineOf(query, vector) }));
      return { results: results.toSorted((one, other) => other.relevance_score - one.relevance_score) };
    }
    const made = vectors(body.input!);
    if (path === "/classify")
      return { data: made.map((values, index) => ({ index, outputs: Array.from(values), shape: [values.length] })) };
    return { data: made.map((values, index) => ({ object: "embedding", index, embedding: encodeFloats(values) })) };
  }

  #mean(ids: readonly number[], segments?: readonly number[], mask?: readonly number[]): Float64Array {
    const rows = ids.flatMap((id, place) => (mask?.[place] === 0 ? [] : [this.#rows[segments?.[place] ?? 0]![id]!]));
    return rows[0]!.map((_, i) => rows.reduce((sum, values) => sum + values[i]!, 0) / rows.length);
  }
}

function cosineOf(one: Float64Array, other: Float64Array): number {
  const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  return dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other));
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

/** A toy on its hosts, as the gateway takes it. */
export function toyOn(
  toy: Toy,
  hosts: readonly { readonly url: string }[],
  options: { readonly silence?: number; readonly stem?: Stem; readonly tokenizer?: TextTokenizer | null } = {},
): EncoderModel {
  const { silence = 5_000, stem = null, tokenizer = testTokenizer() } = options;
  const engines = hosts.map(({ url }) => new EncoderHost({ url, silence }));
  const identity = { name: "toy", fingerprint: FINGERPRINT, vocabularySize: VOCABULARY };
  const encoder = new BlindEncoder({ identity, ends: toy.ends, tokenizer, secret: SECRET, engines, stem });
  const bundle = testBundle({ name: "toy", fingerprint: FINGERPRINT, family: "onnx" });
  return { id: "toy", bundle, tokenizer, engines, encoder, contextLength: 32 };
}
