/**
 * Every logit of two servers against the same quantised model in one process, and what quantisation costs against float weights.
 * @module
 */
import { openModel } from "@unseen/core/blueprint/model.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { encode } from "@unseen/core/reference/encoder.ts";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { TokenCipher } from "@unseen/client/token-cipher.ts";
import { ShareDecoder } from "@unseen/shares/model/decoder.ts";
import { ShareEncoder } from "@unseen/shares/model/encoder.ts";
import { measureDecoder } from "@unseen/shares/model/fidelity.ts";
import type { Multiplier } from "@unseen/shares/multiplier.ts";
import { best } from "@unseen/shares/sampling/sample.ts";
import { PROMPTS as texts } from "./prompts.ts";
import { sharedPath } from "../tests/shared.ts";
import { testSets } from "../tests/test-sets.ts";
import { connectTo, decoders, localOf, serveBoth, splitModel, type SharedModel } from "./shares-setup.ts";
import type { Finding } from "./proof.ts";

const COUNT = 20;
const TOKENS = 64;
/** Of the same quantised model in plain loops: exactness is judged there, so that nothing of the servers' code is shared. */
const SENTENCES = 872;

export async function* exactFindings(note: (line: string) => void): AsyncGenerator<Finding> {
  for (const { name, path } of decoders())
    for (const bits of [8, 16] as const) yield* decoderFindings(await splitModel(name, path, bits), path, bits, note);
  yield* sentenceFindings(note);
}

async function* decoderFindings(shared: SharedModel, path: string, bits: number, note: (line: string) => void): AsyncGenerator<Finding> {
  note(`${shared.name}, ${bits} bits`);
  const decoder = await ShareDecoder.open(shared.client);
  const pair = await serveBoth(shared);
  const [remote, local] = [await connectTo(shared, pair.urls), await localOf(shared)];
  const prompts = await promptsFor(path, shared);
  let [rows, equal] = [0, 0];
  try {
    for (const prompt of prompts) {
      const [theirs, ours] = [await generate(decoder, remote, prompt), await generate(decoder, local, prompt)];
      for (const [index, row] of theirs.entries()) {
        rows += 1;
        if (row.every((value, id) => Object.is(value, ours[index]![id]))) equal += 1;
      }
    }
    const fidelity = await measureDecoder(shared.model, decoder, local, prompts);
    yield {
      claim: `${shared.name}, ${bits}-bit weights: every logit of ${prompts.length} prompts x ${TOKENS} tokens, two servers against one process`,
      figure: `${equal} of ${rows} rows of ${shared.layout.groups.at(-1)!.layers[0]!.out} logits bit by bit`,
      bar: "all",
      holds: equal === rows && rows === prompts.length * TOKENS,
    };
    yield {
      claim: `${shared.name}, ${bits}-bit weights against float weights, ${fidelity.tokens} positions`,
      figure: `same next token at ${(100 * fidelity.greedyAgreement).toFixed(1)} %, mean KL ${fidelity.meanKl.toExponential(1)} nats, activation limits ${Math.min(...shared.limits)} to ${Math.max(...shared.limits)}`,
      bar: "-",
      holds: true,
    };
  } finally {
    remote.close();
    await pair.stop();
  }
}

/** Greedy, one token after the other, as an answer is made. */
async function generate(decoder: ShareDecoder, multiplier: Multiplier, prompt: readonly number[]): Promise<Float64Array[]> {
  const state = decoder.start();
  const rows: Float64Array[] = [];
  let pending = prompt;
  for (let token = 0; token < TOKENS; token += 1) {
    const row = await decoder.step(state, pending, multiplier);
    rows.push(row);
    pending = [best(row)];
  }
  return rows;
}

/** Texts as the model's cipher ids. */
async function promptsFor(path: string, { secret, layout }: SharedModel): Promise<number[][]> {
  const tokenizer = await TextTokenizer.load(path);
  const vocabulary = layout.groups.at(-1)!.layers[0]!.out;
  const cipher = new TokenCipher(vocabularyPermutation(secret, vocabulary));
  return texts.slice(0, COUNT).map((text) => cipher.encipher(tokenizer.encode(text, { specialTokens: true })));
}

/** DistilBERT on the SST-2 development set. */
async function* sentenceFindings(note: (line: string) => void): AsyncGenerator<Finding> {
  const path = sharedPath("assets/sst2-distilbert");
  const set = testSets().find(({ name }) => name === "sst2-distilbert");
  if (!path || !set) {
    yield { claim: "DistilBERT on SST-2", figure: "its files are not here", bar: "-", holds: null };
    return;
  }
  note("sst2-distilbert, 8 bits");
  const plain = await openModel(path);
  // Its classes are under a secret map where it is encrypted: what quantisation costs is judged on the model as it is.
  const [shared, open] = [await splitModel("sst2-distilbert", path, 8), await splitModel("sst2-distilbert", path, 8, { encrypted: false })];
  const [encoder, openEncoder] = [await ShareEncoder.open(shared.client), await ShareEncoder.open(open.client)];
  const pair = await serveBoth(shared);
  const [remote, local, openLocal] = [await connectTo(shared, pair.urls), await localOf(shared), await localOf(open)];
  const cipher = new TokenCipher(vocabularyPermutation(shared.secret, Number(plain.config["vocab_size"])));
  let [count, equal, right, plainRight, agree] = [0, 0, 0, 0, 0];
  try {
    for await (const { inputs, labels } of set.batches()) {
      const ids = [...inputs.get("input_ids")!.data].map(Number);
      const text = { ids: cipher.encipher(ids) };
      const [theirs, ours] = [await encoder.run(text, remote), await encoder.run(text, local)].map(
        (outputs) => outputs.get("logits")!.values,
      ) as [Float64Array, Float64Array];
      count += 1;
      if (theirs.every((value, index) => Object.is(value, ours[index]))) equal += 1;
      const [quantised, float] = [
        (await openEncoder.run({ ids }, openLocal)).get("logits")!.values,
        encode(plain, { ids }).get("logits")!.values,
      ];
      if (best(quantised) === best(float)) agree += 1;
      if (best(quantised) === labels[0]) right += 1;
      if (best(float) === labels[0]) plainRight += 1;
      if (count % 200 === 0) note(`${count} sentences`);
    }
    yield {
      claim: `sst2-distilbert, 8-bit weights: every logit of all ${SENTENCES} sentences of the development set, two servers against one process`,
      figure: `${equal} of ${count} bit by bit`,
      bar: "all",
      holds: equal === count && count === SENTENCES,
    };
    yield {
      claim: "sst2-distilbert, 8-bit weights against float weights",
      figure: `same class for ${agree} of ${count}; accuracy ${((100 * right) / count).toFixed(1)} %, float ${((100 * plainRight) / count).toFixed(1)} %`,
      bar: "-",
      holds: true,
    };
  } finally {
    remote.close();
    await pair.stop();
  }
}
