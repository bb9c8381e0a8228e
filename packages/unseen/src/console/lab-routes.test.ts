import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { REPORT_VERSION, type LabReport } from "@unseen/lab/lab-report.ts";
import type { AttackRow, ReportRow, VerdictRow } from "@unseen/web/protocol/lab.ts";
import { reportFile } from "../worth.ts";
import { TestConsole, temporaryHome } from "./console.fixture.ts";
import { openLab } from "./lab-routes.ts";

const FINGERPRINT = "0123456789abcdef0123456789abcdef";

const report: LabReport = {
  version: REPORT_VERSION,
  created: "2026-11-28T12:00:00.000Z",
  model: { name: "m", family: "llama", strength: "rotate", fingerprint: FINGERPRINT, vocabulary: 100, special: 2, base: null },
  settings: { keys: 1, seed: 1, budgetSeconds: 30, recordedTokens: 0, heldOutTokens: 0, priorTokens: 0 },
  versions: { unseen: "0.1.0", node: "v26" },
  attacks: [],
  defences: [],
};

test("the attacks are named with who could make them", async () => {
  const { status, body } = await new TestConsole(temporaryHome(), openLab).ask<{ attacks: AttackRow[] }>("GET", "/console/attacks");
  assert.equal(status, 200);
  const names = body.attacks.map(({ name }) => name);
  assert.ok(names.includes("functional-fingerprint") && names.includes("token-frequency"));
  assert.equal(new Set(names).size, names.length);
  for (const { tier, title, knowledge } of body.attacks) assert.ok(/^T[0-5]$/.test(tier) && title.endsWith(".") && knowledge !== "");
});

test("a report that was kept has a verdict; one that was not, or is no report, is said", async () => {
  const home = temporaryHome();
  const console = new TestConsole(home, openLab);
  const path = `/console/verdicts/${FINGERPRINT}`;
  const missing = await console.ask("GET", path);
  assert.deepEqual([missing.status, missing.body.error?.code], [404, "MODEL_NOT_FOUND"]);
  await mkdir(home.reports, { recursive: true });
  // The page's rows are a part of the lab's own: the compiler checks it here.
  await writeFile(reportFile(home, FINGERPRINT), JSON.stringify(report satisfies ReportRow));
  const { status, body } = await console.ask<VerdictRow>("GET", path);
  assert.equal(status, 200);
  assert.match(body.sentence, /says nothing/);
  await writeFile(reportFile(home, FINGERPRINT), "{}");
  const damaged = await console.ask("GET", path);
  assert.ok(damaged.status >= 400 && damaged.body.error?.message, JSON.stringify(damaged));
});

test("a name that is no fingerprint reads no file", async () => {
  const home = temporaryHome();
  const console = new TestConsole(home, openLab);
  for (const name of ["..%2fkeys%2fdefault", "%2fetc%2fpasswd", "0123"]) {
    const { status } = await console.ask("GET", `/console/verdicts/${name}`);
    assert.equal(status, 404, name);
  }
});
