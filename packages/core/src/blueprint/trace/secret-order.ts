/**
 * Secret token order: an encoder sees a set of tokens with their positions, so that tokens may come in any order if the rows of its
 * position table come in the same (literature: self-attention is set-equivariant). It takes a fixed length.
 * @module
 */
import type { OnnxValueInfo } from "../../checkpoint/onnx.ts";
import { UnseenError } from "../../errors.ts";
import { isIdentityRecipe } from "../recipe.ts";
import { axisRecipe } from "./plan.ts";
import { kindOfInput, type Trace } from "./trace.ts";

/** The inputs whose second axis are the tokens, at a fixed length. Throws `USAGE`. */
export function orderedInputs(inputs: readonly OnnxValueInfo[], length: number): { infos: OnnxValueInfo[]; names: Set<string> } {
  const kinds = new Map(inputs.map((info) => [info.name, kindOfInput(info)]));
  const refuse = (what: string): never => {
    throw new UnseenError("USAGE", `--secret-order: ${what}.`, { hint: "Leave it out; ids are permuted in any case." });
  };
  const names = new Set(inputs.filter(({ name, shape }) => kinds.get(name) !== "tensor" && shape?.length === 2).map(({ name }) => name));
  if (![...names].some((name) => kinds.get(name) === "ids")) refuse("the model takes no sequences of token ids");
  if (![...names].some((name) => kinds.get(name) === "mask")) refuse("the model has no attention mask, which shorter texts need");
  if ([...kinds.values()].includes("positions")) refuse("the model is told the position of every token");
  const infos = inputs.map((info): OnnxValueInfo => {
    if (!names.has(info.name)) return info;
    const size = info.shape?.[1];
    if (typeof size === "number" && size !== length) refuse(`the model takes ${size} tokens, not ${length}`);
    return { ...info, shape: [info.shape?.[0] ?? null, length] };
  });
  return { infos, names };
}

/** Makes sure that the order can be secret. Throws `USAGE` with what prevents it. */
export function requireOrder(trace: Trace, names: ReadonlySet<string> | undefined): void {
  for (const name of names ?? []) {
    const place = trace.values.get(name)?.axis(1);
    if (!place || !isIdentityRecipe(axisRecipe(trace, place))) continue;
    const parts = place.space.form;
    const reason = place.space.frozen ?? (parts.kind === "sum" ? (parts.parts.at(-1)?.frozen ?? null) : null);
    throw new UnseenError(
      "USAGE",
      `--secret-order: the graph depends on the order of ${name} (${reason ?? "it takes tokens by their place"}).`,
      {
        hint: "Leave it out; ids are permuted in any case.",
      },
    );
  }
}
