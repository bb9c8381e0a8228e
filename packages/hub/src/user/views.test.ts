import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import sharp from "sharp";
import { temporaryDirectory } from "../server/hub.fixture.ts";
import { drawBytes, drawFeatures, drawPicture, saveViews } from "./views.ts";

const directory = temporaryDirectory();
after(() => directory.remove());

/** The pixels of an enlarged PNG, one for each square. */
async function squares(png: Uint8Array, side: number, channels: 1 | 3): Promise<{ pixels: number[]; width: number; height: number }> {
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  const [width, height] = [info.width / side, info.height / side];
  const pixels: number[] = [];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const start = ((y * side + (side >> 1)) * info.width + x * side + (side >> 1)) * info.channels;
      pixels.push(...data.subarray(start, start + channels));
    }
  return { pixels, width, height };
}

test("a picture is enlarged without smoothing", async () => {
  const grey = await squares(await drawPicture(Uint8Array.of(0, 50, 100, 250), { channels: 1, height: 2, width: 2 }), 168, 1);
  assert.deepEqual(grey, { pixels: [0, 50, 100, 250], width: 2, height: 2 });
  const planes = Uint8Array.of(255, 0, /**/ 0, 255, /**/ 10, 20);
  const colour = await squares(await drawPicture(planes, { channels: 3, height: 1, width: 2 }), 336, 3);
  assert.deepEqual(colour, { pixels: [255, 0, 10, 0, 255, 20], width: 2, height: 1 });
});

test("bytes are greys; of many, the first are shown, and none still make a picture", async () => {
  const size = async (length: number): Promise<[number, number]> => {
    const { width, height } = await sharp(await drawBytes(new Uint8Array(length).fill(9))).metadata();
    return [width, height];
  };
  assert.deepEqual(await size(512 * 512 + 1), [512, 512]);
  assert.deepEqual(await size(10_000_000), [512, 512]);
  const [width, height] = await size(0);
  assert.ok(width > 0 && height > 0);
});

test("features are drawn side by side, each from its smallest to its largest value", async () => {
  const features = { step: 0.5, values: Int16Array.of(-4, 0, 7, 7) }; // 2 channels of 1 x 2; the second is flat
  const { pixels, width, height } = await squares(await drawFeatures(features, { channels: 2, height: 1, width: 2 }), 168, 1);
  assert.deepEqual([width, height], [6, 2]);
  assert.deepEqual(pixels.slice(0, 6), [0, 255, 0, 0, 0, 0]);
});

test("features of another shape are a defect, not a picture", async () => {
  await assert.rejects(drawFeatures({ step: 1, values: new Int16Array(3) }, { channels: 1, height: 2, width: 2 }), RangeError);
});

test("four parties, four files", async () => {
  const shape = { channels: 1, height: 2, width: 2 };
  const place = join(directory.path, "views");
  const paths = await saveViews(place, {
    user: { bytes: new Uint8Array(4), shape },
    hub: new Uint8Array(100),
    enclave: new Uint8Array(100),
    creator: { features: { step: 1, values: new Int16Array(4) }, shape },
  });
  assert.deepEqual(
    paths.map((path) => basename(path)),
    ["user.png", "hub.png", "enclave.png", "creator.png"],
  );
  for (const path of paths) assert.ok((await sharp(readFileSync(path)).metadata()).width > 1);
});
