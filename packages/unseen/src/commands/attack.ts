/**
 * `unseen attack`, `unseen report`: what encryption is worth on one's own model, measured.
 * @module
 */
import type { Command } from "commander";
import { addCommand, wholeNumber } from "../command.ts";
import { keyOption } from "../keys.ts";

export interface AttackFlags {
  readonly key: string;
  readonly base?: string;
  readonly traffic?: string;
  readonly prior?: string;
  readonly known?: string;
  readonly tokenizer?: string;
  readonly attacks?: readonly string[];
  readonly keys: number;
  readonly seed: number;
  readonly budget: number;
  readonly defences?: boolean;
  readonly defence?: readonly string[];
  readonly judge?: string;
  readonly judgeModel?: string;
  readonly judgeApiKey?: string;
}

export function addAttackCommands(program: Command, version: string): void {
  addCommand<AttackFlags>(program, {
    name: "attack",
    description: "attack your own encrypted model and measure what is recovered, by whom",
    arguments: [["<model>", "encrypted directory, .gguf or .onnx file"]],
    options: [
      keyOption,
      { flags: "--base <model>", description: "the public model that it was made from, as a host would download it" },
      {
        flags: "--traffic <file>",
        description: "a text file of what is sent, paragraph by paragraph, or a .jsonl file of recorded cipher ids",
      },
      { flags: "--prior <file>", description: "a text file that the attacker takes for the language (default: a part of --traffic)" },
      { flags: "--known <file>", description: "a text file that the attacker knows to have been sent (default: tokens of --traffic)" },
      { flags: "--tokenizer <directory>", description: "where the tokenizer lies, if the keyring's bundle has none" },
      { flags: "--attacks <names>", description: "run these alone, separated by commas", repeated: true },
      { flags: "--keys <count>", description: "keys to measure under", fallback: "5", parse: wholeNumber(1, 100) },
      { flags: "--seed <number>", description: "the same seed gives the same numbers", fallback: "1", parse: wholeNumber(0, 2 ** 31) },
      { flags: "--budget <seconds>", description: "time for one attack under one key", fallback: "120", parse: wholeNumber(1, 86_400) },
      { flags: "--defences", description: "also measure noise, private tuning, homophones and decoys; needs --base and --traffic" },
      { flags: "--defence <names>", description: "measure these defences alone, separated by commas", repeated: true },
      { flags: "--judge <url>", description: "base URL of an OpenAI-compatible API that judges deciphered text: it sees that text" },
      { flags: "--judge-model <name>", description: "model of the judge" },
      { flags: "--judge-api-key <key>", description: "API key of the judge" },
    ],
    // Loaded here, because the other commands do without the attacks.
    run: async ({ options, values, terminal }) =>
      (await import("../attack.ts")).attackModel(values[0] as string, options, version, terminal),
  });

  addCommand<{ out: string }>(program, {
    name: "report",
    description: "write what `unseen attack` measured as one page of HTML, and as JSON",
    arguments: [["<report>", "fingerprint of a model that was attacked, or a JSON file of `unseen attack --json`"]],
    options: [{ flags: "--out <file>", description: "page to write; the JSON lies beside it", fallback: "unseen-report.html" }],
    run: async ({ options, values, terminal }) => (await import("../attack.ts")).writeReport(values[0] as string, options.out, terminal),
  });
}
