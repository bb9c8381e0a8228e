import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { readPolicy } from "./read-policy.ts";
import { policyOf, temporaryDirectory } from "./simulated-evidence.fixture.ts";

const directory = temporaryDirectory();
const path = join(directory, "policy.json");
const production = { mode: "production", measurements: [{ name: "hub", composeHash: "ab".repeat(32) }] };

async function read(content: unknown): Promise<unknown> {
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
  return await readPolicy(path).catch((error: { code: string; line: string }) => `${error.code} ${error.line}`);
}

test("a policy is read, with what it leaves out", async () => {
  assert.deepEqual(await read(production), { ...production, tcbStatuses: [], advisories: [], collateralUrl: null });
  assert.deepEqual(await read(await policyOf()), await policyOf());
});

test("what is wrong is named", async () => {
  const cases: readonly [unknown, RegExp][] = [
    ["{", /^USAGE policy\.json: expected a policy \(JSON\)/],
    [[], /^USAGE policy\.json: policy: /],
    [{ ...production, mode: "hardware" }, /^USAGE policy\.json: mode: /],
    [{ ...production, measurements: [] }, /^USAGE policy\.json: measurements: /],
    [
      { ...production, measurements: [{ name: "hub", composeHash: "AB" }] },
      /measurements\.0\.composeHash: must be 32 bytes in lower-case hexadecimal/,
    ],
    [{ ...production, measurments: [] }, /measurments/],
    [{ ...production, tcbStatuses: ["OutOfDate"] }, /^USAGE policy\.json: tcbStatuses\.0: /],
    [{ ...production, collateralUrl: "somewhere" }, /^USAGE policy\.json: collateralUrl: /],
    [{ ...production, simulatorRoot: "AAAA" }, /simulatorRoot: expected it in simulator mode alone/],
    [{ ...production, mode: "simulator" }, /simulatorRoot: expected it in simulator mode alone/],
    [" ".repeat(1024 * 1024 + 1), /^USAGE .*at most 1048576 bytes/],
  ];
  for (const [content, expected] of cases) {
    const line = String(await read(content));
    assert.match(line, expected);
    assert.ok(!line.includes("\n"));
  }
});

test("a file that is not there, or a directory", async () => {
  await assert.rejects(readPolicy(join(directory, "none.json")), { code: "USAGE" });
  await assert.rejects(readPolicy(directory), { code: "USAGE" });
});
