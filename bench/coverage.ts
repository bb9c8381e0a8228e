/**
 * `npm run bench:coverage [-- --json] [FILE.onnx ...]`: which share of each model's weights a key acts on, and how its ends are protected.
 * @module
 */
import { globSync } from "node:fs";
import { basename, dirname } from "node:path";
import { parseArgs } from "node:util";
import type { InputMode } from "@unseen/core/blueprint/trace/cut.ts";
import { openPlain } from "@unseen/core/blueprint/trace/trace-model.ts";
import { inspectOnnx, type Inspection } from "@unseen/core/blueprint/trace/inspect.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { sharedPath } from "../tests/shared.ts";

/** One model under one input mode. */
export interface Coverage {
  readonly model: string;
  readonly input: InputMode;
  readonly parameters: number;
  readonly protectedShare: number;
  readonly inputs: string;
  readonly outputs: string;
  readonly unfollowed: number;
}

/** Every ONNX model of the test data. */
export function coverageFiles(): string[] {
  const zoo = sharedPath("data/models/onnx-zoo");
  const vision = sharedPath("data/vision");
  const assets = sharedPath("assets");
  return [
    ...(zoo ? globSync(`${zoo}/*/model.onnx`) : []),
    ...(vision ? globSync(`${vision}/**/*.onnx`) : []),
    ...(assets ? globSync(`${assets}/{*/model.onnx,*/onnx/model.onnx}`) : []),
  ].toSorted((a, b) => nameOf(a).localeCompare(nameOf(b)));
}

/** A model's name by its place. */
export function nameOf(file: string): string {
  const directory = basename(dirname(file)) === "onnx" ? dirname(dirname(file)) : dirname(file);
  return basename(file) === "model.onnx" ? basename(directory) : basename(file, ".onnx");
}

/** Traces a model under every input mode that it has. */
export async function coverageOf(file: string): Promise<Coverage[]> {
  const model = await openPlain(file);
  const modes: InputMode[] = ["clear"];
  const first = inspectOnnx(model);
  if (first.inputs.some(({ protection }) => protection === "clear")) modes.push("client-stem", "patches");
  return modes.flatMap((input): Coverage[] => {
    try {
      const found = input === "clear" ? first : inspectOnnx(model, { input });
      return [{ model: nameOf(file), input, ...describe(found) }];
    } catch (error) {
      // Not every network takes patches.
      if (UnseenError.isInstance(error) && error.code === "USAGE") return [];
      throw error;
    }
  });
}

function describe({ parameters, protectedShare, inputs, outputs, notes }: Inspection): Omit<Coverage, "model" | "input"> {
  const ends = (list: readonly { protection: string }[]): string =>
    [...new Set(list.map(({ protection }) => protection).filter((protection) => protection !== "clear (no content)"))].join("; ");
  return { parameters, protectedShare, inputs: ends(inputs), outputs: ends(outputs), unfollowed: notes.length };
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "boolean" } } });
  const files = positionals.length > 0 ? positionals : coverageFiles();
  const rows = (await Promise.all(files.map(coverageOf))).flat();
  if (values.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
  else if (rows.length === 0) process.stdout.write("No models: give .onnx files, or put the test data beside the repository.\n");
  else {
    process.stdout.write(
      `${"model".padEnd(18)} ${"input".padEnd(12)} ${"weights".padStart(10)} ${"protected".padStart(10)}  what enters | what leaves\n`,
    );
    for (const { model, input, parameters, protectedShare, inputs, outputs, unfollowed } of rows)
      process.stdout.write(
        `${model.padEnd(18)} ${input.padEnd(12)} ${String(parameters).padStart(10)} ${(protectedShare * 100).toFixed(1).padStart(8)} %  ${inputs} | ${outputs}${unfollowed ? ` (${unfollowed} operators not followed)` : ""}\n`,
      );
  }
}
