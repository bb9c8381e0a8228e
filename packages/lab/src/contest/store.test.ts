/** What is kept of participants and submissions, in which order, and in which files. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { UnseenError, type ErrorCode } from "@unseen/core/errors.ts";
import { ContestStore } from "./store.ts";

const directory = mkdtempSync(join(tmpdir(), "unseen-store-"));
after(() => rmSync(directory, { recursive: true, force: true }));
let files = 0;
const newPath = (): string => join(directory, `${(files += 1)}.sqlite`);
const code = (expected: ErrorCode) => (error: unknown) => UnseenError.isInstance(error) && error.code === expected;

/** Submits a mapping that tells entries apart. */
function submit(store: ContestStore, participant: string, score: number, submitted: number, { contest = "c", text = "x" } = {}) {
  return store.submit({ contest, participant, tokens: new Map([[1, text]]), score, submitted });
}

test("the leaderboard goes by score, then by time, then by who came first; a rank is the place in it", () => {
  const store = new ContestStore(newPath());
  const entries: [string, number, number][] = [
    ["late", 10, 500],
    ["early", 10, 100],
    ["best", 40, 900],
    ["worst", -7, 50],
    ["same moment", 10, 500],
    ["zero", 0, 10],
  ];
  for (const [name] of entries) store.invite(name, false);
  const ranks = entries.map(([name, score, time]) => submit(store, name, score, time).standing.rank);
  assert.deepEqual(ranks, [1, 1, 1, 4, 4, 5]);
  const board = store.leaderboard("c", 100);
  assert.deepEqual(
    board.map(({ rank, participant, score }) => [rank, participant, score]),
    [
      [1, "best", 40],
      [2, "early", 10],
      [3, "late", 10],
      [4, "same moment", 10],
      [5, "zero", 0],
      [6, "worst", -7],
    ],
  );
  assert.equal(board[1]?.submitted, "1970-01-01T00:00:00.100Z");
  assert.equal(store.leaderboard("c", 2).length, 2);
  for (const [name, score, time] of entries)
    assert.equal(submit(store, name, score, time).standing.rank, board.find(({ participant }) => participant === name)?.rank);
  store.close();
});

test("the first submission counts; the same one again is none, another one is refused", () => {
  const store = new ContestStore(newPath());
  store.invite("Ada", false);
  const first = submit(store, "Ada", 5, 100);
  assert.deepEqual([first.isNew, first.standing.score], [true, 5]);
  assert.deepEqual(submit(store, "Ada", 5, 900), { ...first, isNew: false });
  assert.throws(() => submit(store, "Ada", 99, 50, { text: "y" }), code("REQUEST_UNSUPPORTED"));
  assert.deepEqual(store.leaderboard("c", 9), [first.standing]);
  // Another day's contest with the same participants.
  assert.equal(submit(store, "Ada", 7, 900, { contest: "d", text: "y" }).isNew, true);
  assert.deepEqual([store.leaderboard("c", 9).length, store.leaderboard("d", 9).length], [1, 1]);
  store.close();
});

test("a token belongs to a name until it is replaced; what was submitted stays", () => {
  const store = new ContestStore(newPath());
  const old = store.invite("Ada", false);
  const other = store.invite("Bob", false);
  assert.match(old, /^[\w-]{43}$/);
  assert.deepEqual([store.participantOf(old), store.participantOf(other)], ["Ada", "Bob"]);
  for (const wrong of ["", "x", `${old} `, old.toLowerCase()]) assert.equal(store.participantOf(wrong), null);
  assert.throws(() => store.invite("Ada", false), code("USAGE"));
  assert.equal(store.participantOf(old), "Ada");
  submit(store, "Ada", 5, 100);
  const replaced = store.invite("Ada", true);
  assert.deepEqual([store.participantOf(old), store.participantOf(replaced)], [null, "Ada"]);
  assert.equal(store.leaderboard("c", 9).length, 1);
  assert.throws(() => submit(store, "Ada", 6, 200, { text: "y" }), code("REQUEST_UNSUPPORTED"));
  store.close();
});

test("names are names", () => {
  const store = new ContestStore(newPath());
  for (const name of ["Ada", "team-7", "Zoë Müller", "陳", "a".repeat(64)]) assert.ok(store.invite(name, false), name);
  for (const name of ["", " Ada", "Ada ", "a".repeat(65), "<b>", "a\nb", "a\u001B[31m", "a\u202Eb", "'; DROP TABLE participant"])
    assert.throws(() => store.invite(name, false), code("USAGE"), JSON.stringify(name));
  store.close();
});

test("the files are the owner's alone, hold no token, and survive being opened again", () => {
  const path = newPath();
  const store = new ContestStore(path);
  const token = store.invite("Ada", false);
  submit(store, "Ada", 5, 100);
  for (const suffix of ["", "-wal", "-shm"]) {
    assert.equal(statSync(path + suffix).mode & 0o077, 0, suffix);
    assert.ok(!readFileSync(path + suffix, "latin1").includes(token), suffix);
  }
  // While another process has it open.
  const second = new ContestStore(path);
  assert.equal(second.participantOf(token), "Ada");
  second.invite("Bob", false);
  assert.equal(submit(store, "Bob", 9, 200).standing.rank, 1);
  store.close();
  second.close();
  const again = new ContestStore(path);
  assert.deepEqual(again.leaderboard("c", 9).map(({ participant }) => participant), ["Bob", "Ada"]); // prettier-ignore
  again.close();
});

test("a submission from nobody is a defect, not an entry", () => {
  const store = new ContestStore(newPath());
  assert.throws(() => submit(store, "nobody", 5, 100));
  assert.deepEqual(store.leaderboard("c", 9), []);
  store.close();
});

test("files of other kinds and versions are refused, and left as they are", () => {
  const text = newPath();
  writeFileSync(text, "This is a letter and no database. ".repeat(100));
  const foreign = newPath();
  const database = new DatabaseSync(foreign);
  database.exec("CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('soup');");
  database.close();
  const newer = newPath();
  new ContestStore(newer).close();
  const later = new DatabaseSync(newer);
  later.exec("PRAGMA user_version = 2");
  later.close();
  for (const [path, words] of [
    [text, /something else/],
    [foreign, /another program/],
    [newer, /version 2/],
  ] as const) {
    const before = path === text ? readFileSync(path) : null;
    assert.throws(
      () => new ContestStore(path),
      (error) => code("CHECKPOINT_MALFORMED")(error) && words.test(String(error)),
    );
    if (before) assert.deepEqual(readFileSync(path), before);
  }
  const reopened = new DatabaseSync(foreign);
  assert.deepEqual(reopened.prepare("SELECT name FROM sqlite_schema").all().map((row) => row["name"]), ["recipes"]); // prettier-ignore
  reopened.close();
  assert.throws(() => new ContestStore(join(directory, "no", "such", "place.sqlite")), code("CHECKPOINT_NOT_FOUND"));
  assert.throws(() => new ContestStore(directory), code("USAGE"));
});
