/**
 * Reads tensors as numbers.
 * @module
 */
import { decode, formatBytes } from "../checkpoint/format.ts";
import { openFile } from "../checkpoint/open-file.ts";
import type { FloatFormat, TensorLocation } from "../checkpoint/tensor.ts";
import { UnseenError } from "../errors.ts";

const FLOAT_FORMATS: readonly string[] = ["F32", "F16", "BF16", "Q8_0"] satisfies FloatFormat[];

/** Weights that are decoded at a time: a multiple of every format's block, so that no second copy of a tensor exists. */
const PIECE = 1 << 20;

/** The tensor's number format if it can be transformed. Throws `CHECKPOINT_DTYPE_UNSUPPORTED` with what to do. */
export function floatFormat(tensor: TensorLocation): FloatFormat {
  if (FLOAT_FORMATS.includes(tensor.format)) return tensor.format as FloatFormat;
  const quantised = tensor.format.startsWith("GGML_") || tensor.format.startsWith("F8");
  throw new UnseenError(
    "CHECKPOINT_DTYPE_UNSUPPORTED",
    `tensor ${tensor.name} is stored as ${tensor.format}, which cannot be transformed exactly.`,
    {
      hint: quantised
        ? "Start from the F16, BF16, F32 or Q8_0 file of the same model and quantise after encrypting (--quantize q8_0)."
        : "Convert the checkpoint to F32, F16 or BF16 first.",
    },
  );
}

/** The number of weights in a tensor. */
export function weightsOf(tensor: TensorLocation): number {
  return tensor.shape.reduce((product, size) => product * size, 1);
}

/** A whole tensor in float64, for the small ones. Throws `CHECKPOINT_TRUNCATED`, `CHECKPOINT_DTYPE_UNSUPPORTED`. */
export function readVector(tensor: TensorLocation): Float64Array {
  return readTensor(tensor, new Float64Array(weightsOf(tensor)));
}

/** Fills `into`, one number a weight, and returns it. Throws `CHECKPOINT_TRUNCATED`, `CHECKPOINT_DTYPE_UNSUPPORTED`. */
export function readTensor<Values extends Float32Array | Float64Array>(tensor: TensorLocation, into: Values): Values {
  const format = floatFormat(tensor);
  const file = openFile(tensor.file);
  try {
    for (let done = 0; done < into.length; done += PIECE) {
      const values = new Float64Array(Math.min(PIECE, into.length - done));
      const bytes = new Uint8Array(formatBytes(format, 1, values.length));
      file.read(tensor.offset + formatBytes(format, 1, done), bytes);
      decode(format, bytes, values);
      into.set(values, done);
    }
  } finally {
    file.close();
  }
  return into;
}
