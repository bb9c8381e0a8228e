/**
 * `unseen pull`, `unseen list`
 * @module
 */
import { listBundles } from "@unseen/client/bundle.ts";
import { resolveHome } from "@unseen/client/home.ts";
import type { Command } from "commander";
import { addCommand } from "../command.ts";

export function addModelCommands(program: Command): void {
  addCommand<{ file?: string; revision?: string; endpoint?: string; token?: string }>(program, {
    name: "pull",
    description: "download a model from the hub; an interrupted download goes on where it stopped",
    arguments: [["<model>", "ORG/NAME"]],
    options: [
      { flags: "--file <name>", description: "the one GGUF file to take from a repository that has several" },
      { flags: "--revision <name>", description: "branch, tag or commit", env: "UNSEEN_REVISION" },
      { flags: "--endpoint <url>", description: "address of the hub", env: "HF_ENDPOINT" },
      { flags: "--token <token>", description: "access token of the hub", env: "HF_TOKEN" },
    ],
    async run({ options, values, terminal }) {
      const { pullModel } = await import("@unseen/client/pull.ts");
      const name = values[0] as string;
      const progress = terminal.progress(`pulling ${name}`);
      try {
        const pulled = await pullModel(resolveHome(), name, {
          ...options,
          onProgress: ({ bytes, totalBytes }) => progress.update(bytes, totalBytes),
        });
        progress.end();
        terminal.print(`Model    ${pulled.directory}`);
        terminal.print(`Next:    unseen encrypt ${pulled.directory}`);
        return pulled;
      } finally {
        progress.end();
      }
    },
  });

  addCommand(program, {
    name: "list",
    description: "list the encrypted models that this keyring can talk to",
    async run({ terminal }) {
      const bundles = await listBundles(resolveHome());
      if (bundles.length === 0) terminal.print("No encrypted models yet. Make one: unseen encrypt DIRECTORY");
      for (const bundle of bundles) {
        terminal.print(
          `${bundle.name.padEnd(28)} ${bundle.fingerprint}  ${bundle.strength.padEnd(7)} ${bundle.family}, ${bundle.contextLength} tokens, key ${bundle.keyId}`,
        );
      }
      return { models: bundles };
    },
  });
}
