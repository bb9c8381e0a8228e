import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { UnseenError, type ErrorCode } from "@unseen/core/errors.ts";
import { example, exampleReport, exampleResult } from "./example.fixture.ts";
import { parseReport } from "./parse.ts";

/** The example as JSON, with one place changed. */
function changed(path: string, value: unknown): string {
  const copy = JSON.parse(JSON.stringify(example)) as Record<string, unknown>;
  const parts = path.split(".");
  const last = parts.pop() as string;
  const holder = parts.reduce((inner, part) => inner[part] as Record<string, unknown>, copy);
  if (value === undefined) delete holder[last];
  else holder[last] = value;
  return JSON.stringify(copy);
}

function refused(json: string, message: RegExp, code: ErrorCode = "REQUEST_INVALID"): void {
  assert.throws(
    () => parseReport(json),
    (error) => {
      assert.ok(UnseenError.isInstance(error), String(error));
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.equal(error.hint, "Run `unseen attack --json` again with this version.");
      return true;
    },
  );
}

describe("reading a report", () => {
  test("what was written is read", () => {
    assert.deepEqual(parseReport(JSON.stringify(example)), example);
    assert.deepEqual(parseReport(JSON.stringify(exampleReport([]))), exampleReport([]));
  });

  test("what is no report is refused", () => {
    refused("", /^the report: expected JSON/);
    refused("{", /^the report: expected JSON/);
    refused("7", /^the report: expected an object, got 7\.$/);
    refused("null", /^the report: expected an object, got null\.$/);
    refused("[]", /^version: expected 1, got nothing\.$/);
  });

  test("of another version the version is named, not what it changed", () => {
    refused(JSON.stringify({ version: 2, everything: "else" }), /^version: expected 1, got 2\.$/);
    refused(changed("version", "1"), /^version: expected 1, got "1"\.$/);
  });

  test("the message names the field, what was expected and what came", () => {
    refused(changed("attacks.3.vocabularyTop1", 1.2), /^attacks\[3\]\.vocabularyTop1: expected at most 1, got 1\.2\.$/);
    refused(changed("attacks.0.curve.points.1.x", "7"), /^attacks\[0\]\.curve\.points\[1\]\.x: expected a number, got "7"\.$/);
    refused(changed("attacks.0.tier", "T9"), /^attacks\[0\]\.tier: expected T0 or T1 or .* or T5, got "T9"\.$/);
    refused(changed("attacks.1.complete", undefined), /^attacks\[1\]\.complete: expected a boolean, got nothing\.$/);
    refused(changed("settings.keys", 1.5), /^settings\.keys: expected a whole number, got 1\.5\.$/);
    refused(changed("settings.keys", -1), /^settings\.keys: expected at least 0, got -1\.$/);
    refused(changed("model", []), /^model: expected an object, got a list of 0\.$/);
    refused(changed("created", "yesterday"), /^created: expected a time as in ISO 8601, got "yesterday"\.$/);
    refused(changed("model.more", 1), /^model: expected no field "more", got an object\.$/);
  });

  test("numbers that JSON writes and nobody can draw are refused", () => {
    refused(
      JSON.stringify(example).replace('"seconds":3.87', '"seconds":1e999'),
      /^attacks\[3\]\.seconds: expected a number, got Infinity\.$/,
    );
    refused(changed("defences.0.recovery.gram-match.vocabularyTop1", null), /^defences\[0\]\.recovery\.gram-match\.vocabularyTop1: expected a number, got null\.$/); // prettier-ignore
  });

  test("sizes have limits", () => {
    refused(" ".repeat(5_000_000), /^the report: expected at most 4194304 characters, got 5000000\.$/, "REQUEST_TOO_LARGE");
    refused(changed("model.name", "x".repeat(201)), /^model\.name: expected at most 200 characters, got 201 characters\.$/);
    refused(changed("attacks.0.remark", "x".repeat(4001)), /^attacks\[0\]\.remark: expected at most 4000 characters/);
    const many = Array.from({ length: 101 }, (_, index) => exampleResult(`attack-${index}`, "T0"));
    refused(JSON.stringify(exampleReport(many)), /^attacks: expected at most 100 entries, got a list of 101\.$/);
    const points = Array.from({ length: 1001 }, (_, x) => ({ x, vocabularyTop1: 0, textTokens: null }));
    const long = ["a", "b"].map((name) => exampleResult(name, "T0", { curve: { of: "pairs", points } }));
    refused(JSON.stringify(exampleReport(long)), /^attacks: expected at most 2000 points of curves/);
    const figures = Object.fromEntries(points.slice(0, 101).map(({ x }) => [`figure${x}`, x]));
    refused(changed("attacks.0.figures", figures), /^attacks\[0\]\.figures: expected at most 100 entries/);
    refused(
      changed("attacks.0.figures", { ["x".repeat(300)]: 1 }),
      /^attacks\[0\]\.figures\.x{60}…: expected names of 1 to 200 characters/,
    );
    refused(
      changed(
        "defences",
        Array.from({ length: 501 }, () => example.defences[0]),
      ),
      /^defences: expected at most 500 entries/,
    );
    const recovery = (from: number): object =>
      Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`attack-${from + index}`, { vocabularyTop1: 0, textTokens: null }]));
    const wide = [0, 60].map((from) => ({ ...example.defences[0], recovery: recovery(from) }));
    refused(changed("defences", wide), /^defences: expected at most 100 attacks/);
  });

  test("two attacks of one name are refused", () => {
    refused(changed("attacks.1.name", "frequency-ranks"), /^attacks: expected a name of its own for each attack/);
  });

  test("names that mean something to JavaScript are names", () => {
    const json = JSON.stringify(example).replace('"distinctIds"', '"__proto__":5,"constructor"');
    const { figures } = parseReport(json).attacks[0] as (typeof example.attacks)[0];
    assert.equal(figures["constructor"], 3012);
    assert.equal(Object.getPrototypeOf(figures), Object.prototype);
  });

  test("a message is one line and commands no terminal", () => {
    for (const json of [changed("model.\u001b[2J\n\u202Ex", 1), changed("attacks.0.tier", "\u001b[2J\u009b")])
      assert.throws(
        () => parseReport(json),
        (error) => UnseenError.isInstance(error) && /\uFFFD/.test(error.message) && !/\p{Cc}|\u202E/u.test(error.message),
      );
  });
});
