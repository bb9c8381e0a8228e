/**
 * Finds the picture that an image model takes.
 * @module
 */
import { quote } from "@unseen/core/checkpoint/checks.ts";
import type { OnnxGraph } from "@unseen/core/checkpoint/onnx.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { sizeOf, type Shape } from "../layer.ts";
import { MAXIMUM_FEATURES } from "./stage.ts";

/** Name and size of a model's only input. Throws UnseenError `CUT_UNAVAILABLE` where it is not a float32 picture of fixed size, batch first. */
export function findPicture({ inputs }: OnnxGraph): { readonly name: string; readonly shape: Shape } {
  const [info, ...others] = inputs;
  if (!info || others.length > 0) throw refuse(`a model with one input, a picture; got ${inputs.length} inputs`);
  const where = `the input ${quote(info.name)}`;
  if (info.type !== "float32") throw refuse(`float32 numbers in ${where}, got ${info.type ?? "no tensor"}`);
  const got = `[${info.shape?.map((size) => size ?? "?").join(", ") ?? "?"}]`;
  const [batch, channels, height, width] = info.shape ?? [];
  if (info.shape?.length !== 4) throw refuse(`${where} of shape (batch, channels, height, width), got ${got}`);
  if (typeof batch === "number" && batch !== 1) throw refuse(`${where} for one picture or an open number of them, got ${got}`);
  if (typeof channels !== "number" || typeof height !== "number" || typeof width !== "number")
    throw refuse(`${where} of fixed channels, height and width, got ${got}`);
  const shape = { channels, height, width };
  if (!(sizeOf(shape) >= 1 && sizeOf(shape) <= MAXIMUM_FEATURES)) throw refuse(`${where} of 1 to ${MAXIMUM_FEATURES} values, got ${got}`);
  return { name: info.name, shape };
}

function refuse(expected: string): UnseenError {
  return new UnseenError("CUT_UNAVAILABLE", `the model cannot be cut: expected ${expected}.`, {
    hint: "Export an image model with one float32 input of fixed size, such as (batch, 1, 28, 28).",
  });
}
