import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import sharp from "sharp";
import { UnseenError, type ErrorCode } from "@unseen/core/errors.ts";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { seeded } from "../seed.ts";
import { idx, npy, npz } from "./picture-files.fixture.ts";
import { fitPicture } from "@unseen/client/pictures/fit.ts";
import { readPictures } from "./pictures.ts";
import { readIdx } from "./sources/idx.ts";
import { readNpy, unzipArrays } from "./sources/npz.ts";

const directory = mkdtempSync(join(tmpdir(), "unseen-pictures-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const file = (name: string, bytes: Uint8Array): string => {
  writeFileSync(join(directory, name), bytes);
  return join(directory, name);
};
const refuses = (code: ErrorCode) => (error: unknown) => UnseenError.isInstance(error) && error.code === code;
/** Picture k is filled with k. */
const stripes = (count: number, size: number): Uint8Array => Uint8Array.from({ length: count * size }, (_, at) => Math.floor(at / size));
const grey = { channels: 1, height: 3, width: 4 };

describe("npz", () => {
  const arrays = {
    train_images: npy("|u1", [20, 3, 4], stripes(20, 12)),
    train_labels: npy(
      "|u1",
      [20, 1],
      Uint8Array.from({ length: 20 }, (_, at) => at % 2),
    ),
    test_images: npy("|u1", [6, 3, 4, 3], stripes(6, 36)),
    test_labels: npy("<i8", [6], new Uint8Array(new BigInt64Array([0n, 1n, 2n, 3n, 4n, 5n]).buffer)),
    other: new Uint8Array(9),
  };

  test("pictures and their labels stay together, the same ones for a seed", async () => {
    const path = file("set.npz", npz(arrays));
    const { train, test: tested, data } = await readPictures(path, grey, { train: 16, test: 5, seed: 1 });
    assert.equal(data, "set.npz");
    assert.deepEqual([train.count, tested.count], [16, 5]);
    for (let k = 0; k < 16; k += 1) assert.equal(train.labels[0]!.values[k], train.bytes[k * 12]! % 2);
    for (let k = 0; k < 5; k += 1) assert.equal(tested.labels[0]!.values[k], tested.bytes[k * 12]);
    assert.equal(new Set(tested.labels[0]!.values).size, 5);
    assert.deepEqual((await readPictures(path, grey, { train: 16, test: 5, seed: 1 })).train.bytes, train.bytes);
    assert.notDeepEqual((await readPictures(path, grey, { train: 16, test: 5, seed: 2 })).train.bytes, train.bytes);
  });

  test("without a test part a fifth is set apart", async () => {
    const { train, test: tested } = await readPictures(file("train.npz", npz({ train_images: arrays.train_images })), grey, {
      train: 99,
      test: 99,
      seed: 1,
    });
    assert.deepEqual([train.count, tested.count], [16, 4]);
    assert.equal(new Set([...train.bytes, ...tested.bytes]).size, 20);
  });

  test("arrays that lie end in typed errors", () => {
    const bytes = stripes(2, 12);
    const cases: [Uint8Array, ErrorCode][] = [
      [npy("|u1", [3, 3, 4], bytes), "CHECKPOINT_TRUNCATED"],
      [npy("|u1", [2 ** 31, 2 ** 31, 2 ** 31], bytes), "CHECKPOINT_TOO_LARGE"],
      [npy("|u1", [2 ** 20, 2 ** 20], bytes), "CHECKPOINT_TOO_LARGE"],
      [npy("<f4", [2, 3], bytes), "CHECKPOINT_MALFORMED"],
      [npy("", [], bytes, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 12), }"), "CHECKPOINT_MALFORMED"],
      [npy("", [], bytes, " ".repeat(5000)), "CHECKPOINT_TOO_LARGE"],
      [npy("|u1", [2, 12], bytes).subarray(0, 30), "CHECKPOINT_TRUNCATED"],
      [new Uint8Array(5), "CHECKPOINT_TRUNCATED"],
      [new Uint8Array(50), "CHECKPOINT_MALFORMED"],
    ];
    for (const [array, code] of cases) assert.throws(() => readNpy(array, "x"), refuses(code));
  });

  test("archives that lie end in typed errors", async () => {
    const whole = npz({ train_images: arrays.train_images });
    assert.throws(() => unzipArrays(whole.subarray(0, whole.length - 30), "x"), refuses("CHECKPOINT_MALFORMED"));
    // The directory at the end says how large an entry unpacks to: at 24 bytes into its record.
    const record = Buffer.from(whole).indexOf("PK\x01\x02", "latin1");
    const bomb = Buffer.from(whole);
    bomb.writeUInt32LE(2 ** 31, record + 24);
    assert.throws(() => unzipArrays(bomb, "x"), refuses("CHECKPOINT_TOO_LARGE"));
    const small = Buffer.from(whole);
    small.writeUInt32LE(40, record + 24);
    assert.throws(() => unzipArrays(small, "x"), refuses("CHECKPOINT_TRUNCATED"));
    for (const [name, wrong] of Object.entries({
      none: { test_images: arrays.test_images },
      flat: { train_images: npy("|u1", [20, 12], stripes(20, 12)) },
      wide: { train_images: npy("|i2", [5, 3, 4], stripes(10, 12)) },
      labels: { train_images: arrays.train_images, train_labels: npy("|u1", [19, 1], new Uint8Array(19)) },
      classes: { train_images: arrays.train_images, train_labels: npy("<i4", [20], new Uint8Array(80).fill(255)) },
    }))
      await assert.rejects(
        readPictures(file(`${name}.npz`, npz(wrong)), grey, { train: 9, test: 9, seed: 1 }),
        refuses("CHECKPOINT_MALFORMED"),
      );
  });

  test("mutated archives are read or refused, never anything else", () => {
    const whole = npz(arrays);
    const random = seeded(1, "mutations");
    let refused = 0;
    for (let round = 0; round < 400; round += 1) {
      const mutated = Uint8Array.from(whole);
      for (let k = 0; k < 3; k += 1) mutated[random.below(mutated.length)] = random.below(256);
      try {
        unzipArrays(mutated, "x");
      } catch (error) {
        if (!UnseenError.isInstance(error)) throw error;
        refused += 1;
      }
    }
    assert.ok(refused > 50);
  });
});

describe("idx", () => {
  test("pictures with the labels beside them", async () => {
    const path = file("t-images-idx3-ubyte.gz", gzipSync(idx(0x0803, [20, 3, 4], stripes(20, 12))));
    file("t-labels-idx1-ubyte.gz", gzipSync(idx(0x0801, [20], stripes(20, 1))));
    const { train, test: tested } = await readPictures(path, grey, { train: 99, test: 3, seed: 1 });
    assert.deepEqual([train.count, tested.count], [17, 3]);
    for (let k = 0; k < 17; k += 1) assert.equal(train.labels[0]!.values[k], train.bytes[k * 12]);
  });

  test("files that lie end in typed errors", async () => {
    assert.throws(() => readIdx(idx(0x0803, [3, 3, 4], stripes(2, 12)), 0x0803, "x"), refuses("CHECKPOINT_TRUNCATED"));
    assert.throws(() => readIdx(idx(0x0803, [2 ** 31, 2 ** 31, 2 ** 31], stripes(2, 12)), 0x0803, "x"), refuses("CHECKPOINT_TOO_LARGE"));
    assert.throws(() => readIdx(idx(0x0803, [0, 3, 4], stripes(2, 12)), 0x0803, "x"), refuses("CHECKPOINT_MALFORMED"));
    assert.throws(() => readIdx(idx(0x0801, [3], stripes(20, 1)), 0x0803, "x"), refuses("CHECKPOINT_MALFORMED"));
    assert.throws(() => readIdx(new Uint8Array(7), 0x0803, "x"), refuses("CHECKPOINT_TRUNCATED"));
    const half = gzipSync(idx(0x0803, [20, 3, 4], stripes(20, 12))).subarray(0, 40);
    await assert.rejects(
      readPictures(file("half-idx3-ubyte.gz", half), grey, { train: 9, test: 9, seed: 1 }),
      refuses("CHECKPOINT_MALFORMED"),
    );
    const path = file("u-images-idx3-ubyte", idx(0x0803, [20, 3, 4], stripes(20, 12)));
    file("u-labels-idx1-ubyte", idx(0x0801, [19], stripes(19, 1)));
    await assert.rejects(readPictures(path, grey, { train: 9, test: 9, seed: 1 }), refuses("CHECKPOINT_MALFORMED"));
  });
});

describe("directories", () => {
  const draw = (value: number): Promise<Buffer> =>
    sharp(new Uint8Array(36 * 3).fill(value), { raw: { width: 6, height: 6, channels: 3 } }).png().toBuffer(); // prettier-ignore

  test("subdirectories are classes, and links are not followed", async () => {
    const root = join(directory, "classes");
    for (const [index, name] of ["cat", "dog"].entries()) {
      mkdirSync(join(root, name), { recursive: true });
      for (let k = 0; k < 5; k += 1) writeFileSync(join(root, name, `${k}.png`), await draw(100 * index + k));
    }
    symlinkSync(join(root, "cat", "0.png"), join(root, "dog", "link.png"));
    writeFileSync(join(root, "notes.txt"), "no picture");
    const { train, test: tested } = await readPictures(root, grey, { train: 99, test: 99, seed: 1 });
    assert.deepEqual([train.count, tested.count], [8, 2]);
    for (let k = 0; k < 8; k += 1) assert.equal(train.labels[0]!.values[k], Number(train.bytes[k * 12]! >= 100));
  });

  test("names end in the class, and names alone are none", async () => {
    for (const [folder, name] of [
      ["named", "-well"],
      ["unnamed", ""],
    ] as const) {
      mkdirSync(join(directory, folder));
      for (let k = 0; k < 6; k += 1) writeFileSync(join(directory, folder, `${k}${k % 2 ? name : name && "-ill"}.png`), await draw(k));
    }
    const named = await readPictures(join(directory, "named"), grey, { train: 99, test: 1, seed: 1 });
    for (let k = 0; k < 5; k += 1) assert.equal(named.train.labels[0]!.values[k], named.train.bytes[k * 12]! % 2);
    assert.deepEqual((await readPictures(join(directory, "unnamed"), grey, { train: 99, test: 1, seed: 1 })).train.labels, []);
  });

  test("damaged files are named", async () => {
    const root = join(directory, "damaged");
    mkdirSync(root);
    for (let k = 0; k < 6; k += 1) writeFileSync(join(root, `${k}.png`), k === 3 ? "no picture" : await draw(k));
    await assert.rejects(readPictures(root, grey, { train: 99, test: 9, seed: 1 }), (error) => refuses("REQUEST_INVALID")(error) && /3\.png/.test((error as Error).message)); // prettier-ignore
  });
});

test("what is no data set is refused", async () => {
  const counts = { train: 9, test: 9, seed: 1 };
  await assert.rejects(readPictures(join(directory, "nothing"), grey, counts), refuses("CHECKPOINT_NOT_FOUND"));
  await assert.rejects(readPictures(file("x.txt", new Uint8Array(3)), grey, counts), refuses("USAGE"));
  mkdirSync(join(directory, "empty"));
  await assert.rejects(readPictures(join(directory, "empty"), grey, counts), refuses("USAGE"));
});

test("pictures are brought to the model's size and channels", () => {
  const pixels = Uint8Array.of(255, 0, 0, 0, 255, 0);
  assert.deepEqual([...fitPicture({ width: 2, height: 1, channels: 3, pixels }, { channels: 1, height: 1, width: 2 })], [76, 150]);
  assert.deepEqual(
    [...fitPicture({ width: 2, height: 1, channels: 3, pixels }, { channels: 3, height: 1, width: 2 })],
    [255, 0, 0, 255, 0, 0],
  );
  const one = { width: 1, height: 1, channels: 1, pixels: Uint8Array.of(7) };
  assert.deepEqual([...fitPicture(one, { channels: 2, height: 2, width: 1 })], [7, 7, 7, 7]);
});

test("MedMNIST as it is published", needs("data/vision/pneumoniamnist.npz"), async () => {
  const path = sharedPath("data/vision/pneumoniamnist.npz") as string;
  const { train, test: tested } = await readPictures(path, { channels: 1, height: 28, width: 28 }, { train: 100, test: 50, seed: 1 });
  assert.deepEqual([train.count, tested.count], [100, 50]);
  assert.deepEqual([...new Set(train.labels[0]!.values)].toSorted(), [0, 1]);
});

test("MNIST as it is published", needs("data/vision/t10k-images-idx3-ubyte.gz"), async () => {
  const path = sharedPath("data/vision/t10k-images-idx3-ubyte.gz") as string;
  const { train } = await readPictures(path, { channels: 1, height: 28, width: 28 }, { train: 200, test: 10, seed: 1 });
  assert.equal(new Set(train.labels[0]!.values).size, 10);
});
