/**
 * How tests talk to a host: plain fetch, and vLLM's server-sent events taken apart.
 * @module
 */
export interface Chunk {
  id: string;
  object: string;
  model: string;
  choices: {
    index: number;
    text: string;
    finish_reason: string | null;
    stop_reason: number | null;
    token_ids: number[];
    prompt_token_ids?: number[];
    logprobs: unknown;
  }[];
  usage?: { prompt_tokens: number; completion_tokens: number; total_tokens: number; prompt_tokens_details: { cached_tokens: number } };
  error?: { message: string; type: string; param: string | null; code: string };
}

export function post(url: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  return fetch(`${url}/v1/completions`, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
    headers: { "content-type": "application/json", ...(init.headers as Record<string, string> | undefined) },
  });
}

/** The parsed answer. */
export async function answer(url: string, body: object): Promise<Chunk & { status: number }> {
  const response = await post(url, body);
  return { status: response.status, ...((await response.json()) as Chunk) };
}

/** Token ids of a single greedy-or-not completion. */
export async function ids(url: string, body: object): Promise<number[]> {
  const { choices, error } = await answer(url, body);
  if (error) throw new Error(error.message);
  return choices[0]!.token_ids;
}

/** Each event of a stream as it comes; the last is "[DONE]". */
export async function* events(response: Response): AsyncGenerator<Chunk | "[DONE]"> {
  let rest = "";
  for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + part).split("\n\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const data = line.slice("data: ".length);
      yield data === "[DONE]" ? "[DONE]" : (JSON.parse(data) as Chunk);
    }
  }
}

/** Waits until `condition` holds. */
export async function until(condition: () => boolean | Promise<boolean>, seconds = 20): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error("the condition did not come true in time.");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
