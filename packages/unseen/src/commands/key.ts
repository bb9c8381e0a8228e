/**
 * `unseen key new|list|show|export|import|rm`
 * @module
 */
import { writeFile } from "node:fs/promises";
import { resolveHome } from "@unseen/client/home.ts";
import { createKey, exportKey, importKey, listKeys, removeKey, type KeySummary } from "@unseen/client/keyring.ts";
import { UnseenError, explainSystemError } from "@unseen/core/errors.ts";
import type { Command } from "commander";
import { addCommand } from "../command.ts";
import { askPassphrase, DEFAULT_KEY, openKey } from "../keys.ts";

export function addKeyCommands(program: Command): void {
  const group = program.command("key").description("make and keep keys");

  addCommand<{ passphrase?: boolean }>(group, {
    name: "new",
    description: "make a key",
    arguments: [["[name]", `name of the key (default: ${DEFAULT_KEY})`]],
    options: [
      { flags: "--passphrase", description: "seal it with a passphrase instead of this machine's identity", env: "UNSEEN_KEY_PASSPHRASE" },
    ],
    async run({ options, values: [name = DEFAULT_KEY], terminal }) {
      const passphrase = options.passphrase ? await newPassphrase() : undefined;
      const key = await createKey(resolveHome(), name, { passphrase });
      terminal.print(`Key ${key.name} (${key.id}) made.`);
      terminal.print(`Back it up: unseen key export ${key.name} ${key.name}.age. Without it, nobody can talk to what it encrypts.`);
      return { id: key.id, name: key.name, created: key.created };
    },
  });

  addCommand(group, {
    name: "list",
    description: "list the keys of the keyring",
    async run({ terminal }) {
      const keys = await listKeys(resolveHome());
      if (keys.length === 0) terminal.print("No keys yet. Make one: unseen key new");
      for (const key of keys) terminal.print(line(key));
      return { keys: keys.map(shown) };
    },
  });

  addCommand(group, {
    name: "show",
    description: "show a key's public facts and the models encrypted under it",
    arguments: [["<name>", "name or id of the key"]],
    async run({ values, terminal }) {
      const name = values[0] as string;
      const key = (await listKeys(resolveHome())).find((candidate) => candidate.name === name || candidate.id === name);
      if (!key)
        throw new UnseenError("KEY_NOT_FOUND", `the keyring has no key ${name}.`, { hint: "`unseen key list` shows what there is." });
      terminal.print(line(key));
      for (const model of key.models) terminal.print(`  ${model.fingerprint}  ${model.strength}  ${model.name}  ${model.created}`);
      return shown(key);
    },
  });

  addCommand<{ recipient?: string }>(group, {
    name: "export",
    description: "write a key to an age file, sealed with a passphrase or to a recipient",
    arguments: [
      ["<name>", "name or id of the key"],
      ["<file>", "file to write"],
    ],
    options: [{ flags: "--recipient <age1...>", description: "seal to this age recipient instead of a passphrase" }],
    async run({ options, values, terminal }) {
      const [name, file] = values as [string, string];
      const key = await openKey(name);
      const seal = options.recipient ? { recipient: options.recipient } : { passphrase: await newPassphrase() };
      const text = await exportKey(resolveHome(), key, seal);
      await writeFile(file, text, { mode: 0o600, flag: "wx" }).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "EEXIST") throw new UnseenError("OUTPUT_EXISTS", `${file} already exists.`, { hint: "Choose another file." });
        throw explainSystemError(error, file);
      });
      terminal.print(`Key ${key.name} written to ${file}.`);
      return { id: key.id, name: key.name, file };
    },
  });

  addCommand<{ name?: string; passphrase?: boolean }>(group, {
    name: "import",
    description: "take a key from an age file into the keyring",
    arguments: [["<file>", "file to read"]],
    options: [
      { flags: "--name <name>", description: "keep it under another name", env: "UNSEEN_KEY_NAME" },
      { flags: "--passphrase", description: "seal it in this keyring with a new passphrase", env: "UNSEEN_KEY_PASSPHRASE" },
    ],
    async run({ options, values, terminal }) {
      const file = values[0] as string;
      const passphrase =
        process.env["UNSEEN_PASSPHRASE"] ??
        (process.stdin.isTTY ? await askPassphrase(`Passphrase of ${file} (empty if none): `) : undefined);
      const newOne = options.passphrase ? await newPassphrase() : undefined;
      const key = await importKey(resolveHome(), file, { passphrase: passphrase || undefined, name: options.name, newPassphrase: newOne });
      terminal.print(`Key ${key.name} (${key.id}) imported.`);
      return { id: key.id, name: key.name };
    },
  });

  addCommand<{ force?: boolean }>(group, {
    name: "rm",
    description: "delete a key for ever",
    arguments: [["<name>", "name or id of the key"]],
    options: [{ flags: "--force", description: "also when models were encrypted under it" }],
    async run({ options, values, terminal }) {
      const removed = await removeKey(resolveHome(), values[0] as string, { force: options.force === true });
      terminal.print(`Key ${removed.name} deleted.`);
      return { id: removed.id, name: removed.name };
    },
  });
}

async function newPassphrase(): Promise<string> {
  const given = process.env["UNSEEN_NEW_PASSPHRASE"] ?? process.env["UNSEEN_PASSPHRASE"];
  if (given) return given;
  const first = await askPassphrase("New passphrase: ");
  if (first.length === 0) throw new UnseenError("USAGE", "an empty passphrase protects nothing.", { hint: "Type at least a few words." });
  if ((await askPassphrase("Again: ")) !== first) throw new UnseenError("USAGE", "the two passphrases differ.", { hint: "Try again." });
  return first;
}

function shown(key: KeySummary): object {
  return { id: key.id, name: key.name, created: key.created, protection: key.protection, models: key.models };
}

function line(key: KeySummary): string {
  return `${key.name.padEnd(16)} ${key.id ?? "(unknown id)"}  ${key.protection.padEnd(10)} ${key.created ?? ""}  ${key.models.length} model${key.models.length === 1 ? "" : "s"}`;
}
