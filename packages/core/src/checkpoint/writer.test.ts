import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryDirectory } from "./files.fixture.ts";
import { createFiles, openForWriting, writeAt } from "./writer.ts";

test("files have their final size at once, and ranges land where they belong in any order", (context) => {
  const directory = temporaryDirectory(context);
  createFiles(directory, [{ name: "a", header: Buffer.from("head"), bytes: 12 }]);
  const path = join(directory, "a");
  assert.equal(statSync(path).size, 12);
  const [first, second] = [openForWriting(path), openForWriting(path)];
  second.write(8, Buffer.from("LAST"));
  first.write(4, Buffer.from("NEXT"));
  first.close();
  second.close();
  assert.equal(readFileSync(path, "utf8"), "headNEXTLAST");
  writeAt(path, 0, Buffer.from("HEAD"));
  assert.equal(readFileSync(path, "utf8"), "HEADNEXTLAST");
});

test("an existing file, a foreign directory and an impossible plan are refused", (context) => {
  const directory = temporaryDirectory(context);
  const header = new Uint8Array(8);
  createFiles(directory, [{ name: "a", header, bytes: 8 }]);
  assert.throws(() => createFiles(directory, [{ name: "a", header, bytes: 8 }]), { code: "OUTPUT_EXISTS" });
  for (const name of ["../b", "x/b", "..", ""])
    assert.throws(() => createFiles(directory, [{ name, header, bytes: 8 }]), { code: "INTERNAL" });
  for (const bytes of [7, 8.5, Number.NaN, -1])
    assert.throws(() => createFiles(directory, [{ name: "c", header, bytes }]), { code: "INTERNAL" });
  assert.throws(() => writeAt(join(directory, "absent"), 0, header), { code: "CHECKPOINT_NOT_FOUND" });
});

test("a full disk has its own code", { skip: !existsSync("/dev/full") && "this system has no /dev/full" }, () => {
  assert.throws(() => writeAt("/dev/full", 0, new Uint8Array(8)), { code: "DISK_FULL" });
});
