/**
 * `unseen attest policy`
 * @module
 */
import type { Command } from "commander";
import { addCommand } from "../command.ts";
import { attestOptions } from "./hub.ts";
import type { AttestFlags } from "../private/quote-source.ts";

export function addAttestCommands(program: Command): void {
  const group = program.command("attest").description("evidence that a machine runs what it says");
  addCommand<AttestFlags & { out?: string }>(group, {
    name: "policy",
    description: "write a policy that allows the program that runs on this platform, for others to require",
    options: [...attestOptions, { flags: "--out <file>", description: "file to write (default: print it)" }],
    run: async ({ options, terminal }) => (await import("../private/attest-policy.ts")).makePolicy(options, terminal),
  });
}
