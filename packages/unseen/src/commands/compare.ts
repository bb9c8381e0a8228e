/**
 * `unseen compare`: every protection on one model, side by side.
 * @module
 */
import type { Command } from "commander";
import { addCommand, wholeNumber } from "../command.ts";

export interface CompareFlags {
  readonly roundTrip: number;
  readonly quick?: boolean;
}

export function addCompareCommand(program: Command): void {
  addCommand<CompareFlags>(program, {
    name: "compare",
    description: "measure every protection on one model, side by side, on this machine",
    arguments: [["[model]", "plain Hugging Face directory of a decoder (default: the small story model that comes along)"]],
    options: [
      {
        flags: "--round-trip <milliseconds>",
        description: "distance of the two servers that are far away; 0 leaves them out",
        fallback: "20",
        parse: wholeNumber(0, 10_000),
      },
      { flags: "--quick", description: "few rounds: less than a minute, and less exact" },
    ],
    // Loaded here, because the other commands do without engines of every kind.
    run: async ({ options, values, terminal }) => (await import("../compare/compare.ts")).compareProtections(values[0], options, terminal),
  });
}
