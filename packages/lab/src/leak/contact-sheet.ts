/**
 * Pictures before and after as one PNG.
 * @module
 */
import { sizeOf, type Shape } from "@unseen/fhe/layer.ts";

/** Pairs on a sheet; how much they are enlarged; pixels between them. */
const MOST_COLUMNS = 10;
const ENLARGED = 4;
/** Larger pictures are shown as they are. */
const SMALL = 128;
const GAP = 4;
const BACKGROUND = 255;

/**
 * A PNG with the first pictures above and what was recovered of them below, (count, channels, height, width) each, 0..1.
 * Pictures of another number of channels than 3 are shown in grey, by their first.
 */
export async function drawContactSheet(above: Float32Array, below: Float32Array, shape: Shape): Promise<Uint8Array> {
  const { default: sharp } = await import("sharp");
  const columns = Math.min(MOST_COLUMNS, above.length / sizeOf(shape));
  const factor = Math.max(shape.height, shape.width) <= SMALL ? ENLARGED : 1;
  const [high, wide] = [shape.height * factor, shape.width * factor];
  const channels = shape.channels === 3 ? 3 : 1;
  const [height, width] = [2 * high + 3 * GAP, columns * (wide + GAP) + GAP];
  const plane = shape.height * shape.width;
  const sheet = new Uint8Array(height * width * channels).fill(BACKGROUND);
  [above, below].forEach((pictures, row) => {
    for (let column = 0; column < columns; column += 1)
      for (let y = 0; y < high; y += 1)
        for (let x = 0; x < wide; x += 1)
          for (let channel = 0; channel < channels; channel += 1) {
            const from = column * sizeOf(shape) + channel * plane + Math.floor(y / factor) * shape.width + Math.floor(x / factor);
            const to = (GAP + row * (high + GAP) + y) * width + GAP + column * (wide + GAP) + x;
            sheet[to * channels + channel] = Math.round(255 * (pictures[from] as number));
          }
  });
  return await sharp(sheet, { raw: { width, height, channels } }).png({ compressionLevel: 9 }).toBuffer();
}
