/**
 * `unseen encrypt` killed at any moment: what is left is either the whole model or nothing that `serve` accepts.
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { admitModel } from "@unseen/host/admit.ts";
import { ask, onlyObject, runCommand, startCommand, temporaryDirectory } from "./command-line.ts";
import { writeRandomLlama } from "./random-llama.ts";

const home = temporaryDirectory("killed");
const at = (name: string): string => join(home, name);
const source = at("plain");

/** Hash of everything in a model directory, or of a file. */
function digestOf(path: string): string {
  const hash = createHash("sha256");
  const files = statSync(path).isDirectory()
    ? readdirSync(path)
        .toSorted()
        .map((name) => join(path, name))
    : [path];
  for (const file of files) hash.update(file.slice(path.length)).update(readFileSync(file));
  return hash.digest("hex");
}

const encryptInto = (output: string): string[] => ["encrypt", source, "--out", output, "--threads", "2", "--no-measure"];

/** Starts to encrypt and kills once `moment` says so. */
async function killAt(output: string, signal: NodeJS.Signals, moment: () => Promise<void>) {
  const command = startCommand([...encryptInto(output), "--json"], { home });
  await Promise.race([moment(), command.ended]);
  command.child.kill(signal);
  return command.ended;
}

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > end) assert.fail("the condition did not come true in time");
    await sleep(1);
  }
}

/** Serve takes it, or a code why not. */
async function admitted(path: string): Promise<true | string> {
  return admitModel(path).then(() => true, (error: { code: string }) => error.code); // prettier-ignore
}

describe("encrypt, killed", () => {
  /** Seconds from the start to the first byte of output, and to the end. */
  let begin = 0;
  let whole = 0;
  const digests: Record<string, string> = {};

  before(async () => {
    writeRandomLlama(source, { hidden: 768, layers: 4, heads: 12, kvHeads: 4, neurons: 2048, vocabulary: 8000, format: "BF16" });
    await ask(["key", "new"], { home });
    for (const form of ["", ".gguf"]) {
      const started = performance.now();
      const command = startCommand([...encryptInto(at(`reference${form}`)), "--json"], { home });
      await Promise.race([until(() => existsSync(at(`reference${form}.partial`))), command.ended]);
      begin = (performance.now() - started) / 1000;
      assert.equal((await command.ended).code, 0);
      whole = (performance.now() - started) / 1000;
      digests[form] = digestOf(at(`reference${form}`));
    }
  });

  for (const form of ["", ".gguf"]) {
    test(`with SIGKILL, ${form ? "writing a GGUF" : "writing a directory"}: all or nothing`, async (context) => {
      const moments = 7;
      let interrupted = 0;
      for (let index = 0; index < moments; index += 1) {
        const output = at(`killed-${index}${form}`);
        // Spread over the time of writing and a little beyond, each at a random place of its share.
        const share = (index + Math.random()) / moments;
        const outcome = await killAt(output, "SIGKILL", async () => {
          await until(() => existsSync(`${output}.partial`));
          await sleep(1000 * share * (whole - begin) * 1.1);
        });
        const verdict = await admitted(output);
        if (existsSync(output)) {
          assert.equal(digestOf(output), digests[form], "what has its name is whole");
          assert.equal(verdict, true);
          continue;
        }
        interrupted += 1;
        assert.equal(outcome.signal, "SIGKILL");
        assert.ok(["CHECKPOINT_INCOMPLETE", "CHECKPOINT_NOT_FOUND"].includes(String(verdict)), String(verdict));
        if (!existsSync(`${output}.partial`)) continue;
        // Whoever points serve at the leftover itself, or at a file in it, is refused too.
        assert.equal(await admitted(`${output}.partial`), "CHECKPOINT_INCOMPLETE");
        for (const name of readdirSync(`${output}.partial`)) assert.notEqual(await admitted(join(`${output}.partial`, name)), true, name);
      }
      context.diagnostic(
        `${interrupted} of ${moments} runs were killed before the end (begin ${begin.toFixed(2)} s, end ${whole.toFixed(2)} s)`,
      );
      assert.ok(interrupted >= 3, "most kills came in the middle");
    });
  }

  test("the next run says what it found, and succeeds", async () => {
    const output = at("again");
    await killAt(output, "SIGKILL", () => until(() => existsSync(`${output}.partial/model.safetensors`)));
    assert.ok(existsSync(`${output}.partial`) && !existsSync(output));
    const served = await runCommand(["serve", output, "--port", "0"], { home });
    assert.equal(served.code, 1);
    assert.match(served.stderr, /^unseen: [^\n]*interrupted[^\n]*unseen encrypt[^\n]*\n$/);
    const next = await runCommand([...encryptInto(output), "--json"], { home });
    assert.equal(next.code, 0, next.stderr);
    assert.match(next.stderr, /interrupted run had left [^\n]*again\.partial[^\n]*removed/);
    assert.equal(onlyObject<{ removedLeftover: boolean }>(next.stdout).removedLeftover, true);
    assert.equal(existsSync(`${output}.partial`), false);
    assert.equal(digestOf(output), digests[""], "and gives the same bytes as if nothing had happened");
  });

  test("so does one that was killed before it had signed its directory", async () => {
    const output = at("unsigned");
    mkdirSync(`${output}.partial`);
    const next = await runCommand([...encryptInto(output), "--json"], { home });
    assert.equal(next.code, 0, next.stderr);
    assert.match(next.stderr, /interrupted run had left/);
    assert.equal(digestOf(output), digests[""]);
  });

  test("somebody else's directory of that name is not touched", async () => {
    const output = at("foreign");
    mkdirSync(`${output}.partial`);
    writeFileSync(join(`${output}.partial`, "thesis.txt"), "years of work");
    const outcome = await runCommand([...encryptInto(output), "--json"], { home });
    assert.equal(outcome.code, 1);
    assert.match(outcome.stderr, /^unseen: [^\n]*foreign\.partial is in the way[^\n]*remove it[^\n]*\n$/);
    assert.equal(readFileSync(join(`${output}.partial`, "thesis.txt"), "utf8"), "years of work");
  });

  test("a run beside a living one leaves it alone", async () => {
    const output = at("beside");
    const first = startCommand([...encryptInto(output), "--json"], { home });
    await until(() => existsSync(`${output}.partial/model.safetensors`));
    const second = await runCommand(encryptInto(output), { home });
    assert.equal(second.code, 1);
    assert.match(second.stderr, /^unseen: (?:process \d+ is writing|[^\n]*already exists)[^\n]*\n$/);
    assert.equal((await first.ended).code, 0);
    assert.equal(digestOf(output), digests[""]);
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`${signal} cleans up`, async () => {
      const output = at(`stopped-${signal}`);
      const outcome = await killAt(output, signal, () => until(() => existsSync(`${output}.partial/model.safetensors`)));
      assert.equal(outcome.code, 1);
      assert.match(outcome.stderr, new RegExp(`^unseen: stopped by ${signal}\\.[^\\n]*\\n$`));
      assert.equal(existsSync(output), false);
      assert.equal(existsSync(`${output}.partial`), false);
    });
  }

  test("serve, killed while it converts, leaves no half cache", async () => {
    const hostHome = at("host");
    const reference = at("reference");
    const cache = join(hostHome, "cache/gguf");
    const host = startCommand(["serve", reference, "--port", "0", "--json"], { home, environment: { UNSEEN_HOME: hostHome } });
    await until(() => existsSync(cache) && readdirSync(cache).length > 0);
    host.child.kill("SIGKILL");
    await host.ended;
    assert.deepEqual(
      readdirSync(cache)
        .filter((name) => name.endsWith(".gguf"))
        .filter((name) => statSync(join(cache, name)).isDirectory()),
      [],
    );
    const again = startCommand(["serve", reference, "--port", "0", "--json"], { home, environment: { UNSEEN_HOME: hostHome } });
    await Promise.race([until(() => again.stdout().includes("\n")), again.ended]);
    assert.match(again.stdout(), /"url"/, again.stderr());
    again.child.kill("SIGTERM");
    await again.ended;
    assert.equal(readdirSync(cache).length, 1);
  });
});
