/**
 * What a protection is worth is said where people decide, with the lab's figures, and nowhere with a number of keys.
 * @module
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { resolveHome } from "@unseen/client/home.ts";
import { example } from "@unseen/lab/report/example.fixture.ts";
import type { LabReport } from "@unseen/lab/lab-report.ts";
import { measuredWorth } from "unseen/measured-worth.ts";
import { worthOf } from "unseen/worth.ts";
import { ask, runCommand, startCommand, startServer, temporaryDirectory, type RunningCommand, type RunningServer } from "./command-line.ts";
import { writeRandomLlama } from "./random-llama.ts";

const directory = temporaryDirectory("worth");
const running: (RunningCommand | RunningServer)[] = [];
after(() => running.forEach(({ child }) => child.kill("SIGKILL")));

const page = (name: string): string => readFileSync(fileURLToPath(new URL(`../docs/${name}`, import.meta.url)), "utf8");
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

test("encrypt and the gateway say what the lab measured under their strength", async () => {
  const home = join(directory, "home");
  mkdirSync(home);
  const source = join(directory, "plain");
  writeRandomLlama(source);
  for (const strength of ["permute", "rotate"] as const) {
    const output = join(directory, strength);
    const { stdout } = await runCommand(["encrypt", source, "--out", output, "--strength", strength, "--name", strength, "--no-measure"], {
      home,
    });
    const { model, vocabularyTop1, attack, keys } = measuredWorth.decoder[strength];
    assert.ok(stdout.includes(`Measured on ${model} under ${strength}: a host that has the public model recovers ${percent(vocabularyTop1)} of the token ids`), stdout); // prettier-ignore
    assert.match(stdout, new RegExp(`\\(${attack}, \\d+ s, mean of ${keys} keys\\)`));
  }
  const host = await startServer(["serve", join(directory, "rotate"), "--port", "0"], { home: temporaryDirectory("worth-host") });
  const gateway = startCommand(["gateway", "--port", "0", "--host", host.url], { home });
  running.push(host, gateway);
  for (const end = Date.now() + 30_000; !gateway.stdout().includes("Yours: unseen attack");) {
    assert.ok(Date.now() < end && gateway.child.exitCode === null, `${gateway.stdout()}${gateway.stderr()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.match(gateway.stdout(), /Measured on story-llama under rotate/);
});

test("a model that was attacked is quoted itself", async () => {
  const home = resolveHome({ UNSEEN_HOME: join(directory, "attacked") });
  const { fingerprint, strength } = example.model;
  mkdirSync(home.reports, { recursive: true });
  writeFileSync(join(home.reports, `${fingerprint}.json`), JSON.stringify(example));
  const [first, second] = await worthOf(home, { fingerprint, strength }, "decoder");
  assert.equal(first, "Measured on this model by `unseen attack`:");
  assert.match(second as string, /recovers .* %/);
  // Another model, or a damaged report: the reference stands in.
  assert.match((await worthOf(home, { fingerprint: "0".repeat(32), strength }, "encoder"))[0] as string, /Measured on sst2-distilbert/);
  writeFileSync(join(home.reports, `${fingerprint}.json`), "{");
  assert.match((await worthOf(home, { fingerprint, strength }, "decoder"))[0] as string, /Measured on story-llama/);
  assert.deepEqual(await worthOf(home, { fingerprint, strength }, null), []);
});

test("the documentation quotes the same figures", () => {
  for (const name of ["threat-model.md", "guides/choosing-a-strength.md", "guides/choosing-a-protection.md"])
    for (const kind of ["decoder", "encoder"] as const)
      for (const strength of ["permute", "rotate"] as const) {
        const { model, attack, vocabularyTop1 } = measuredWorth[kind][strength];
        const row = page(name)
          .split("\n")
          .find((line) => line.startsWith("|") && line.includes(model) && line.includes(`\`${strength}\``) && line.includes(attack));
        assert.ok(
          row?.includes(percent(vocabularyTop1)),
          `${name} has no row of ${model}, ${strength}: ${attack}, ${percent(vocabularyTop1)}`,
        );
      }
});

test("an attack through the command line: its object, its report, its pages", { timeout: 180_000 }, async () => {
  const home = join(directory, "attacker");
  mkdirSync(home);
  const source = join(directory, "target");
  writeRandomLlama(source, { vocabulary: 96 });
  await ask(["encrypt", source, "--out", join(home, "encrypted"), "--no-measure"], { home });
  const traffic = join(home, "recorded.jsonl");
  writeFileSync(
    traffic,
    Array.from({ length: 40 }, (_, i) => JSON.stringify(Array.from({ length: 30 }, (_id, j) => (i * j + i) % 96))).join("\n"),
  );
  const parameters = ["attack", join(home, "encrypted"), "--base", source, "--traffic", traffic, "--keys", "2", "--attacks", "functional-fingerprint,row-norms,token-frequency"]; // prettier-ignore
  const report = await ask<LabReport>(parameters, { home });
  assert.deepEqual(report.attacks.map(({ name }) => name), ["token-frequency", "row-norms", "functional-fingerprint"]); // prettier-ignore
  const fingerprint = report.attacks[2]!;
  assert.deepEqual([fingerprint.tier, fingerprint.keys, fingerprint.vocabularyTop1, fingerprint.textTokens, fingerprint.bleu], ["T2", 2, 1, 1, 1]); // prettier-ignore
  assert.ok(fingerprint.control === 1 && fingerprint.seconds > 0 && fingerprint.vocabularyTop10 === 1);
  const again = await ask<LabReport>(parameters, { home });
  const timeless = ({ attacks }: LabReport): unknown => attacks.map((result) => ({ ...result, seconds: 0 }));
  assert.deepEqual(timeless(again), timeless(report), "the same seed gives the same numbers twice");

  const { page: html, json } = await ask<{ page: string; json: string }>(
    ["report", report.model.fingerprint, "--out", join(home, "page.html")],
    { home },
  );
  assert.match(readFileSync(html, "utf8"), /functional-fingerprint/);
  assert.equal((JSON.parse(readFileSync(json, "utf8")) as LabReport).model.fingerprint, report.model.fingerprint);

  for (const [wrong, message] of [
    [["attack", source], /is not an encrypted model.*--base/],
    [["attack", join(home, "encrypted"), "--attacks", "magic"], /no attack is named magic\. There is: brute-force/],
    [["attack", join(home, "encrypted"), "--base", join(home, "nowhere")], /does not exist/],
    [["attack", join(home, "encrypted"), "--defences"], /need --base, and homophones and decoys --traffic/],
    [["attack", join(home, "encrypted"), "--judge", "http://127.0.0.1:1"], /needs --judge-model/],
    [["report", "nothing.json"], /nothing\.json does not exist.*unseen attack/],
    [["report", report.model.fingerprint, "--out", "x.txt"], /must end in \.html/],
  ] as const) {
    const { code, stderr } = await runCommand(wrong, { home });
    assert.equal(code, 1, stderr);
    assert.match(stderr.trim(), message);
    assert.equal(stderr.trim().split("\n").length, 1);
  }
});
