/**
 * `unseen contest new|score|invite|serve`
 * @module
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { loadBundle, loadBundleInterface, loadBundleTokenizer } from "@unseen/client/bundle.ts";
import { permutationOf } from "@unseen/client/encoders/sequences.ts";
import { resolveHome } from "@unseen/client/home.ts";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { blueprintOf } from "@unseen/core/blueprint/families/index.ts";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { contestFiles, readAtMost, readContest, readSolution, writeContest, type ContestFiles } from "@unseen/lab/contest/files.ts";
import { makeContest, type ContestSource } from "@unseen/lab/contest/make-contest.ts";
import { scoreTokens } from "@unseen/lab/contest/scoring.ts";
import { verifySolution } from "@unseen/lab/contest/solution.ts";
import { MAXIMUM_SUBMISSION_BYTES, parseSubmission } from "@unseen/lab/contest/submission.ts";
import { InvalidArgumentError, type Command } from "commander";
import { BUNDLED_MODEL } from "../bundled-models.ts";
import { addCommand, wholeNumber, type OptionSpecification } from "../command.ts";
import { openKeyOf } from "../models.ts";

/** Bytes of a text to make a contest of (CWE-770). */
const MAXIMUM_TEXT_BYTES = 1024 * 1024;
const DIRECTORY = "contest";

interface NewFlags {
  readonly model?: string;
  readonly key?: string;
  readonly practice?: boolean;
  readonly prompt?: string;
  readonly response?: string;
  readonly text?: string;
  readonly hints: number;
  readonly date?: string;
  readonly out: string;
}

interface DirectoryFlags {
  readonly dir: string;
  readonly solution?: string;
  readonly database?: string;
}

const directoryOptions: readonly OptionSpecification[] = [
  { flags: "--dir <directory>", description: "directory of the contest", fallback: DIRECTORY },
  { flags: "--database <file>", description: "participants and submissions, if not in the contest's directory" },
];

export function addContestCommands(program: Command): void {
  const group = program.command("contest").description("have encrypted text attacked: publish it, score what others find out");

  addCommand<NewFlags>(group, {
    name: "new",
    description: "make a day's contest: what to publish, and its solution",
    options: [
      { flags: "--model <name>", description: "name or fingerprint of the encrypted model" },
      { flags: "--key <name>", description: "name, id or file of the key (default: the one that the model was encrypted under)" },
      { flags: "--practice", description: "take the small model that comes along and a key for this once" },
      { flags: "--prompt <text>", description: "what was asked" },
      { flags: "--response <text>", description: "what was answered" },
      { flags: "--text <file>", description: "both as a file: the first line is the prompt, the rest the response" },
      { flags: "--hints <count>", description: "tokens to give away, drawn at random", fallback: "0", parse: wholeNumber(0, 100_000) },
      { flags: "--date <date>", description: "YYYY-MM-DD, the day that it closes with, in UTC (default: today)", parse: calendarDate },
      { flags: "--out <directory>", description: "directory to make", fallback: DIRECTORY },
    ],
    async run({ options, terminal }) {
      const date = options.date ?? new Date().toISOString().slice(0, 10);
      const text = await textOf(options);
      const made = makeContest({ date, ...text, hints: Number(options.hints), ...(await modelOf(options)) });
      const files = await writeContest(options.out, made);
      const { contest, solution } = made;
      terminal.print(`Contest   ${contest.id}, closes when ${date} ends, in UTC`);
      terminal.print(
        `Tokens    ${contest.prompt.length} + ${contest.response.length}, ${solution.tokens.size} different, ${solution.hints.size} given away`,
      );
      terminal.print(`Publish   ${files.contest}`);
      terminal.print(`Keep      ${files.solution}`);
      terminal.print(`Next:     unseen contest invite NAME --dir ${options.out}, then unseen contest serve --dir ${options.out}`);
      if (!contest.practice)
        terminal.note("What is given away or published later are known pairs of this key: it should protect nothing but contests.");
      return {
        id: contest.id,
        date,
        ...withoutDatabase(files),
        promptTokens: contest.prompt.length,
        responseTokens: contest.response.length,
        distinctTokens: solution.tokens.size,
        hints: solution.hints.size,
        commitment: contest.commitment,
      };
    },
  });

  addCommand<{ solution?: string; contest?: string }>(group, {
    name: "score",
    description: "score a submission against a solution",
    arguments: [["<submission>", "JSON file"]],
    options: [
      { flags: "--solution <file>", description: "solution.json" },
      { flags: "--contest <file>", description: "contest.json: check that the solution is the one it was published with" },
    ],
    async run({ options, values, terminal }) {
      if (!options.solution)
        throw new UnseenError("USAGE", "score needs --solution FILE.", { hint: `It is ${contestFiles(DIRECTORY).solution} or the like.` });
      const solution = await readSolution(options.solution);
      if (options.contest) verifySolution(await readContest(options.contest), solution);
      const { tokens } = parseSubmission(await readAtMost(values[0] as string, MAXIMUM_SUBMISSION_BYTES));
      const tally = scoreTokens(tokens, solution);
      terminal.print(`Score ${tally.score}`);
      terminal.print(`${tally.right} right, ${tally.wrong} wrong, ${tally.void} void, ${tally.unanswered} not answered`);
      if (options.contest) terminal.print("The solution is the one that the contest was published with.");
      return { contest: solution.contest, ...tally, verified: options.contest !== undefined };
    },
  });

  addCommand<Omit<DirectoryFlags, "solution"> & { replace?: boolean }>(group, {
    name: "invite",
    description: "register a participant and print the token to submit with",
    arguments: [["<name>", "shown on the leaderboard"]],
    options: [...directoryOptions, { flags: "--replace", description: "give a registered participant another token; the old one ends" }],
    async run({ options, values: [name = ""], terminal }) {
      // Loaded here, like the server: only these two commands need SQLite.
      const { ContestStore } = await import("@unseen/lab/contest/store.ts");
      const files = filesOf(options);
      await readContest(files.contest);
      const store = new ContestStore(files.database);
      try {
        const token = store.invite(name, options.replace === true);
        terminal.print(token);
        terminal.note(`This is the token of ${name}. It is not kept and not shown again.`);
        return { participant: name, token };
      } finally {
        store.close();
      }
    },
  });

  addCommand<DirectoryFlags & { port: number; hostname: string }>(group, {
    name: "serve",
    description: "serve a contest: its page, its leaderboard, and where to submit",
    options: [
      ...directoryOptions,
      { flags: "--solution <file>", description: "solution.json, if not in the contest's directory" },
      { flags: "--port <number>", description: "port", env: "UNSEEN_CONTEST_PORT", fallback: "8802", parse: wholeNumber(0, 65_535) },
      {
        flags: "--hostname <address>",
        description: "address to listen on; 0.0.0.0 lets other machines in",
        env: "UNSEEN_CONTEST_HOSTNAME",
        fallback: "127.0.0.1",
      },
    ],
    async run({ options, terminal }) {
      const { serveContest } = await import("@unseen/lab/contest/serve.ts");
      const { hostname } = options;
      const log = (line: string): void => terminal.note(line);
      const running = await serveContest({ files: filesOf(options), port: Number(options.port), hostname, log });
      const stopped = Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
      terminal.print(`Contest ${running.contest.id} at ${running.url}, closes when ${running.contest.date} ends, in UTC.`);
      terminal.result({ url: running.url, contest: running.contest.id, date: running.contest.date });
      await stopped;
      await running.close();
    },
  });
}

/** The model's public facts, its tokenizer and the secret permutation. */
async function modelOf({
  model,
  key,
  practice,
}: NewFlags): Promise<Pick<ContestSource, "practice" | "model" | "tokenizer" | "permutation">> {
  if ((model === undefined) === (practice !== true))
    throw new UnseenError("USAGE", "expected either --model NAME or --practice.", { hint: "`unseen list` shows the models." });
  if (model === undefined) {
    const { family, vocabulary } = blueprintOf((await openModel(BUNDLED_MODEL)).config).architecture;
    return {
      practice: true,
      model: { fingerprint: null, family, vocabularySize: vocabulary },
      tokenizer: await TextTokenizer.load(BUNDLED_MODEL),
      permutation: vocabularyPermutation(randomBytes(32), vocabulary),
    };
  }
  const home = resolveHome();
  const bundle = await loadBundle(home, model);
  const { fingerprint, family, vocabularySize } = bundle;
  const tokenizer = await loadBundleTokenizer(home, bundle);
  if (!tokenizer)
    throw new UnseenError("TOKENIZER_MISSING", `model ${bundle.name} has no tokenizer.`, {
      hint: "Encrypt it again with --tokenizer DIRECTORY.",
    });
  const { secret } = await openKeyOf(bundle, home, key);
  const ids = (await loadBundleInterface(home, bundle))?.inputs.find((input) => input.kind === "ids");
  return {
    practice: false,
    model: { fingerprint, family, vocabularySize },
    tokenizer,
    permutation: ids ? permutationOf(secret, ids) : vocabularyPermutation(secret, vocabularySize),
  };
}

async function textOf({ practice, prompt, response, text }: NewFlags): Promise<{ prompt: string; response: string }> {
  const given = prompt !== undefined || response !== undefined;
  if (text !== undefined && given)
    throw new UnseenError("USAGE", "--text holds prompt and response, and one of them was given as well.", {
      hint: "Give one or the other.",
    });
  if (given) return { prompt: prompt ?? "", response: response ?? "" };
  if (text === undefined && practice) {
    // Loaded here, so that no story lies in the memory of a host, which is searched for words.
    const { PRACTICE_PROMPT, PRACTICE_RESPONSE } = await import("@unseen/lab/contest/practice-text.ts");
    return { prompt: PRACTICE_PROMPT, response: PRACTICE_RESPONSE };
  }
  if (text === undefined)
    throw new UnseenError("USAGE", "a contest needs a text.", { hint: "Give --prompt and --response, or --text FILE." });
  const content = await readAtMost(text, MAXIMUM_TEXT_BYTES);
  if (content.length > MAXIMUM_TEXT_BYTES)
    throw new UnseenError("USAGE", `${text}: expected at most ${MAXIMUM_TEXT_BYTES} bytes.`, { hint: "Take a shorter text." });
  const whole = new TextDecoder().decode(content).replaceAll("\r\n", "\n").trimEnd();
  const [first = ""] = whole.split("\n", 1);
  return { prompt: first, response: whole.slice(first.length + 1) };
}

function filesOf({ dir, solution, database }: DirectoryFlags): ContestFiles {
  const files = contestFiles(dir);
  return { ...files, ...(solution ? { solution } : {}), ...(database ? { database } : {}) };
}

function withoutDatabase({ contest, solution }: ContestFiles): Pick<ContestFiles, "contest" | "solution"> {
  return { contest, solution };
}

function calendarDate(value: string): string {
  const date = new Date(`${value}T00:00:00Z`);
  if (/^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(date.getTime()) && date.toISOString().startsWith(value)) return value;
  throw new InvalidArgumentError("It must be a day, YYYY-MM-DD.");
}
