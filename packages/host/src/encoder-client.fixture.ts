/**
 * How tests talk to a host of an ONNX model.
 * @module
 */
export interface Answer {
  readonly status: number;
  readonly object?: string;
  readonly model?: string;
  readonly data?: { object?: string; index: number; embedding?: number[] | string; outputs?: number[]; shape?: number[] }[];
  readonly results?: { index: number; relevance_score?: number; outputs?: number[] }[];
  readonly usage?: { prompt_tokens: number; total_tokens: number };
  readonly error?: { message: string; type: string; param: string | null; code: string };
}

export type Path = "/v1/embeddings" | "/classify" | "/v1/rerank" | "/v1/completions";

export async function ask(url: string, path: Path, body: unknown, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url + path, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
    headers: { "content-type": "application/json", ...(init.headers as Record<string, string> | undefined) },
  });
  return { status: response.status, ...((await response.json()) as object) };
}

/** The outputs of each row of a `/classify` request. */
export async function outputs(url: string, body: object): Promise<number[][]> {
  const { data, error } = await ask(url, "/classify", body);
  if (error) throw new Error(`${error.code}: ${error.message}`);
  return data!.map((row) => row.outputs!);
}

/** A tensor as requests carry it. */
export function tensor(
  type: string,
  shape: readonly number[],
  numbers: ArrayBufferView,
): { type: string; shape: readonly number[]; data: string } {
  return { type, shape, data: Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength).toString("base64") };
}

/** Largest difference, relative to the largest expected value; NaN where the counts differ. */
export function difference(expected: ArrayLike<number>, got: ArrayLike<number>): number {
  if (expected.length !== got.length) return NaN;
  let largest = 0;
  let apart = 0;
  for (let index = 0; index < expected.length; index++) {
    largest = Math.max(largest, Math.abs(expected[index]!));
    apart = Math.max(apart, Math.abs(expected[index]! - got[index]!));
  }
  return apart / largest;
}

export async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^unseen:${name}(?:\\{[^\\n]*\\})? ([\\d.e+-]+)$`, "m").exec(text)![1]);
}

/** Holds the engine still meanwhile, so that no row is done before a test has looked. */
export async function whileStopped(host: { readonly engineProcess: number | null }, use: () => Promise<void>): Promise<void> {
  const engine = host.engineProcess!;
  process.kill(engine, "SIGSTOP");
  try {
    await use();
  } finally {
    process.kill(engine, "SIGCONT");
  }
}
