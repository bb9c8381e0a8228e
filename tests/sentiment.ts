/**
 * Encrypted sentiment, end to end: sentences in, labels out, through the gateway and a host as processes of their own.
 * @module
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { loadKey } from "@unseen/client/keyring.ts";
import { resolveHome } from "@unseen/client/home.ts";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { OnnxRunner } from "unseen/onnx/runner.ts";
import { alternate, median } from "../bench/measure.ts";
import type { Finding } from "../proofs/proof.ts";
import { ask, post, startServer, temporaryDirectory } from "./command-line.ts";
import { startRecordingProxy } from "./recording-proxy.ts";
import { sharedPath } from "./shared.ts";

const LABELS = ["NEGATIVE", "POSITIVE"];
/** Pairs of requests in the comparison of latencies, and those before that do not count. */
const PAIRS = 4000;
const WARM_UP = 400;

/** Words of the protocol itself that also occur in the sentences. */
const PROTOCOL =
  "accept accept-encoding application attention classify connection content content-type control encoding family gateway length localhost object outputs prompt sentiment sequence strength timeout tokens undici unseen";

interface Answer {
  readonly data: readonly { readonly label: string; readonly probs: readonly number[]; readonly outputs: readonly number[] }[];
}

/** Measures labels, what the host saw, and latency. Needs the test data. */
export async function* measureSentiment(note: (line: string) => void): AsyncGenerator<Finding> {
  const source = sharedPath("assets/sst2-distilbert/onnx/model.onnx") as string;
  const examples = readFileSync(sharedPath("data/text/sst2-dev.tsv") as string, "utf8")
    .split("\n")
    .filter((line) => line.includes("\t"))
    .map((line) => line.split("\t") as [string, string]);
  const directory = temporaryDirectory("sentiment");
  const [home, hostHome] = ["keyholder", "host"].map((name) => join(directory, name)) as [string, string];
  for (const path of [home, hostHome]) mkdirSync(path);
  const model = join(directory, "sentiment.onnx");
  await ask(["encrypt", source, "--out", model, "--name", "sentiment", "--no-measure"], { home });
  const { secret } = await loadKey(resolveHome({ UNSEEN_HOME: home }), "default");
  const host = await startServer(["serve", model, "--port", "0"], { home: hostHome });
  const plainHost = await startServer(["serve", source, "--plain", "--port", "0"], { home: hostHome });
  const proxy = await startRecordingProxy(host.url);
  const gateway = await startServer(["gateway", "--port", "0", "--host", proxy.url], { home });
  const runner = new OnnxRunner();
  try {
    const tokenizer = await TextTokenizer.load(sharedPath("assets/sst2-distilbert") as string);
    const plainIds = examples.map(([text]) => tokenizer.encode(text, { specialTokens: true }));
    const labels: string[] = [];
    for (let start = 0; start < examples.length; start += 64) {
      const input = examples.slice(start, start + 64).map(([text]) => text);
      const { body } = await post<Answer>(`${gateway.url}/classify`, { model: "sentiment", input });
      labels.push(...body.data.map(({ label }) => label));
    }
    note(`${labels.length} sentences classified`);
    const expected: string[] = [];
    for (const ids of plainIds) {
      const whole = (data: readonly number[]) => ({ type: "int64" as const, shape: [1, data.length], data: Float64Array.from(data) });
      const { data } = (
        await runner.run(
          source,
          new Map([
            ["input_ids", whole(ids)],
            ["attention_mask", whole(ids.map(() => 1))],
          ]),
        )
      ).get("logits")!;
      expected.push(LABELS[data[0]! >= data[1]! ? 0 : 1] as string);
    }
    const same = labels.filter((label, i) => label === expected[i]).length;
    const right = labels.filter((label, i) => label === LABELS[Number(examples[i]![1])]).length;
    yield {
      claim: "Encrypted DistilBERT sentiment through gateway and host: 872 sentences in, labels out, as the plain model says",
      figure: `${same} of ${examples.length} labels equal, accuracy ${((100 * right) / examples.length).toFixed(1)} %`,
      bar: "all",
      holds: labels.length === 872 && same === examples.length,
    };

    const cipher = vocabularyPermutation(secret, 30_522);
    const sent = new Set(
      proxy
        .bodies("/classify")
        .flatMap((body) => rowsOf(body as { input: number[] | number[][] }))
        .map((row) => row.join()),
    );
    const permuted = plainIds.filter((ids) => sent.has(ids.map((id) => cipher[id]).join())).length;
    const inClear = plainIds.filter((ids) => sent.has(ids.join())).length;
    // Words that no protocol uses: all others of these sentences, and the labels.
    const traffic = `${proxy.sent().toString("latin1")}\n${proxy.received().toString("latin1")}`.toLowerCase();
    const protocol = new Set(PROTOCOL.split(" "));
    const words = new Set(examples.flatMap(([text]) => text.split(" ")).filter((word) => /^[a-z]{6,}$/.test(word) && !protocol.has(word)));
    const spoken = new Set(traffic.match(/[a-z]{6,}/g));
    const found = [...words, "negative", "positive"].filter((word) => spoken.has(word));
    const outputs: (readonly number[])[] = [];
    for (let start = 0; start < plainIds.length; start += 64) {
      const input = plainIds.slice(start, start + 64).map((ids) => ids.map((id) => cipher[id]));
      outputs.push(...(await post<Answer>(`${host.url}/classify`, { input })).body.data.map((row) => row.outputs));
      // Equal pasts for the comparison below: a process that has seen batches is a few percent slower on single rows than one that has not.
      for (let past = 0; past < 2; past++) await post(`${plainHost.url}/classify`, { input: plainIds.slice(start, start + 64) });
    }
    const leading = outputs.filter((row, i) => LABELS[row[0]! >= row[1]! ? 0 : 1] === expected[i]).length;
    yield {
      claim: "What the host saw of it: cipher ids and mixed class scores",
      figure: `${permuted} of ${plainIds.length} sentences as permuted ids, ${inClear} as plain ids, ${found.length} words${found.length > 0 ? ` (${found.slice(0, 6).join(", ")})` : ""}; its larger score names the right class in ${leading} of ${outputs.length}`,
      bar: "all, 0, 0",
      holds: permuted === plainIds.length && inClear === 0 && found.length === 0 && outputs.length === plainIds.length,
    };

    const time = async (url: string, input: readonly number[]): Promise<number> => {
      const started = performance.now();
      await post(`${url}/classify`, { input });
      return performance.now() - started;
    };
    const times = { encrypted: [] as number[], plain: [] as number[] };
    for (let i = 0; i < WARM_UP + PAIRS; i++) {
      const ids = plainIds[i % plainIds.length] as number[];
      const ciphered = ids.map((id) => cipher[id] as number);
      // One after the other, in turns, so that what else the machine does hits both alike.
      const round = await alternate(
        1,
        i % 2 === 0
          ? { encrypted: () => time(host.url, ciphered), plain: () => time(plainHost.url, ids) }
          : { plain: () => time(plainHost.url, ids), encrypted: () => time(host.url, ciphered) },
      );
      if (i < WARM_UP) continue;
      times.encrypted.push(...round.encrypted);
      times.plain.push(...round.plain);
    }
    const ratio = median(times.plain) / median(times.encrypted);
    yield {
      claim: `Latency of the host, plain to encrypted: medians of ${PAIRS} alternating pairs of requests, one sentence each`,
      figure: `${ratio.toFixed(3)} (${median(times.encrypted).toFixed(2)} ms to ${median(times.plain).toFixed(2)} ms)`,
      bar: "0.99",
      holds: ratio >= 0.99,
    };
  } finally {
    runner.close();
    proxy.close();
    await Promise.all([gateway.stop(), host.stop(), plainHost.stop()]);
  }
}

function rowsOf({ input }: { readonly input: number[] | number[][] }): number[][] {
  return typeof input[0] === "number" ? [input as number[]] : (input as number[][]);
}
