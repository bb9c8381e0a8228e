/**
 * `unseen share`, `unseen shares serve`, `unseen shares bench`
 * @module
 */
import type { Command } from "commander";
import { addCommand, wholeNumber } from "../command.ts";
import { keyOption } from "../keys.ts";

export interface ShareFlags {
  readonly key: string;
  readonly out?: readonly string[];
  readonly bits: "8" | "16";
  readonly name?: string;
  readonly tokenizer?: string;
}

export interface ShareServeFlags {
  readonly port: number;
  readonly hostname: string;
  readonly tlsCertificate?: string;
  readonly tlsKey?: string;
}

export interface ShareBenchFlags {
  readonly bits: "8" | "16";
  readonly prompts: number;
  readonly tokens: number;
}

export function addSharesCommands(program: Command): void {
  addCommand<ShareFlags>(program, {
    name: "share",
    description: "split a model for two servers: whole-number layers for both, everything else stays in the keyring",
    arguments: [["<model>", "plain or encrypted Hugging Face directory"]],
    options: [
      keyOption,
      { flags: "--out <directories...>", description: "two directories to make, one for each server", repeated: true },
      { flags: "--bits <count>", description: "bits per weight", fallback: "8", choices: ["8", "16"] },
      { flags: "--name <name>", description: "name of the model for the gateway (default: that of the input)", env: "UNSEEN_MODEL_NAME" },
      { flags: "--tokenizer <directory>", description: "where the tokenizer lies, if not with the model" },
    ],
    run: async ({ options, values, terminal }) => (await import("../shares/share-commands.ts")).shareModel(values[0]!, options, terminal),
  });

  const group = program.command("shares").description("two servers, each of which sees uniform randomness");
  addCommand<ShareServeFlags>(group, {
    name: "serve",
    description: "multiply shares by a model's weights, and do nothing else (each of the two servers runs this)",
    arguments: [["<directory>", "one of the directories that `unseen share` made"]],
    options: [
      { flags: "--port <number>", description: "port", env: "UNSEEN_SHARES_PORT", fallback: "8820", parse: wholeNumber(0, 65_535) },
      { flags: "--hostname <address>", description: "address to listen on", env: "UNSEEN_SHARES_HOSTNAME", fallback: "127.0.0.1" },
      { flags: "--tls-certificate <file>", description: "PEM of the server's certificate chain" },
      { flags: "--tls-key <file>", description: "PEM of its private key" },
    ],
    run: async ({ options, values, terminal }) => (await import("../shares/share-commands.ts")).serveShares(values[0]!, options, terminal),
  });

  addCommand<ShareBenchFlags>(group, {
    name: "bench",
    description: "compare a model on two local servers with the same quantised model and with the plain one",
    arguments: [["<model>", "Hugging Face directory"]],
    options: [
      { flags: "--bits <count>", description: "bits per weight", fallback: "8", choices: ["8", "16"] },
      { flags: "--prompts <count>", description: "prompts to run", fallback: "4", parse: wholeNumber(1, 1000) },
      { flags: "--tokens <count>", description: "tokens to generate for each", fallback: "16", parse: wholeNumber(1, 10_000) },
    ],
    run: async ({ options, values, terminal }) => (await import("../shares/share-commands.ts")).benchShares(values[0]!, options, terminal),
  });
}
