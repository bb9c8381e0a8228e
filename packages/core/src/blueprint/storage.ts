/**
 * How an output format names and arranges what a Hugging Face checkpoint calls otherwise.
 * @module
 */
import { formatBytes } from "../checkpoint/format.ts";
import type { FloatFormat } from "../checkpoint/tensor.ts";
import { UnseenError } from "../errors.ts";
import { ggufPlace, ggufRotaryLayout } from "./gguf-names.ts";

export interface OutputTensor {
  readonly name: string;
  readonly format: FloatFormat;
  readonly shape: readonly number[];
}

export interface Storage {
  /** `Conv1D` weights as (out, in). */
  readonly transposedConv1d: boolean;
  /** Rotary pairs as (2i, 2i + 1). */
  readonly interleavesRotary: boolean;
  /** What the format subtracts from a norm's gain. */
  readonly gainOffset: 0 | 1;
  /** The tensor that holds a Hugging Face tensor, and where in it. */
  place(name: string, shape: readonly number[], format: FloatFormat): { readonly output: OutputTensor; readonly offset: number };
}

/** Number formats that output can be asked for; others stay as they were. */
export type Precision = "F32" | "F16" | "BF16";

/** The names of the input, and its number formats unless `precision` says otherwise. */
export function safetensorsStorage(gainOffset: 0 | 1, precision: Precision | null): Storage {
  return {
    transposedConv1d: false,
    interleavesRotary: false,
    gainOffset,
    place: (name, shape, format) => ({ output: { name, shape, format: precision ?? format }, offset: 0 }),
  };
}

/**
 * llama.cpp's names, stacked experts, and formats: vectors, positions and routers in F32, the rest as it was or as asked.
 *
 * @param experts the number of experts, to size stacked tensors
 */
export function ggufStorage(architecture: string, experts: number, matrices: Precision | "Q8_0" | null): Storage {
  return {
    transposedConv1d: true,
    interleavesRotary: ggufRotaryLayout(architecture) === "interleaved",
    gainOffset: 0,
    place(name, shape, format) {
      const place = ggufPlace(architecture, name);
      if (!place) throw new UnseenError("FAMILY_UNKNOWN_TENSOR", `GGUF has no name for tensor ${name} in architecture ${architecture}.`);
      const stored = storedFormat(place.name, shape, format, matrices);
      const [rows, columns] = shape.length === 1 ? [1, shape[0] as number] : (shape as [number, number]);
      if (place.expert === undefined) return { output: { name: place.name, shape, format: stored }, offset: 0 };
      return {
        output: { name: place.name, shape: [experts, ...shape], format: stored },
        offset: place.expert * formatBytes(stored, rows, columns),
      };
    },
  };
}

function storedFormat(name: string, shape: readonly number[], format: FloatFormat, matrices: Precision | "Q8_0" | null): FloatFormat {
  if (shape.length === 1 || name === "position_embd.weight" || name.endsWith("ffn_gate_inp.weight")) return "F32";
  if (matrices !== "Q8_0") return matrices ?? format;
  return (shape.at(-1) as number) % 32 === 0 ? "Q8_0" : format;
}
