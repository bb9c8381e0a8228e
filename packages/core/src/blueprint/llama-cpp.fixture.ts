/**
 * For tests: asks llama.cpp, in a process of its own, since a native assertion ends the process.
 * @module
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

export interface Question {
  readonly model: string;
  readonly prompt: readonly number[];
  /** Ids to generate greedily. */
  readonly count: number;
  /** Leading positions of the prompt whose logits are wanted. */
  readonly positions: number;
}

export interface Answer {
  readonly ids: readonly number[];
  /** (positions, vocabulary) */
  readonly logits: readonly (readonly number[])[];
  /** What node-llama-cpp takes for the end of a text. */
  readonly eos: number | null;
  readonly trainContextSize: number;
}

// Keys and values in F32: llama.cpp's default of F16 alone costs 1e-3 in the logits.
const SCRIPT = `
import { readFileSync } from "node:fs";
const { getLlama } = await import(process.argv[2]);
const llama = await getLlama({ gpu: false, build: "never", maxThreads: 1, logLevel: "error" });
const answers = [];
for (const { model: modelPath, prompt, count, positions } of JSON.parse(readFileSync(process.argv[3], "utf8"))) {
  const model = await llama.loadModel({ modelPath });
  const context = await model.createContext({
    contextSize: 256, sequences: 1, flashAttention: false, experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32",
  });
  const sequence = context.getSequence();
  const ids = [];
  if (count > 0) for await (const id of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) if (ids.push(id) === count) break;
  await sequence.clearHistory();
  const output = positions === 0 ? [] : await sequence.controlledEvaluate(prompt.slice(0, positions).map((id) => [id, { generateNext: { logits: true } }]));
  const logits = output.map(({ next }) => { const row = []; for (const [id, logit] of next.logits) row[id] = logit; return row; });
  answers.push({ ids, logits, eos: model.tokens.eos, trainContextSize: model.trainContextSize });
  await context.dispose();
  await model.dispose();
}
process.stdout.write(JSON.stringify(answers), () => process.exit(0));
`;

/** llama.cpp's answers, in order. Rejects with what the process said where it ended early. */
export async function askLlamaCpp(questions: readonly Question[]): Promise<Answer[]> {
  const directory = await mkdtemp(join(tmpdir(), "unseen-llama-"));
  try {
    // A file, not --eval: node-llama-cpp tries its binary in a child that would inherit --eval and fail.
    const [script, input] = [join(directory, "ask.mjs"), join(directory, "questions.json")];
    await writeFile(script, SCRIPT);
    await writeFile(input, JSON.stringify(questions));
    const engine = import.meta.resolve("node-llama-cpp");
    const { stdout } = await promisify(execFile)(process.execPath, [script, engine, input], {
      maxBuffer: 1 << 28,
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    return JSON.parse(stdout) as Answer[];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
