/**
 * What "blind chat, end to end" promises, each promise as a check that can fail.
 * @module
 */
import { execFile } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { convertModel } from "@unseen/core/blueprint/transform.ts";
import { ask, STORY_LLAMA, temporaryDirectory } from "../tests/command-line.ts";
import { compareGreedy } from "../tests/greedy.ts";
import { writePlainStory } from "../tests/plain-gguf.ts";
import { sharedPath } from "../tests/shared.ts";
import { testsShow, type Finding, type Proof } from "./proof.ts";
import { PROMPTS } from "./prompts.ts";

type Note = (line: string) => void;

const file = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const LENGTH = 64;

/** Parts by name, in the order of the table. */
const parts: Readonly<Record<string, (note: Note) => AsyncGenerator<Finding>>> = {
  greedy,
  verify,
  independent,
  clients,
  "special-tokens": tests("Special ids are moved wherever they are named, and no file names a word", [
    "tests/special-tokens.test.ts",
    "tests/words.test.ts",
  ]),
  blindness: tests("Host started with the encrypted directory alone: no text, no word, no key in what it gets, logs, opens or remembers", [
    "tests/blindness.test.ts",
  ]),
  killed: tests("encrypt, killed at any point, leaves nothing that serve accepts, and says so at the next run", ["tests/killed.test.ts"]),
  "bad-input": tests("Bad input: one line that says what to do, exit code 1, nothing lost", ["tests/bad-input.test.ts"]),
  "failing-hosts": tests("Failing hosts: the right status, OpenAI's error body, no word of an answer lost", [
    "tests/failing-hosts.test.ts",
  ]),
};

export const chat: Proof = {
  name: "chat",
  title: "Blind chat, end to end",
  async *run(note, part) {
    if (part !== undefined && !Object.hasOwn(parts, part)) throw new RangeError(`chat has the parts ${Object.keys(parts).join(", ")}.`);
    for (const [name, findings] of Object.entries(parts)) if (part === undefined || part === name) yield* findings(note);
  },
};

interface Subject {
  readonly name: string;
  /** What is encrypted. */
  readonly source: string;
  /** The same model as a plain GGUF. */
  readonly plain: string;
  readonly tokenizer: string;
  readonly flags?: readonly string[];
  readonly strengths: readonly ("permute" | "rotate")[];
  /** Whether every token must be equal; else the figure is the result. */
  readonly exact: boolean;
}

/** Greedy decoding on the encrypted model against the plain one, on the same engine. */
async function* greedy(note: Note): AsyncGenerator<Finding> {
  const home = temporaryDirectory("prove");
  await ask(["key", "new"], { home });
  const at = (name: string): string => join(home, name);
  const [storiesHf, storiesGguf] = [sharedPath("data/models/stories260K-hf"), sharedPath("data/models/stories260K-f32.gguf")];
  const subjects: Subject[] = [];
  const both = ["permute", "rotate"] as const;
  if (storiesHf && storiesGguf) {
    await convertModel({ source: storiesHf, output: at("stories.gguf"), format: "gguf" });
    subjects.push(
      {
        name: "stories260K f32, directory to GGUF",
        source: storiesHf,
        plain: at("stories.gguf"),
        tokenizer: storiesHf,
        flags: ["--format", "gguf"],
        strengths: both,
        exact: true,
      },
      {
        name: "stories260K f32, GGUF to GGUF",
        source: storiesGguf,
        plain: storiesGguf,
        tokenizer: storiesHf,
        strengths: both,
        exact: true,
      },
    );
  } else yield { claim: "Greedy tokens, stories260K", figure: "its files are not here", bar: "all equal", holds: null };
  await writePlainStory(at("f16.gguf"), new Map(), "f16");
  await writePlainStory(at("bf16.gguf"));
  await writePlainStory(at("f32.gguf"), new Map(), "f32");
  const f16 = sharedPath("assets/story-llama/story-llama-f16.gguf") ?? at("f16.gguf");
  subjects.push(
    {
      name: "story-llama bf16 stored as f32, directory",
      source: STORY_LLAMA,
      plain: at("f32.gguf"),
      tokenizer: STORY_LLAMA,
      flags: ["--precision", "f32"],
      strengths: both,
      exact: true,
    },
    {
      name: "story-llama f16 stored as f32, GGUF to GGUF",
      source: f16,
      plain: at("f32.gguf"),
      tokenizer: STORY_LLAMA,
      flags: ["--precision", "f32"],
      strengths: both,
      exact: true,
    },
    // In 16 bits the engine rounds activations before every product, so that near ties fall either way, even between two
    // ways of computing the plain model: the last line is the measure for the two before it.
    { name: "story-llama f16, GGUF to GGUF", source: f16, plain: f16, tokenizer: STORY_LLAMA, strengths: both, exact: false },
    {
      name: "story-llama bf16, directory",
      source: STORY_LLAMA,
      plain: at("bf16.gguf"),
      tokenizer: STORY_LLAMA,
      strengths: both,
      exact: false,
    },
    {
      name: "(for scale) plain story-llama, the engine in bf16 against f32",
      source: STORY_LLAMA,
      plain: at("bf16.gguf"),
      tokenizer: STORY_LLAMA,
      flags: ["--precision", "f32"],
      strengths: ["permute"],
      exact: false,
    },
  );
  for (const subject of subjects) {
    const tokenizer = await TextTokenizer.load(subject.tokenizer);
    const prompts = PROMPTS.map((prompt) => tokenizer.encode(prompt, { specialTokens: true }));
    for (const strength of subject.strengths) {
      note(`${subject.name}, ${strength}`);
      const agreement = await compareGreedy({
        home,
        plain: subject.plain,
        source: subject.source,
        flags: ["--strength", strength, ...(subject.flags ?? [])],
        prompts,
        length: LENGTH,
      });
      const share = (100 * agreement.equalTokens) / agreement.tokens;
      yield {
        claim: `Greedy tokens, encrypted = plain: ${subject.name}, ${strength}`,
        figure: `${agreement.equalTokens} of ${agreement.tokens} tokens (${share.toFixed(2)} %), ${agreement.equalPrompts} of ${agreement.prompts} prompts`,
        bar: subject.exact ? "all equal" : "-",
        holds: subject.exact ? agreement.equalTokens === agreement.tokens : true,
      };
    }
  }
  rmSync(home, { recursive: true, force: true });
}

/** `unseen verify`: logits of the reference implementation. */
async function* verify(): AsyncGenerator<Finding> {
  const home = temporaryDirectory("prove-verify");
  await ask(["key", "new"], { home });
  const subjects: { name: string; source: string; flags: string[]; bar: number | null }[] = [
    { name: "story-llama bf16 stored as f32", source: STORY_LLAMA, flags: ["--precision", "f32"], bar: 1e-4 },
    { name: "story-llama bf16", source: STORY_LLAMA, flags: [], bar: null },
    { name: "story-llama bf16 stored as f16", source: STORY_LLAMA, flags: ["--precision", "f16"], bar: null },
  ];
  const stories = sharedPath("data/models/stories260K-hf");
  if (stories) subjects.unshift({ name: "stories260K f32", source: stories, flags: [], bar: 1e-4 });
  for (const { name, source, flags, bar } of subjects) {
    for (const strength of ["permute", "rotate"]) {
      const { output } = await ask<{ output: string }>(
        ["encrypt", source, "--out", join(home, `${name}-${strength}`), "--strength", strength, "--no-measure", ...flags],
        { home },
      );
      const figures = await ask<{ maxLogitDifference: number; meanKl: number; greedyAgreement: number; tokens: number }>(
        ["verify", source, output, "--tokens", "256", "--prompts", await promptFile(home)],
        { home },
      );
      yield {
        claim: `verify: ${name}, ${strength}`,
        figure: `maxLogitDifference ${figures.maxLogitDifference.toExponential(1)}, meanKl ${figures.meanKl.toExponential(1)}, greedyAgreement ${figures.greedyAgreement} over ${figures.tokens} tokens`,
        bar: bar === null ? "-" : `maxLogitDifference <= ${bar}`,
        holds: bar === null || figures.maxLogitDifference <= bar,
      };
    }
  }
}

async function promptFile(home: string): Promise<string> {
  const { writeFile } = await import("node:fs/promises");
  const path = join(home, "prompts.txt");
  await writeFile(path, PROMPTS.join("\n"));
  return path;
}

/** The encrypted directory in an implementation that is not ours. */
async function* independent(note: Note): AsyncGenerator<Finding> {
  const claim = "The encrypted directory in another implementation";
  const python = process.env["UNSEEN_PYTHON"];
  if (!python) {
    const { counts: _counts, ...finding } = await testsShow(`${claim}: plain reading of the forward pass (UNSEEN_PYTHON is not set)`, [
      file("packages/core/src/blueprint/families.test.ts"),
    ]);
    yield finding;
    return;
  }
  const script = file("tests/interop/transformers.py");
  note(`${python} ${script}`);
  const { stdout } = await promisify(execFile)(python, [script, "--json"], { maxBuffer: 64 << 20 }).catch(
    (error: { stdout: string; stderr: string }) => {
      note(error.stderr);
      return error;
    },
  );
  const rows = (existsSync(script) && stdout ? (JSON.parse(stdout) as { rows: InteropRow[] }).rows : []) as InteropRow[];
  if (rows.length === 0) yield { claim: `${claim}: transformers`, figure: "the script gave no result", bar: "-", holds: false };
  for (const { model, strength, maxLogitDifference, bar, greedyEqual, greedyTokens, holds } of rows) {
    yield {
      claim: `${claim}: transformers, ${model}, ${strength}`,
      figure: `largest logit difference ${maxLogitDifference.toExponential(1)}, greedy ids ${greedyEqual} of ${greedyTokens}`,
      bar: bar === null ? "-" : `<= ${bar}, all equal`,
      holds,
    };
  }
}

interface InteropRow {
  readonly model: string;
  readonly strength: string;
  readonly maxLogitDifference: number;
  /** null: rounded weights, whose figure is the result. */
  readonly bar: number | null;
  readonly greedyEqual: number;
  readonly greedyTokens: number;
  readonly holds: boolean;
}

/** The official clients, unmodified but for the base URL. */
async function* clients(): AsyncGenerator<Finding> {
  const at = (name: string): string => file(`packages/client/src/gateway/${name}.test.ts`);
  for (const [client, files] of [
    ["openai", ["openai-chat", "openai-responses"]],
    ["ai", ["ai-sdk"]],
  ] as const) {
    const { counts: _counts, ...finding } = await testsShow(
      `The official ${client} client works on the gateway: chat, stream, tools, logprobs, responses`,
      files.map(at),
    );
    yield finding;
  }
}

/** A part that test files show; figures that the tests report become lines of their own. */
function tests(claim: string, files: readonly string[]): (note: Note) => AsyncGenerator<Finding> {
  return async function* show(note) {
    const { counts, ...finding } = await testsShow(claim, files.map(file));
    for (const diagnostic of counts.diagnostics) note(diagnostic);
    yield finding;
  };
}
