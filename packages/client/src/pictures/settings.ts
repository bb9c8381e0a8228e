/**
 * Reads how a model wants its pictures from the files that come with it: `preprocessor_config.json` of Hugging Face, or the
 * `image_size`, `num_channels` and `rescale_factor` of a `config.json`.
 * @module
 */
import { isObject, type Json, type JsonObject } from "@unseen/core/blueprint/config.ts";
import type { ImagePreprocessing } from "@unseen/core/blueprint/interface.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Resample } from "./resample.ts";

/** The numbers of Pillow's resampling filters; box (4) and Hamming (5) are not among ours. */
const filters: readonly (Resample | undefined)[] = ["nearest", "lanczos", "bilinear", "bicubic"];

/** The files of a model, as far as they are there. */
export interface ImageFiles {
  readonly preprocessor: JsonObject | null;
  readonly config: JsonObject | null;
}

/**
 * @param shape - Of the model's picture input with its batch axis: `(batch, channels, height, width)`, `(batch, height, width,
 * channels)` or `(batch, height, width)`; a name stands for a dimension that requests choose.
 * @returns null where the shape is no picture's.
 * @throws UnseenError FAMILY_UNSUPPORTED_VALUE naming the field that cannot be followed.
 */
export function readImageSettings(shape: readonly (number | string)[], { preprocessor, config }: ImageFiles): ImagePreprocessing | null {
  const input = inputOf(shape, config);
  if (!input) return null;
  const fields = preprocessor ?? config ?? {};
  const { channels, layout } = input;
  const { width, height, shortestEdge } = sizeOf(fields, preprocessor ? {} : { size: config?.["image_size"] }, input);
  const rescales = fields["do_rescale"] !== false;
  const normalises = fields["do_normalize"] !== false && fields["image_mean"] !== undefined;
  return {
    width,
    height,
    channels,
    rescale: rescales ? number("rescale_factor", fields["rescale_factor"] ?? 1 / 255) : 1,
    mean: perChannel("image_mean", normalises ? fields["image_mean"] : 0, channels),
    deviation: perChannel("image_std", normalises ? fields["image_std"] : 1, channels),
    layout,
    shortestEdge,
    resample: filterOf(fields["resample"]),
  };
}

interface Input {
  readonly channels: 1 | 3;
  readonly layout: ImagePreprocessing["layout"];
  readonly height: number | null;
  readonly width: number | null;
}

function inputOf(shape: readonly (number | string)[], config: JsonObject | null): Input | null {
  const known = (size: number | string | undefined): number | null => (typeof size === "number" && size > 0 ? size : null);
  if (shape.length === 3) return { channels: 1, layout: "NHW", height: known(shape[1]), width: known(shape[2]) };
  if (shape.length !== 4) return null;
  const stated = config?.["num_channels"];
  const first = known(shape[1]) ?? stated;
  if (first === 1 || first === 3) return { channels: first, layout: "NCHW", height: known(shape[2]), width: known(shape[3]) };
  const last = shape[3];
  if (last === 1 || last === 3) return { channels: last, layout: "NHWC", height: known(shape[1]), width: known(shape[2]) };
  return null;
}

function sizeOf(
  fields: JsonObject,
  fallback: { readonly size?: Json | undefined },
  input: Input,
): Pick<ImagePreprocessing, "width" | "height" | "shortestEdge"> {
  const size = sidesOf("size", fields["size"] ?? fallback.size);
  const cropField = fields["crop_size"];
  const crop = (fields["do_center_crop"] ?? cropField !== undefined) === true ? sidesOf("crop_size", cropField ?? fields["size"]) : null;
  const resizes = fields["do_resize"] !== false && size !== null;
  // ConvNeXt and its kin: the picture is made a little larger than what is cut out, except at high resolutions.
  const share = fields["crop_pct"];
  if (resizes && size.shortest !== null && typeof share === "number" && crop === null) {
    if (size.shortest >= 384) return fixed(size.shortest, size.shortest, null, input);
    return fixed(size.shortest, size.shortest, Math.trunc(size.shortest / share), input);
  }
  const target = crop ?? size;
  const [width, height] = [target?.width ?? input.width, target?.height ?? input.height];
  if (width === null || height === null) throw unsupported("size", "the model's width and height");
  const cutOut = crop !== null && resizes ? (size.shortest ?? size.number) : null;
  if (crop !== null && resizes && cutOut === null && (size.width !== width || size.height !== height))
    throw unsupported("crop_size", "the same width and height as size");
  return fixed(width, height, cutOut ?? (resizes ? size.shortest : null), input);
}

function fixed(
  width: number,
  height: number,
  shortestEdge: number | null,
  input: Input,
): Pick<ImagePreprocessing, "width" | "height" | "shortestEdge"> {
  // What the graph demands is the last word.
  if ((input.width ?? width) !== width || (input.height ?? height) !== height)
    throw unsupported("size", `${input.width} x ${input.height}, as the model's input says`);
  return { width, height, shortestEdge };
}

interface Sides {
  readonly width: number | null;
  readonly height: number | null;
  readonly shortest: number | null;
  /** Where one number stands for a square, or for the shorter side when a crop follows. */
  readonly number: number | null;
}

function sidesOf(field: string, value: Json | undefined): Sides | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "number") return { width: side(field, value), height: value, shortest: null, number: value };
  if (!isObject(value)) throw unsupported(field, "a number of pixels, or an object");
  if (value["shortest_edge"] !== undefined) {
    if (value["longest_edge"] !== undefined) throw unsupported(`${field}.longest_edge`, "nothing");
    return { width: null, height: null, shortest: side(`${field}.shortest_edge`, value["shortest_edge"]), number: null };
  }
  return { width: side(`${field}.width`, value["width"]), height: side(`${field}.height`, value["height"]), shortest: null, number: null };
}

function side(field: string, value: Json | undefined): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value > 0 && value <= 1 << 14) return value;
  throw unsupported(field, "a number of pixels");
}

function perChannel(field: string, value: Json | undefined, channels: number): number[] {
  if (!Array.isArray(value)) return Array.from({ length: channels }, () => number(field, value));
  if (value.length !== channels) throw unsupported(field, `${channels} numbers`);
  return value.map((each) => number(field, each as Json));
}

function number(field: string, value: Json | undefined): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw unsupported(field, "a number");
}

function filterOf(value: Json | undefined): Resample {
  const filter = value === undefined || value === null ? "bilinear" : filters[number("resample", value)];
  if (filter) return filter;
  throw unsupported("resample", "0 (nearest), 1 (Lanczos), 2 (bilinear) or 3 (bicubic)");
}

function unsupported(field: string, expected: string): UnseenError {
  return new UnseenError("FAMILY_UNSUPPORTED_VALUE", `preprocessor_config.json: ${field}: expected ${expected}, got something else.`, {
    hint: "Send pictures as tensors, or write the preprocessing that the model needs into its bundle's interface.json.",
  });
}
