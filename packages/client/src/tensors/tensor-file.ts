/**
 * safetensors files of inputs and outputs, as programs that run a model themselves write and read them.
 * @module
 */
import { decode, encode, rowBytes } from "@unseen/core/checkpoint/format.ts";
import { openFile } from "@unseen/core/checkpoint/open-file.ts";
import { layoutSafetensors, openSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import type { FloatFormat, Format, TensorLocation } from "@unseen/core/checkpoint/tensor.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { createFileAtomically } from "../atomic-file.ts";
import { volume, type Tensor } from "../encoders/tensor.ts";

/** Numbers of one file (CWE-789): they are held as float64. */
const MAXIMUM_NUMBERS = 2 ** 27;

/** A tensor with its name and the number format in which a file holds it. Whole numbers are exact to 2^53. */
export interface NamedTensor extends Tensor {
  readonly name: string;
  readonly format: NumberFormat;
}

/** Number formats that are read and written. */
export type NumberFormat = Exclude<FloatFormat, "Q8_0"> | keyof typeof WHOLE_NUMBERS | "F64";

interface WholeNumber {
  readonly least: number;
  readonly most: number;
  read(view: DataView, at: number): number;
  write(view: DataView, at: number, value: number): void;
}

const WHOLE_NUMBERS = {
  I64: {
    least: -Number.MAX_SAFE_INTEGER,
    most: Number.MAX_SAFE_INTEGER,
    read: (view, at) => Number(view.getBigInt64(at, true)),
    write: (view, at, value) => view.setBigInt64(at, BigInt(value), true),
  },
  I32: {
    least: -(2 ** 31),
    most: 2 ** 31 - 1,
    read: (view, at) => view.getInt32(at, true),
    write: (view, at, value) => view.setInt32(at, value, true),
  },
  U8: { least: 0, most: 255, read: (view, at) => view.getUint8(at), write: (view, at, value) => view.setUint8(at, value) },
  BOOL: { least: 0, most: 1, read: (view, at) => view.getUint8(at), write: (view, at, value) => view.setUint8(at, value) },
} as const satisfies Readonly<Record<string, WholeNumber>>;

const FLOATS: readonly Format[] = ["F64", "F32", "F16", "BF16"] satisfies NumberFormat[];

/** Whether a format holds whole numbers, as ids and masks do. */
export function isWhole(format: NumberFormat): format is keyof typeof WHOLE_NUMBERS {
  return Object.hasOwn(WHOLE_NUMBERS, format);
}

/**
 * The tensors of one file, in its order, each read when it is asked for.
 * @throws UnseenError as `openSafetensors`; CHECKPOINT_TOO_LARGE, CHECKPOINT_DTYPE_UNSUPPORTED
 */
export async function readTensorFile(path: string): Promise<readonly { readonly name: string; read(): NamedTensor }[]> {
  if (!path.endsWith(".safetensors"))
    throw new UnseenError("USAGE", `${path}: expected a .safetensors file, got another name.`, {
      hint: "Write one with safetensors' save_file.",
    });
  const tensors = [...(await openSafetensors(path)).tensors.values()];
  const numbers = tensors.reduce((sum, { shape }) => sum + volume(shape), 0);
  if (numbers > MAXIMUM_NUMBERS)
    throw new UnseenError("CHECKPOINT_TOO_LARGE", `${path} holds ${numbers} numbers, expected at most ${MAXIMUM_NUMBERS}.`, {
      hint: "Split it into several files.",
    });
  for (const { name, format } of tensors) {
    if (!FLOATS.includes(format) && !Object.hasOwn(WHOLE_NUMBERS, format))
      throw new UnseenError(
        "CHECKPOINT_DTYPE_UNSUPPORTED",
        `tensor ${name}: expected ${[...FLOATS, ...Object.keys(WHOLE_NUMBERS)].join(", ")}, got ${format}.`,
        { hint: "Save it in another number format." },
      );
  }
  return tensors.map((tensor) => ({ name: tensor.name, read: () => readTensor(tensor) }));
}

function readTensor({ name, format: stored, shape, file, offset, bytes }: TensorLocation): NamedTensor {
  const format = stored as NumberFormat;
  const content = new Uint8Array(bytes);
  const opened = openFile(file);
  try {
    opened.read(offset, content);
  } finally {
    opened.close();
  }
  const values = new Float64Array(volume(shape));
  const view = new DataView(content.buffer);
  if (format === "F64") values.forEach((_, i) => (values[i] = view.getFloat64(8 * i, true)));
  else if (isWhole(format)) {
    const { least, most, read }: WholeNumber = WHOLE_NUMBERS[format];
    const width = rowBytes(format, 1);
    values.forEach((_, i) => {
      const value = read(view, width * i);
      if (value < least || value > most)
        throw new UnseenError("CHECKPOINT_MALFORMED", `tensor ${name}: expected ${format} from ${least} to ${most}, got another number.`);
      values[i] = value;
    });
  } else decode(format, content, values);
  return { name, format, shape, values };
}

/**
 * Writes a file that must not exist yet, whole or not at all.
 *
 * @param mode who may read it: what is plain is its owner's alone
 * @throws UnseenError OUTPUT_EXISTS, DISK_FULL, PERMISSION_DENIED
 */
export async function writeTensorFile(path: string, tensors: readonly NamedTensor[], mode: 0o600 | 0o644): Promise<void> {
  // A source's own metadata stays behind: it may say anything.
  const { files, locations } = layoutSafetensors(tensors, { metadata: { format: "pt" }, maximumShardBytes: Infinity });
  const [plan] = files as [(typeof files)[0]];
  const content = Buffer.alloc(plan.bytes);
  content.set(plan.header);
  for (const { name, format, values } of tensors) {
    const { offset, bytes } = locations.get(name) as TensorLocation;
    packInto(content.subarray(offset, offset + bytes), format, values);
  }
  if (await createFileAtomically(path, content, mode)) return;
  throw new UnseenError("OUTPUT_EXISTS", `${path} already exists.`, { hint: "Choose another --out or remove it first." });
}

function packInto(bytes: Uint8Array, format: NumberFormat, values: Float64Array): void {
  if (format !== "F64" && !isWhole(format)) return encode(format, values, bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (format === "F64") return values.forEach((value, i) => view.setFloat64(8 * i, value, true));
  const { write }: WholeNumber = WHOLE_NUMBERS[format];
  const width = rowBytes(format, 1);
  values.forEach((value, i) => write(view, width * i, value));
}
