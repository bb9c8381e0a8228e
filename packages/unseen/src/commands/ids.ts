/**
 * `unseen encode`, `unseen decode`: text and ids on either side of the cipher.
 * @module
 */
import { loadBundle } from "@unseen/client/bundle.ts";
import { withoutControls } from "@unseen/client/chat/chat-loop.ts";
import { resolveHome } from "@unseen/client/home.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Command } from "commander";
import { addCommand } from "../command.ts";
import { openModelFor } from "../models.ts";

interface IdFlags {
  readonly model?: string;
  readonly ids?: string;
  readonly specialTokens: boolean;
}

const options = [
  { flags: "--model <name>", description: "name or fingerprint of the model" },
  { flags: "--ids <list>", description: "ids instead of text, separated by commas" },
];

export function addIdCommands(program: Command): void {
  addCommand<IdFlags>(program, {
    name: "encode",
    description: "show the ids of a text, plain and as the host sees them",
    arguments: [["[text]", "the text"]],
    options: [...options, { flags: "--no-special-tokens", description: "leave out the tokens that the tokenizer adds by itself" }],
    async run({ options: flags, values: [text], terminal }) {
      const model = await open(flags);
      const plain = flags.ids === undefined ? tokenize(model, text, flags.specialTokens) : parseIds(flags.ids);
      const cipher = model.cipher.encipher(plain);
      terminal.print(`plain  ${plain.join(",")}`);
      terminal.print(`cipher ${cipher.join(",")}`);
      return { plain, cipher };
    },
  });

  addCommand<IdFlags>(program, {
    name: "decode",
    description: "turn cipher ids back into plain ids and text",
    arguments: [["[cipher]", "cipher ids, separated by commas"]],
    options,
    async run({ options: flags, values: [list], terminal }) {
      const model = await open(flags);
      const given = flags.ids ?? list;
      if (given === undefined) throw new UnseenError("USAGE", "decode needs cipher ids.", { hint: "unseen decode --model M --ids 1,2,3" });
      const cipher = parseIds(given);
      const plain = model.cipher.decipher(cipher);
      const text = model.tokenizer?.decode(plain, { skipSpecialTokens: false }) ?? null;
      terminal.print(text === null ? `plain  ${plain.join(",")}` : withoutControls(text));
      return { cipher, plain, text };
    },
  });
}

async function open(flags: IdFlags) {
  if (!flags.model) throw new UnseenError("USAGE", "which model? --model is missing.", { hint: "`unseen list` shows the models." });
  const home = resolveHome();
  const bundle = await loadBundle(home, flags.model);
  if (bundle.vocabularySize === 0)
    throw new UnseenError("USAGE", `model ${bundle.name} takes no token ids.`, { hint: "Its inputs are tensors: see `unseen encipher`." });
  return openModelFor(home, bundle);
}

function tokenize(model: Awaited<ReturnType<typeof open>>, text: string | undefined, specialTokens: boolean): number[] {
  if (text === undefined) throw new UnseenError("USAGE", "encode needs a text or --ids.", { hint: 'unseen encode --model M "text"' });
  if (!model.tokenizer)
    throw new UnseenError("TOKENIZER_MISSING", `model ${model.id} has no tokenizer.`, {
      hint: "Give ids with --ids, or encrypt again with --tokenizer DIRECTORY.",
    });
  return model.tokenizer.encode(text, { specialTokens });
}

function parseIds(list: string): number[] {
  return list
    .split(/[\s,]+/)
    .filter((part) => part !== "")
    .map((part) => {
      const id = Number(part);
      if (/^\d+$/.test(part) && Number.isSafeInteger(id)) return id;
      throw new UnseenError("USAGE", `${JSON.stringify(part.slice(0, 20))} is not a token id.`, {
        hint: "Give whole numbers separated by commas.",
      });
    });
}
