/**
 * The command line: parses, calls the packages, prints.
 * @module
 */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { addAttackCommands } from "./commands/attack.ts";
import { addAttestCommands } from "./commands/attest.ts";
import { addCompareCommand } from "./commands/compare.ts";
import { addContestCommands } from "./commands/contest.ts";
import { addEncoderCommands } from "./commands/encode.ts";
import { addEncryptCommands } from "./commands/encrypt.ts";
import { addHubCommands, addPartyCommands } from "./commands/hub.ts";
import { addInspectCommand } from "./commands/inspect.ts";
import { addIdCommands } from "./commands/ids.ts";
import { addKeyCommands } from "./commands/key.ts";
import { addModelCommands } from "./commands/pull.ts";
import { addPrivateRunCommands } from "./commands/private-run.ts";
import { addServeCommands } from "./commands/serve.ts";
import { addSharesCommands } from "./commands/shares.ts";
import { addStartCommand } from "./commands/start.ts";
import { addTensorCommands } from "./commands/tensors.ts";
import { createTerminal, reportFailure } from "./terminal.ts";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };

/** The whole command line, ready to parse. */
export function createProgram(): Command {
  const program = new Command("unseen")
    .description("Run AI models on machines you don't trust.")
    .version(version)
    .enablePositionalOptions()
    .showHelpAfterError("(see unseen --help)")
    .exitOverride();
  addStartCommand(program, version);
  addKeyCommands(program);
  addModelCommands(program);
  addEncryptCommands(program);
  addInspectCommand(program);
  addServeCommands(program, version);
  addEncoderCommands(program);
  addIdCommands(program);
  addTensorCommands(program);
  addAttackCommands(program, version);
  addContestCommands(program);
  addSharesCommands(program);
  addCompareCommand(program);
  addPrivateRunCommands(program);
  addHubCommands(program);
  addPartyCommands(program);
  addAttestCommands(program);
  program.addHelpText(
    "after",
    "\nEvery flag is also an environment variable, UNSEEN_ and its name; a flag wins. UNSEEN_HOME holds keys, bundles and models (default ~/.unseen).",
  );
  return program;
}

/** Runs one command line and gives the exit code. */
export async function run(parameters: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync([...parameters], { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has printed its own line; with --json the caller gets an object as well.
      const usage = error.exitCode !== 0;
      if (usage) createTerminal(parameters.includes("--json")).result({ error: { code: "USAGE", message: error.message } });
      return error.exitCode;
    }
    reportFailure(error, createTerminal(parameters.includes("--json")));
    return 1;
  }
}
