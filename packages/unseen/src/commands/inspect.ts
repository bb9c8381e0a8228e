/**
 * `unseen inspect`
 * @module
 */
import { resolve } from "node:path";
import type { Strength } from "@unseen/core/blueprint/spaces.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Command } from "commander";
import { addCommand } from "../command.ts";
import { inspectOnnxCommand, tracingOptions, type TracingFlags } from "../onnx/commands.ts";

export function addInspectCommand(program: Command): void {
  addCommand<TracingFlags & { strength: Strength }>(program, {
    name: "inspect",
    description: "show what a key would transform in an ONNX model, what it would not, and why",
    arguments: [["<model>", "plain .onnx file"]],
    options: [
      ...tracingOptions,
      {
        flags: "--strength <strength>",
        description: "permute or rotate, as for encrypt",
        choices: ["permute", "rotate"],
        fallback: "rotate",
      },
    ],
    async run({ options, values, terminal }) {
      const source = resolve(values[0] as string);
      if (!source.endsWith(".onnx")) {
        throw new UnseenError("USAGE", `${values[0]} is not an .onnx file.`, {
          hint: "Directories and GGUF files are encrypted by the tables in docs/guides/encrypting-a-model.md.",
        });
      }
      return inspectOnnxCommand(source, options, terminal);
    },
  });
}
