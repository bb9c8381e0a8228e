/**
 * The same prompts to a plain model at the engine and to its encryption through gateway and host, token by token.
 * @module
 */
import { openModel } from "@unseen/core/blueprint/model.ts";
import { ask, post, startServer, type RunningServer } from "./command-line.ts";

/** How much of what the encrypted model said is what the plain one said. */
export interface Agreement {
  readonly prompts: number;
  readonly tokens: number;
  /** Prompts whose tokens are all equal. */
  readonly equalPrompts: number;
  /** Tokens before the first difference of their prompt, and equal ones behind it. */
  readonly equalTokens: number;
}

export interface GreedyCase {
  /** Of the key holder; the host gets one of its own inside. */
  readonly home: string;
  /** A plain GGUF, for the engine. */
  readonly plain: string;
  /** What to encrypt: the same model in any format. */
  readonly source: string;
  readonly flags: readonly string[];
  /** Plain token ids. */
  readonly prompts: readonly (readonly number[])[];
  readonly length: number;
}

let serial = 0;

/** Encrypts, serves both, asks both the same and compares. Everything in processes of its own. */
export async function compareGreedy(run: GreedyCase): Promise<Agreement> {
  serial += 1;
  const name = `greedy-${process.pid}-${serial}`;
  const { home } = run;
  const surroundings = { home };
  const { output } = await ask<{ output: string }>(
    [
      "encrypt",
      run.source,
      "--name",
      name,
      "--no-measure",
      ...run.flags,
      "--out",
      `${home}/${name}${run.flags.includes("gguf") || run.source.endsWith(".gguf") ? ".gguf" : ""}`,
    ],
    surroundings,
  );
  const hostHome = { home, environment: { UNSEEN_HOME: `${home}/host` } };
  const servers: RunningServer[] = [];
  const start = async (...parameters: Parameters<typeof startServer>): Promise<RunningServer> => {
    const server = await startServer(...parameters);
    servers.push(server);
    return server;
  };
  try {
    const plain = await start(["serve", run.plain, "--plain", "--port", "0"], hostHome);
    const host = await start(["serve", output, "--port", "0"], hostHome);
    const gateway = await start(["gateway", "--port", "0", "--host", host.url, "--model", name], surroundings);
    let [equalPrompts, equalTokens, tokens] = [0, 0, 0];
    for (const prompt of run.prompts) {
      const wanted = { prompt, max_tokens: run.length, temperature: 0, ignore_eos: true, return_token_ids: true };
      // One after the other, and the plain one alone too: batches of other sizes round otherwise.
      const expected = await idsOf(plain.url, { ...wanted, cache_salt: "plain" });
      const actual = await idsOf(gateway.url, wanted);
      const equal = expected.filter((id, index) => actual[index] === id).length;
      if (expected.length !== run.length || actual.length !== run.length)
        throw new Error(`expected ${run.length} tokens, got ${expected.length} and ${actual.length}`);
      tokens += expected.length;
      equalTokens += equal;
      equalPrompts += equal === expected.length ? 1 : 0;
    }
    return { prompts: run.prompts.length, tokens, equalPrompts, equalTokens };
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

async function idsOf(url: string, body: object): Promise<number[]> {
  const answer = await post<{ choices?: { token_ids: number[] }[]; error?: { message: string } }>(`${url}/v1/completions`, body);
  if (!answer.body.choices?.[0]) throw new Error(`${url}: ${answer.body.error?.message ?? answer.status}`);
  return answer.body.choices[0].token_ids;
}

/** Deterministic prompts of ids, for models without tokenizer. */
export async function idPrompts(model: string, count: number): Promise<number[][]> {
  const size = Number((await openModel(model)).config["vocab_size"]);
  return Array.from({ length: count }, (_, prompt) =>
    Array.from({ length: 6 }, (__, index) => (7 + prompt * 131 + index * index * 17) % size),
  );
}
