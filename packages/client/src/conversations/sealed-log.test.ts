/** Sealed records: nothing but the torn end of a file is ever lost, and nothing changed is ever believed. */
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { SECRET, temporaryDirectory } from "./conversations.fixture.ts";
import { FILE_HEADER_BYTES, RECORD_HEADER_BYTES } from "./record-cipher.ts";
import { SealedLog, type RecordPlace } from "./sealed-log.ts";

const directory = temporaryDirectory();
const fileAt = (name: string, purpose = "log a") => ({ path: join(directory, name), secret: SECRET, purpose });

/** Every record's content, or null for a damaged file. */
async function readAll(file: ReturnType<typeof fileAt>): Promise<Uint8Array[] | null> {
  const contents: Uint8Array[] = [];
  const log = await SealedLog.read(file, (content) => contents.push(Uint8Array.from(content)));
  return log && contents;
}

const words = ["first words", "second words", "", "fourth words"].map((text) => Uint8Array.from(Buffer.from(text)));

async function written(name: string, purpose?: string): Promise<{ file: ReturnType<typeof fileAt>; places: RecordPlace[]; whole: Buffer }> {
  const file = fileAt(name, purpose);
  const log = await SealedLog.create(file, words.slice(0, 1));
  const places: RecordPlace[] = [];
  for (const word of words.slice(1)) places.push(await log.append(word));
  return { file, places: [{ offset: FILE_HEADER_BYTES, number: 0 }, ...places], whole: readFileSync(file.path) };
}

test("what was appended is read, in order, also at its place; nothing of it is on the disk in clear", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 }), fc.nat(12), async (contents, begun) => {
      const file = fileAt("property.log");
      const log = await SealedLog.create(file, contents.slice(0, begun));
      const places: RecordPlace[] = [];
      for (const content of contents.slice(begun)) places.push(await log.append(content));
      assert.deepEqual(await readAll(file), contents);
      for (const [index, place] of places.entries())
        assert.deepEqual(new Uint8Array((await log.readRecord(place))!), contents[begun + index]);
      assert.equal(log.bytes, statSync(file.path).size);
    }),
    { numRuns: 40 },
  );
  const { whole, file } = await written("clear.log");
  assert.doesNotMatch(whole.toString("latin1"), /words/);
  assert.equal(statSync(file.path).mode & 0o777, 0o600);
  const twice = await written("twice.log");
  assert.notDeepEqual(twice.whole, whole, "the same content looks different each time");
});

test("a file that ends anywhere has all records before that place, and takes new ones", async () => {
  const { file, places, whole } = await written("torn.log");
  for (let length = FILE_HEADER_BYTES; length < whole.length; length += 1) {
    writeFileSync(file.path, whole.subarray(0, length));
    const complete = places.filter((_, index) => (places[index + 1]?.offset ?? whole.length) <= length).length;
    assert.deepEqual(await readAll(file), words.slice(0, complete), `${length}`);
    const log = (await SealedLog.read(file))!;
    assert.equal(log.bytes, places[complete]?.offset, "what was torn is cut off");
    await log.append(Uint8Array.from([1]));
    assert.deepEqual(await readAll(file), [...words.slice(0, complete), Uint8Array.from([1])]);
  }
  for (let length = 0; length < FILE_HEADER_BYTES; length += 1) {
    writeFileSync(file.path, whole.subarray(0, length));
    assert.equal(await readAll(file), null, "a file without its beginning was not torn by us: it appears whole");
    assert.equal(statSync(file.path).size, length, "and is left alone");
  }
});

test("zeros that a power cut left at the end are cut off", async () => {
  const { file, whole, places } = await written("zeros.log");
  for (const zeros of [1, RECORD_HEADER_BYTES, 4096, 3_000_000]) {
    writeFileSync(file.path, Buffer.concat([whole, Buffer.alloc(zeros)]));
    assert.deepEqual(await readAll(file), words);
    assert.equal(statSync(file.path).size, whole.length);
  }
  const last = places.at(-1)!.offset + RECORD_HEADER_BYTES + 3;
  writeFileSync(file.path, Buffer.concat([whole.subarray(0, last), Buffer.alloc(whole.length - last)]));
  assert.deepEqual(await readAll(file), words.slice(0, -1));
});

test("a change of any byte is noticed, and the file is left alone", async () => {
  const { file, whole } = await written("changed.log");
  for (let place = 0; place < whole.length; place += 1) {
    for (const bit of [1, 0x80]) {
      const changed = Buffer.from(whole);
      changed[place]! ^= bit;
      writeFileSync(file.path, changed);
      assert.equal(await readAll(file), null, `byte ${place}`);
      assert.deepEqual(readFileSync(file.path), changed);
    }
  }
});

test("records cannot change places, be left out or repeated, or move to another file, purpose or key", async () => {
  const { file, places, whole } = await written("moved.log");
  const [header, ...records] = [0, ...places.map(({ offset }) => offset)].map((start, index) =>
    whole.subarray(start, places[index]?.offset ?? whole.length),
  ) as [Buffer, ...Buffer[]];
  assert.equal(records.length, 4);
  for (const order of [
    [1, 0, 2, 3],
    [0, 2, 1, 3],
    [1, 2, 3],
    [0, 2, 3],
    [0, 0, 1, 2, 3],
  ]) {
    writeFileSync(file.path, Buffer.concat([header, ...order.map((index) => records[index]!)]));
    assert.equal(await readAll(file), null, order.join());
  }
  const other = await written("other.log", "log b");
  writeFileSync(file.path, Buffer.concat([header, other.whole.subarray(FILE_HEADER_BYTES)]));
  assert.equal(await readAll(file), null);
  copyFileSync(other.file.path, file.path);
  assert.equal(await readAll(file), null, "another conversation's file");
  assert.equal(await readAll({ ...other.file, secret: SECRET.map((byte) => byte ^ 1) }), null, "another key");
  assert.deepEqual(await readAll(other.file), words);
});

test("whoever else writes the file is noticed, and nothing is written over it", async () => {
  const { file, whole } = await written("foreign.log");
  const log = (await SealedLog.read(file))!;
  const other = (await SealedLog.read(file))!;
  await other.append(Uint8Array.from([1]));
  await assert.rejects(log.append(Uint8Array.from([2])), { code: "CONFLICT" });
  assert.deepEqual(await readAll(file), [...words, Uint8Array.from([1])]);
  truncateSync(file.path, whole.length);
  await log.append(Uint8Array.from([3]));
  assert.deepEqual(await readAll(file), [...words, Uint8Array.from([3])]);
});
