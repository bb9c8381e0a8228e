import assert from "node:assert/strict";
import { test } from "node:test";
import sharp from "sharp";
import { pictureValues, readPictureFile } from "./picture.ts";

const png = (pixels: number[], width: number, height: number, channels: 1 | 3): Promise<Buffer> =>
  sharp(Uint8Array.from(pixels), { raw: { width, height, channels } }).png().toBuffer();

test("grey stays as it is, to the last value", async () => {
  const greys = Array.from({ length: 256 }, (_, index) => index);
  assert.deepEqual([...(await readPictureFile(await png(greys, 16, 16, 1), [1, 16, 16]))], greys);
});

test("colours become planes, or their luma", async () => {
  const file = await png([255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30], 2, 2, 3);
  assert.deepEqual([...(await readPictureFile(file, [3, 2, 2]))], [255, 0, 0, 10, 0, 255, 0, 20, 0, 0, 255, 30]);
  assert.deepEqual([...(await readPictureFile(file, [1, 2, 2]))], [76, 150, 29, 18]); // Rec. 601
});

test("a picture is stretched to the model's size, height and width not confused", async () => {
  const file = await png([0, 0, 0, 0, 200, 200, 200, 200], 4, 2, 1);
  const bytes = await readPictureFile(file, [1, 2, 1]);
  assert.deepEqual([...bytes], [0, 200]);
  assert.equal((await readPictureFile(file, [1, 3, 5])).length, 15);
});

test("what is no picture, or a model of other channels, is refused", async () => {
  await assert.rejects(readPictureFile(new TextEncoder().encode("<svg/>"), [1, 2, 2]), { code: "REQUEST_INVALID" });
  await assert.rejects(readPictureFile(new Uint8Array(0), [1, 2, 2]), { code: "REQUEST_INVALID" });
  await assert.rejects(readPictureFile(await png([0], 1, 1, 1), [2, 1, 1]), { code: "CUT_UNAVAILABLE" });
});

test("values go from 0 to 1", () => {
  assert.deepEqual([...pictureValues(Uint8Array.of(0, 51, 255))], [0, 0.2, 1]);
});
