/**
 * `unseen hub serve|account|models|publish`, `unseen enclave serve`, `unseen creator serve`
 * @module
 */
import { join } from "node:path";
import { resolveHome } from "@unseen/client/home.ts";
import { InvalidArgumentError, type Command } from "commander";
import { addCommand, wholeNumber, type OptionSpecification } from "../command.ts";
import { decimal, hubKeyOption, hubOption, type HubFlags } from "../private/hub-flags.ts";

const PORT = wholeNumber(0, 65_535);

const budgetOption: OptionSpecification = {
  flags: "--budget <seconds>",
  description: "time for one evaluation on ciphertext; then it is stopped",
  fallback: "60",
  parse: decimal(0.1, 600),
};

/** Where evidence comes from. */
export const attestOptions: readonly OptionSpecification[] = [
  {
    flags: "--attest <platform>",
    description: "where evidence comes from: dstack (Intel TDX), or a simulator that protects nothing",
    choices: ["dstack", "simulator"],
  },
  { flags: "--attest-directory <directory>", description: "state of the simulator (default: ~/.unseen/simulator)" },
];

const creatorDirectory: OptionSpecification = {
  flags: "--directory <directory>",
  description: "the creator's directory (default: ~/.unseen/creator)",
};

function role(text: string): string {
  if (!["user", "creator", "enclave"].includes(text)) throw new InvalidArgumentError("expected user, creator or enclave.");
  return text;
}

export function addHubCommands(program: Command): void {
  const group = program.command("hub").description("the model hub: models, jobs, and the parties that never meet");

  addCommand<HubServeFlags>(group, {
    name: "serve",
    description: "run a model hub; it stores sealed bytes and opens none",
    options: [
      { flags: "--port <number>", description: "port", env: "UNSEEN_HUB_PORT", fallback: "8810", parse: PORT },
      { flags: "--hostname <address>", description: "address to listen on", env: "UNSEEN_HUB_HOSTNAME", fallback: "127.0.0.1" },
      {
        flags: "--directory <directory>",
        description: "blobs and the embedded database (default: ~/.unseen/hub)",
        env: "UNSEEN_HUB_DIRECTORY",
      },
      { flags: "--database-url <url>", description: "a PostgreSQL server instead of the embedded database", env: "DATABASE_URL" },
      {
        flags: "--lease <seconds>",
        description: "how long an enclave or a creator may be silent before another gets its job",
        fallback: "30",
        parse: wholeNumber(1, 3600),
      },
      { flags: "--jobs-per-day <count>", description: "jobs of one account in a day", fallback: "1000", parse: wholeNumber(1) },
      { flags: "--stored <mebibytes>", description: "blobs of one account", fallback: "4096", parse: wholeNumber(1) },
    ],
    async run({ options, terminal }) {
      const { startHub } = await import("@unseen/hub/server/serve.ts");
      const { directory = join(resolveHome().root, "hub"), databaseUrl, port, hostname, lease, jobsPerDay, stored } = options;
      const hub = await startHub({
        dataDirectory: directory,
        databaseUrl,
        port: Number(port),
        hostname,
        limits: { leaseSeconds: Number(lease), jobsPerDay: Number(jobsPerDay), storedBytes: Number(stored) * 2 ** 20 },
        log: terminal.note,
      });
      terminal.print(`Model hub at ${hub.url}. The admin key lies in ${hub.adminKeyFile}.`);
      terminal.result({ url: hub.url, adminKeyFile: hub.adminKeyFile });
      await (await import("../private/until-signal.ts")).closeOnSignal(hub.close);
    },
  });

  addCommand<HubFlags & { role: string }>(group, {
    name: "account",
    description: "make an account and print its API key, which is shown once (needs the admin key)",
    arguments: [["<name>", "lower-case letters, digits, hyphens"]],
    options: [{ flags: "--role <role>", description: "user, creator or enclave", fallback: "user", parse: role }, hubOption, hubKeyOption],
    run: async ({ options, values, terminal }) => (await import("../private/hub-commands.ts")).makeAccount(values[0]!, options, terminal),
  });

  addCommand<{ hub: string }>(group, {
    name: "models",
    description: "list the hub's models with their cuts and what can be read from each",
    arguments: [["[name]", "one model alone"]],
    options: [hubOption],
    run: async ({ options, values, terminal }) => (await import("../private/hub-commands.ts")).showModels(values[0], options.hub, terminal),
  });

  addCommand<PublishFlags>(group, {
    name: "publish",
    description: "publish a model: its first layers, encrypted, to the hub; the later ones stay here",
    arguments: [["<model>", ".onnx file"]],
    options: [
      { flags: "--name <name>", description: "name on the hub" },
      { flags: "--card <file>", description: "model card, Markdown" },
      { flags: "--licence <expression>", description: "SPDX licence of the model", fallback: "LicenseRef-unspecified" },
      { flags: "--labels <names>", description: "names of the classes, separated by commas (default: the model's own)", repeated: true },
      { flags: "--scale <number>", description: "what a white pixel is to the model: 1 or 255", fallback: "1", parse: decimal(1, 255) },
      { flags: "--leak <file>", description: "what `unseen leak --json` printed; may be given several times", repeated: true },
      { flags: "--calibrate", description: "measure this machine, so that the cuts carry seconds" },
      budgetOption,
      creatorDirectory,
      hubOption,
      hubKeyOption,
    ],
    run: async ({ options, values, terminal }) => (await import("../private/hub-commands.ts")).publish(values[0]!, options, terminal),
  });
}

interface HubServeFlags {
  readonly port: number;
  readonly hostname: string;
  readonly directory?: string;
  readonly databaseUrl?: string;
  readonly lease: number;
  readonly jobsPerDay: number;
  readonly stored: number;
}

export interface PublishFlags extends HubFlags {
  readonly name?: string;
  readonly card?: string;
  readonly licence: string;
  readonly labels?: readonly string[];
  readonly scale: number;
  readonly leak?: readonly string[];
  readonly calibrate?: boolean;
  readonly budget: number;
  readonly directory?: string;
}

export interface EnclaveFlags extends HubFlags {
  readonly attest?: "dstack" | "simulator";
  readonly attestDirectory?: string;
  readonly workers: number;
  readonly budget: number;
}

export interface CreatorFlags extends HubFlags {
  readonly directory?: string;
  readonly requireAttestation?: string;
}

export function addPartyCommands(program: Command): void {
  const enclave = program.command("enclave").description("the evaluator of encrypted first layers");
  addCommand<EnclaveFlags>(enclave, {
    name: "serve",
    description: "evaluate first layers on ciphertext for a hub's users, inside an attested enclave",
    options: [
      hubOption,
      hubKeyOption,
      ...attestOptions,
      { flags: "--workers <count>", description: "jobs at once, each with its own engine", fallback: "1", parse: wholeNumber(1, 64) },
      budgetOption,
    ],
    run: async ({ options, terminal }) => (await import("../private/hub-commands.ts")).serveEnclave(options, terminal),
  });

  const creator = program.command("creator").description("the runtime of a model's creator");
  addCommand<CreatorFlags>(creator, {
    name: "serve",
    description: "run the later layers of one's published models on the features that users send",
    options: [
      hubOption,
      hubKeyOption,
      creatorDirectory,
      { flags: "--require-attestation <policy>", description: "policy file: which enclaves may have the first layers" },
    ],
    run: async ({ options, terminal }) => (await import("../private/hub-commands.ts")).serveCreator(options, terminal),
  });
}
