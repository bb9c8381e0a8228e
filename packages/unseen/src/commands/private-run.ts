/**
 * `unseen private-run`, `unseen cuts`, `unseen leak`
 * @module
 */
import type { Command } from "commander";
import { addCommand, wholeNumber, type OptionSpecification } from "../command.ts";
import { decimal, hubKeyOption, hubOption, obfuscationOptions, type HubFlags, type ObfuscationFlags } from "../private/hub-flags.ts";

export interface PrivateRunFlags extends HubFlags, ObfuscationFlags {
  readonly model: string;
  readonly cut?: number;
  readonly scheme?: "ckks" | "bfv";
  readonly requireAttestation?: string;
  readonly budget: number;
  readonly local?: boolean;
  readonly mode: "disable" | "simulate" | "execute";
  readonly scale: number;
  readonly showViews?: string | true;
}

export interface LeakFlags extends ObfuscationFlags {
  readonly cut: number;
  readonly data?: string;
  readonly pictures: string;
  readonly seed: number;
  readonly effort: "quick" | "full";
  readonly scale: number;
}

const cutOption: OptionSpecification = {
  flags: "--cut <number>",
  description: "how many layers run on ciphertext (default: as many as can)",
  parse: wholeNumber(1, 100),
};
const scaleOption: OptionSpecification = {
  flags: "--scale <number>",
  description: "what a white pixel is to a model given as a file: 1 or 255",
  fallback: "1",
  parse: decimal(1, 255),
};
const budgetOption: OptionSpecification = {
  flags: "--budget <seconds>",
  description: "time for one evaluation on ciphertext",
  fallback: "60",
  parse: decimal(0.1, 600),
};

export function addPrivateRunCommands(program: Command): void {
  addCommand<PrivateRunFlags>(program, {
    name: "private-run",
    description: "have pictures classified by a model whose creator, hub and machine never see them",
    arguments: [["<pictures...>", "PNG, JPEG, WebP, GIF or TIFF files; - is standard input"]],
    options: [
      hubOption,
      hubKeyOption,
      { flags: "--model <name>", description: "name on the hub, or NAME@VERSION; with --local an .onnx file", fallback: "xray" },
      cutOption,
      { flags: "--scheme <scheme>", description: "ckks, or bfv (exact) where the cut has it", choices: ["ckks", "bfv"] },
      { flags: "--require-attestation <policy>", description: "policy file: which enclaves may have the ciphertext" },
      budgetOption,
      ...obfuscationOptions,
      { flags: "--show-views [directory]", description: "save what each party saw as pictures (default: PICTURE.views)" },
      {
        flags: "--local",
        description: "start hub, enclave and creator on this machine, the enclave simulated, and compare with the plain model",
      },
      {
        flags: "--mode <mode>",
        description: "with --local: real ciphertext, its error simulated, or none",
        fallback: "execute",
        choices: ["disable", "simulate", "execute"],
      },
      scaleOption,
    ],
    // Loaded here, because the other commands do without the engine of ciphertexts.
    run: async ({ options, values, terminal }) =>
      (await import("../private/private-run.ts")).privateRun(
        values[0] as unknown as string[],
        { ...options, scale: Number(options.scale) },
        terminal,
      ),
  });

  addCommand<{ calibrate?: boolean; budget: number }>(program, {
    name: "cuts",
    description: "where a model's first layers can be encrypted, and what each cut costs",
    arguments: [["<model>", ".onnx file"]],
    options: [{ flags: "--calibrate", description: "measure this machine, to estimate seconds" }, budgetOption],
    run: async ({ options, values, terminal }) => (await import("../private/cuts.ts")).showCuts(values[0]!, options, terminal),
  });

  addCommand<LeakFlags>(program, {
    name: "leak",
    description: "measure what can be read from a cut's features: train an inverter, rebuild pictures, guess attributes",
    arguments: [["<model>", ".onnx file"]],
    options: [
      { ...cutOption, description: "the cut", fallback: "1" },
      ...obfuscationOptions,
      {
        flags: "--data <path>",
        description: "public pictures: a MedMNIST .npz file, a directory, or an MNIST -images- .gz file (default: drawn ones)",
      },
      { flags: "--pictures <file>", description: "where to draw pictures before and after, PNG", fallback: "leak.png" },
      { flags: "--effort <effort>", description: "how long to train", fallback: "full", choices: ["quick", "full"] },
      { flags: "--seed <number>", description: "the same seed gives the same numbers", fallback: "1", parse: wholeNumber(0, 2 ** 31) },
      scaleOption,
    ],
    run: async ({ options, values, terminal }) =>
      (await import("../private/leak.ts")).showLeak(
        values[0]!,
        { ...options, cut: Number(options.cut), seed: Number(options.seed), scale: Number(options.scale) },
        terminal,
      ),
  });
}
