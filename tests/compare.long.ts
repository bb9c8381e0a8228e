/**
 * `unseen compare`: every protection on the bundled model, measured by processes of their own.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { Comparison } from "@unseen/web/protocol/comparison.ts";
import { ask, runCommand, startCommand, temporaryDirectory } from "./command-line.ts";

const ROUND_TRIP = 5; // ms

/** What lies in a temporary directory, and the processes that were given something in it. */
function leftovers(temporary: string): string[] {
  const processes = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return ["environ", "cmdline"].some((file) => readFileSync(`/proc/${name}/${file}`, "utf8").includes(`${temporary}/`));
      } catch {
        return false; // it ended meanwhile
      }
    });
  return [...readdirSync(temporary), ...processes.map((name) => `process ${name}`)];
}

describe("unseen compare", () => {
  test("measures every protection beside the plain model, keeps the result and leaves nothing else", async () => {
    const [home, temporary] = [temporaryDirectory("compare"), temporaryDirectory("compare-place")];
    const comparison = await ask<Comparison>(["compare", "--quick", "--round-trip", String(ROUND_TRIP)], {
      home,
      environment: { TMPDIR: temporary },
    });
    const byId = Object.fromEntries(comparison.rows.map((row) => [row.id, row]));
    assert.deepEqual(Object.keys(byId), ["plain", "permute", "rotate", "attested", "servers", "distant-servers"]);
    for (const row of comparison.rows) {
      assert.equal(row.refusal, null, row.name);
      for (const figure of ["tokensPerSecond", "firstTokenSeconds", "overhead", "bytesPerToken", "answerTokens"] as const)
        assert.ok(row[figure]! > 0, `${row.name}: ${figure} is ${row[figure]}`);
      assert.equal(row.rounds, comparison.rounds, row.name);
      const [least, most] = row.overheadRange!;
      assert.ok(0 < least && least <= row.overhead! && row.overhead! <= most, `${row.name}: ${row.overhead} in ${least} to ${most}`);
    }
    const { plain, permute, rotate, attested, servers, "distant-servers": distant } = byId as Required<typeof byId>;
    assert.equal(plain!.overhead, 1);
    assert.equal(plain!.fidelity, null);
    // What else the machine does cannot make EE ten times slower or faster than the plain model of the same turns.
    for (const row of [permute, rotate, attested]) assert.ok(row!.overhead! > 0.1 && row!.overhead! < 10, `${row!.name}: ${row!.overhead}`);
    for (const row of [permute, rotate, attested, servers, distant]) {
      assert.ok(row!.fidelity!.greedyAgreement >= 0.95, `${row!.name}: ${row!.fidelity!.greedyAgreement}`);
      assert.ok(row!.fidelity!.meanKl < 0.01, `${row!.name}: ${row!.fidelity!.meanKl}`);
      assert.ok(row!.fidelity!.tokens >= 50);
    }
    // Each layer is several round trips: distance shows, and shares of activations are larger than ids.
    assert.ok(1 / distant!.tokensPerSecond! - 1 / servers!.tokensPerSecond! > ROUND_TRIP / 1000);
    assert.ok(servers!.bytesPerToken! > 10 * rotate!.bytesPerToken!);
    assert.equal(distant!.roundTrip, ROUND_TRIP);

    const head = comparison.head!;
    assert.equal(comparison.headFailure, null);
    assert.ok(head.ciphertextSeconds > head.clearSeconds && head.clearSeconds > 0);
    assert.ok(head.largestError > 0 && head.largestError < 1e-2, `${head.largestError}`);

    assert.match(comparison.command, /unseen compare --round-trip 5 --quick$/);
    assert.deepEqual(JSON.parse(readFileSync(join(home, "reports/compare.json"), "utf8")), comparison);
    assert.deepEqual(leftovers(temporary), []);
  });

  test("ends with all that it started when it is told to", async () => {
    const [home, temporary] = [temporaryDirectory("compare"), temporaryDirectory("compare-place")];
    const command = startCommand(["compare", "--quick", "--json"], { home, environment: { TMPDIR: temporary } });
    const began = Date.now();
    const processes = (): number => leftovers(temporary).filter((left) => left.startsWith("process")).length;
    while (processes() < 6 && Date.now() - began < 60_000) await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(processes(), 6, "four hosts and two servers run");
    command.child.kill("SIGTERM");
    const { code, stdout } = await command.ended;
    assert.equal(code, 1);
    assert.match((JSON.parse(stdout) as { error: { message: string } }).error.message, /stopped by SIGTERM/);
    assert.deepEqual(leftovers(temporary), []);
    assert.ok(!existsSync(join(home, "reports/compare.json")));
  });

  test("says in one line what it cannot compare", async () => {
    const home = temporaryDirectory("compare");
    const { code, stderr } = await runCommand(["compare", join(home, "none")], { home });
    assert.equal(code, 1);
    assert.match(stderr, /^unseen: .*none does not exist\. .*\n$/);
  });
});
