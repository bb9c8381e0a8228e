/**
 * Where features lie in the slots of ciphertexts.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { sizeOf, type Layer, type Shape } from "../layer.ts";

/**
 * Feature (channel, y, x) lies in slot (channel mod blocks) * block + y * rowStep + x * columnStep. Strides leave gaps
 * instead of moving values together, because moving costs products. A channel of more positions than slots continues in
 * the next ciphertext.
 */
export interface Layout {
  readonly shape: Shape;
  readonly slots: number;
  readonly rowStep: number;
  readonly columnStep: number;
  /** Slots of a channel, a power of two; all slots where a channel has more than one ciphertext. */
  readonly block: number;
  /** Channels in a ciphertext. */
  readonly blocks: number;
  /** Ciphertexts that one channel is spread over. */
  readonly parts: number;
  readonly ciphertexts: number;
}

/** Numbers for some of the slots, told one after the other; `put` answers true when it needs no more. */
export type Fill = (put: (slot: number, value: number) => boolean) => void;

/** Rows and columns that a channel has room for. */
export interface Extent {
  readonly height: number;
  readonly width: number;
}

/** A layout without gaps, but for the room beside and below the features that later layers need. */
export function compactLayout(shape: Shape, slots: number, room: Extent = shape): Layout {
  const plane = room.height * room.width;
  const parts = Math.max(1, Math.ceil(plane / slots));
  const block = parts > 1 ? slots : powerOfTwoFrom(plane);
  const blocks = slots / block;
  const ciphertexts = Math.ceil(shape.channels / blocks) * parts;
  return { shape, slots, rowStep: room.width, columnStep: 1, block, blocks, parts, ciphertexts };
}

/** The room that layers need which slide windows over features of one layout: zeros at the edge can make results larger than the features. */
export function roomFor(shape: Shape, layers: readonly Layer[]): Extent {
  let { height, width } = shape;
  let [down, right] = [1, 1];
  for (const layer of layers) {
    if (layer.kind === "dense") break;
    if (layer.kind === "convolution" || layer.kind === "average-pool") {
      down *= layer.strides[0];
      right *= layer.strides[1];
      height = Math.max(height, (layer.output.height - 1) * down + 1);
      width = Math.max(width, (layer.output.width - 1) * right + 1);
    }
  }
  return { height, width };
}

/**
 * The layout after windows slid over the features: every result stays where its window began, so strides widen the gaps.
 *
 * @throws UnseenError CUT_UNAVAILABLE where the layout has no room for the results
 */
export function slidLayout(layout: Layout, shape: Shape, [down, right]: readonly [number, number]): Layout {
  const [width, height] = [(shape.width - 1) * layout.columnStep * right + 1, (shape.height - 1) * layout.rowStep * down + 1];
  if ((shape.height > 1 && width > layout.rowStep) || height - 1 + width > layout.block * layout.parts)
    throw new UnseenError("CUT_UNAVAILABLE", "features that were mixed into a vector become a picture again.", {
      hint: "Choose an earlier cut.",
    });
  const ciphertexts = Math.ceil(shape.channels / layout.blocks) * layout.parts;
  return { ...layout, shape, rowStep: layout.rowStep * down, columnStep: layout.columnStep * right, ciphertexts };
}

/** Calls back for every feature in a ciphertext until the callback answers true. */
export function visitSlots(
  layout: Layout,
  ciphertext: number,
  visit: (slot: number, channel: number, y: number, x: number) => boolean,
): void {
  const { shape, block, blocks, parts, rowStep, columnStep } = layout;
  const begin = (ciphertext % parts) * block;
  const top = Math.max(0, Math.floor((begin - (shape.width - 1) * columnStep) / rowStep));
  const bottom = Math.min(shape.height, Math.ceil((begin + block) / rowStep));
  const first = Math.floor(ciphertext / parts) * blocks;
  const last = Math.min(shape.channels, first + blocks);
  for (let channel = first; channel < last; channel += 1)
    for (let y = top; y < bottom; y += 1)
      for (let x = 0; x < shape.width; x += 1) {
        const offset = y * rowStep + x * columnStep - begin;
        if (offset >= 0 && offset < block && visit((channel - first) * block + offset, channel, y, x)) return;
      }
}

/** The same number in every slot that holds a feature. */
export function everyFeature(layout: Layout, ciphertext: number, value: number): Fill {
  return (put) => visitSlots(layout, ciphertext, (slot) => put(slot, value));
}

/** Features (channels, height, width) as slots of each ciphertext, with zeros in the gaps. */
export function scatter(layout: Layout, features: Float64Array): Float64Array[] {
  return Array.from({ length: layout.ciphertexts }, (_, ciphertext) => {
    const slots = new Float64Array(layout.slots);
    visitSlots(layout, ciphertext, (slot, channel, y, x) => {
      slots[slot] = features[indexOf(layout.shape, channel, y, x)] ?? 0;
      return false;
    });
    return slots;
  });
}

/** Undoes {@link scatter}. */
export function gather(layout: Layout, ciphertexts: readonly Float64Array[]): Float64Array {
  const features = new Float64Array(sizeOf(layout.shape));
  for (const [ciphertext, slots] of ciphertexts.entries())
    visitSlots(layout, ciphertext, (slot, channel, y, x) => {
      features[indexOf(layout.shape, channel, y, x)] = slots[slot] ?? 0;
      return false;
    });
  return features;
}

/** Position of a feature in the order channel, row, column. */
export function indexOf({ height, width }: Shape, channel: number, y: number, x: number): number {
  return (channel * height + y) * width + x;
}

/** The smallest power of two that is not below `n`. */
export function powerOfTwoFrom(n: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, n)));
}
