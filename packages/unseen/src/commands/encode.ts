/**
 * `unseen classify`, `unseen embed`, `unseen rerank`: encoders without a gateway.
 * @module
 */
import { readFile, stat } from "node:fs/promises";
import { createInterface } from "node:readline";
import { withoutControls } from "@unseen/client/chat/chat-loop.ts";
import { WireView } from "@unseen/client/chat/wire-view.ts";
import type { EncodeOptions, EncoderInput } from "@unseen/client/encoders/blind-encoder.ts";
import type { EncoderModel } from "@unseen/client/gateway/model.ts";
import { resolveHome } from "@unseen/client/home.ts";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import type { Command } from "commander";
import { addCommand, wholeNumber, type OptionSpecification } from "../command.ts";
import { connectModels, hostOptions, sharesOptions, type HostFlags } from "../models.ts";
import type { Terminal } from "../terminal.ts";

/** Lines of standard input (CWE-770). */
const MAXIMUM_LINES = 100_000;
/** Bytes of a picture's file; what is larger is not even read. */
const MAXIMUM_FILE_BYTES = 32 * 1024 * 1024;

const options: readonly OptionSpecification[] = [
  ...hostOptions,
  ...sharesOptions,
  { flags: "--key <name>", description: "name, id or file of the key (default: the one that the model was encrypted under)" },
  { flags: "--show-wire", description: "show what the host saw" },
];

interface EncoderFlags extends HostFlags {
  readonly showWire?: boolean;
}

export function addEncoderCommands(program: Command): void {
  addCommand<EncoderFlags>(program, {
    name: "classify",
    description: "which class a text or a picture belongs to, from a blind host",
    arguments: [["[inputs...]", "texts, or files of pictures; lines of standard input where absent"]],
    options,
    run: ({ options: flags, values, terminal }) =>
      withEncoder(flags, terminal, async (model, run) => {
        const given = await listArguments(values[0]);
        const { results, tokens } = await model.encoder.classify(await readInputs(model, given), run);
        results.forEach(({ label, probabilities, index }, place) =>
          terminal.print(`${withoutControls(label)}  ${percent(probabilities, index)}  ${withoutControls(given[place]!)}`),
        );
        const rows = results.map(({ label, probabilities, logits }) => ({ label, probabilities, logits }));
        return { model: model.id, results: rows, promptTokens: tokens };
      }),
  });

  addCommand<EncoderFlags & { encrypted?: boolean }>(program, {
    name: "embed",
    description: "the vector of each text, from a blind host, as JSON",
    arguments: [["[texts...]", "texts; lines of standard input where absent"]],
    options: [...options, { flags: "--encrypted", description: "leave the vectors encrypted: angles and lengths are the same" }],
    run: ({ options: flags, values, terminal }) =>
      withEncoder(flags, terminal, async (model, run) => {
        const texts = await listArguments(values[0]);
        const inputs = await readInputs(model, texts);
        const { results, tokens } = await model.encoder.embed(inputs, { ...run, encrypted: flags.encrypted === true });
        const vectors = results.map((vector) => Array.from(vector, Math.fround));
        for (const vector of vectors) terminal.print(JSON.stringify(vector));
        return { model: model.id, vectors, promptTokens: tokens };
      }),
  });

  addCommand<EncoderFlags & { top?: number }>(program, {
    name: "rerank",
    description: "documents by how well they fit a query, from a blind host",
    arguments: [
      ["<query>", "what is looked for"],
      ["[documents...]", "texts; lines of standard input where absent"],
    ],
    options: [...options, { flags: "--top <count>", description: "show the best alone", parse: wholeNumber(1) }],
    run: ({ options: flags, values, terminal }) =>
      withEncoder(flags, terminal, async (model, run) => {
        const documents = await listArguments(values[1]);
        const { results, tokens } = await model.encoder.rerank(values[0] as string, documents, run);
        const ranked = results
          .map((score, index) => ({ index, score }))
          .toSorted((one, other) => other.score - one.score)
          .slice(0, flags.top);
        for (const { index, score } of ranked) terminal.print(`${score.toFixed(4)}  ${withoutControls(documents[index]!)}`);
        return { model: model.id, results: ranked, promptTokens: tokens };
      }),
  });
}

/** Opens the one encoder that the hosts serve, and shows afterwards what they saw. */
async function withEncoder(
  flags: EncoderFlags,
  terminal: Terminal,
  work: (model: EncoderModel, run: EncodeOptions) => Promise<object>,
): Promise<object> {
  const models = await connectModels(resolveHome(), flags, (line) => terminal.note(line));
  const encoders = models.filter((model) => "encoder" in model);
  const [model] = encoders;
  if (!model || encoders.length > 1) {
    throw new UnseenError("USAGE", `the hosts serve ${encoders.length} encoders.`, {
      hint: model
        ? `Choose one with --model: ${encoders.map(({ id }) => id).join(", ")}.`
        : "Models that write text answer to `unseen chat` and `unseen gateway`.",
    });
  }
  const wire = new WireView();
  const controller = new AbortController();
  const stop = (): void => controller.abort(new UnseenError("USAGE", "stopped."));
  process.once("SIGINT", stop);
  try {
    await model.encoder.connect();
    const result = await work(model, { signal: controller.signal, onWire: wire.record });
    if (!flags.showWire) return result;
    for (const line of wire.lines()) terminal.print(line);
    const masks = wire.masks.length > 0 ? { masks: wire.masks } : {};
    return { ...result, hostSaw: { ids: wire.sent, ...masks, numbers: wire.numbers.sent }, hostSaid: wire.numbers.received };
  } finally {
    process.off("SIGINT", stop);
    model.encoder.close();
  }
}

/** The arguments, or the lines of standard input. @throws UnseenError USAGE where there is neither. */
async function listArguments(given: unknown): Promise<string[]> {
  const values = (given ?? []) as string[];
  if (values.length > 0) return values;
  if (process.stdin.isTTY)
    throw new UnseenError("USAGE", "there is nothing to encode.", { hint: "Give texts, or send lines to standard input." });
  const lines: string[] = [];
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() !== "") lines.push(line);
    if (lines.length > MAXIMUM_LINES) throw new UnseenError("USAGE", `expected at most ${MAXIMUM_LINES} lines, got more.`);
  }
  if (lines.length === 0)
    throw new UnseenError("USAGE", "there is nothing to encode.", { hint: "Give texts, or send lines to standard input." });
  return lines;
}

/** Texts as they are, or the contents of pictures' files for a model that reads pictures. */
async function readInputs(model: EncoderModel, given: readonly string[]): Promise<EncoderInput[]> {
  if (!model.encoder.readsPictures) return [...given];
  return Promise.all(
    given.map(async (path) => {
      try {
        const { size } = await stat(path);
        if (size <= MAXIMUM_FILE_BYTES) return await readFile(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT")
          throw new UnseenError("USAGE", `${path}: there is no such file.`, {
            hint: `Model ${model.id} reads pictures: give their files.`,
          });
        throw explainSystemError(error, path);
      }
      throw new UnseenError("REQUEST_TOO_LARGE", `${path}: expected at most ${MAXIMUM_FILE_BYTES} bytes, got more.`);
    }),
  );
}

function percent(probabilities: readonly number[], index: number): string {
  return `${((probabilities[index] ?? 0) * 100).toFixed(1).padStart(5)} %`;
}
