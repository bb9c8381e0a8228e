/**
 * Jobs as they are: commands in processes of their own that are started, stopped and killed.
 * @module
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, globSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createKey } from "@unseen/client/keyring.ts";
import { ensureDirectory } from "@unseen/client/atomic-file.ts";
import type { JobEvent } from "@unseen/web/protocol/jobs.ts";
import { readFidelity } from "../../fidelity-record.ts";
import { isRunning, testBoard, untilGone } from "./job-board.fixture.ts";

const STORY_LLAMA = fileURLToPath(new URL("../../../models/story-llama", import.meta.url));
const PASSPHRASE = "correct horse battery staple 7";

const { home, board, start, until, close } = testBoard();
after(close);

const contest = { kind: "contest", practice: true, date: "2031-05-06" } as const;

describe("a job", () => {
  test("is the command: it encrypts under a key that a passphrase opens, which stands nowhere", async () => {
    await createKey(home, "work", { passphrase: PASSPHRASE });
    const job = await start({ kind: "encrypt", model: STORY_LLAMA, strength: "permute", key: "work", passphrase: PASSPHRASE });
    assert.equal(job.state, "running");
    assert.equal(
      job.command,
      `npx unseen encrypt --out ${join(home.models, "story-llama-unseen")} --strength permute --key work ${STORY_LLAMA}`,
    );
    const commandLine = readFileSync(`/proc/${board.processOf(job.id)}/cmdline`, "utf8");
    assert.ok(commandLine.includes("encrypt") && !commandLine.includes("correct horse"), commandLine);
    const events: JobEvent[] = [];
    for await (const event of board.find(job.id).follow(new AbortController().signal)) events.push(event);
    const ended = board.find(job.id).snapshot();
    assert.equal(ended.state, "done", JSON.stringify(ended.failure));
    const { fingerprint, output } = ended.result as { fingerprint: string; output: string };
    assert.deepEqual([events[0]?.kind, events.at(-1)?.kind], ["snapshot", "change"]);
    assert.ok(events.some((event) => event.kind === "progress" && event.progress?.label === "encrypting"));
    assert.ok(ended.lines.some((line) => line.startsWith("Fidelity")));
    assert.equal((JSON.parse(readFileSync(join(output, "unseen.json"), "utf8")) as { fingerprint: string }).fingerprint, fingerprint);
    assert.equal((await readFidelity(home, fingerprint))?.greedyAgreement, 1);
    assert.ok(!JSON.stringify([ended, events]).includes("correct horse"));
  });

  test("of attacks tells each as it ends", async () => {
    const ask = { kind: "attack", model: join(home.models, "story-llama-unseen"), base: STORY_LLAMA, keys: 1, budget: 20 } as const;
    const job = await start({ ...ask, attacks: ["row-norms"], passphrase: PASSPHRASE });
    const ended = await until(job.id, (now) => now.ended !== null);
    assert.equal(ended.state, "done", JSON.stringify(ended.failure));
    assert.deepEqual(
      ended.details.map(({ kind, value }) => [kind, (value as { name: string }).name]),
      [["attack", "row-norms"]],
    );
    assert.deepEqual((ended.result as { attacks: unknown[] }).attacks, [ended.details[0]?.value]);
  });

  test("never replaces what is there, and two at once get two places", async () => {
    const ask = { kind: "encrypt", model: STORY_LLAMA, strength: "permute", key: "default" } as const;
    const jobs = await Promise.all([start(ask), start(ask)]);
    assert.deepEqual(
      jobs.map(({ command }) => /--out (\S+)/.exec(command)?.[1]),
      ["story-llama-unseen-2", "story-llama-unseen-3"].map((name) => join(home.models, name)),
    );
    await Promise.all(jobs.map(({ id }) => board.remove(id)));
  });

  test("that is stopped in the middle leaves nothing", async () => {
    const before = [readdirSync(home.models).toSorted(), readdirSync(home.bundles).toSorted()];
    const job = await start({ kind: "encrypt", model: STORY_LLAMA, strength: "rotate", key: "work", name: "half", passphrase: PASSPHRASE });
    await until(job.id, () => existsSync(join(home.models, "half-unseen.partial")));
    const stopped = await board.remove(job.id);
    assert.deepEqual([stopped.state, stopped.failure, stopped.result], ["stopped", null, null]);
    assert.deepEqual([readdirSync(home.models).toSorted(), readdirSync(home.bundles).toSorted()], before);
    await board.remove(job.id);
    assert.throws(() => board.find(job.id), { code: "JOB_NOT_FOUND" });
  });

  test("that is stopped or killed leaves no file in the place for temporary ones", async () => {
    const temporary = process.env["TMPDIR"];
    process.env["TMPDIR"] = home.root;
    const job = await start({ kind: "leak", cut: 1, noise: 0.001, bits: 12, effort: "full" });
    if (temporary === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = temporary;
    const files = (): string[] => globSync("unseen-job-*/**", { cwd: home.root });
    await until(job.id, () => files().some((name) => name.includes("unseen-tail-")));
    const stopping = performance.now();
    assert.equal((await board.remove(job.id)).state, "stopped");
    assert.ok(performance.now() - stopping < 9000, "it ends by itself, and is not killed");
    assert.deepEqual([files(), readdirSync(home.reports).filter((name) => name.endsWith(".png"))], [[], []]);
  });

  test("that is killed has failed, with one line", async () => {
    const job = await start({ kind: "cuts" });
    process.kill(board.processOf(job.id) as number, "SIGKILL");
    const { state, failure } = await until(job.id, ({ ended }) => ended !== null);
    assert.equal(state, "failed");
    assert.deepEqual(failure, {
      code: "JOB_FAILED",
      message: "the command was ended by SIGKILL.",
      hint: "Check the free memory, and start it again.",
    });
  });

  test("that cannot be done says the command's own line", async () => {
    const path = join(home.root, "none.onnx");
    writeFileSync(path, "no model");
    const job = await start({ kind: "cuts", model: path });
    const { state, failure } = await until(job.id, ({ ended }) => ended !== null);
    assert.equal(state, "failed");
    assert.match(failure?.code ?? "", /^CHECKPOINT_/);
    assert.doesNotMatch(failure?.message ?? "", /\n/);
  });

  test("that serves is ready with an address, and ends when it is stopped", async () => {
    const job = await start(contest);
    const ready = await until(job.id, ({ state }) => state !== "running");
    assert.equal(ready.state, "ready", JSON.stringify(ready));
    assert.equal((await fetch((ready.result as { url: string }).url)).status, 200);
    assert.equal(ready.details[0]?.kind, "made");
    const processId = board.processOf(job.id) as number;
    assert.equal((await board.remove(job.id)).state, "stopped");
    assert.ok(!isRunning(processId));
  });

  test("gets no secret of this process, and its content stands in no argument", async () => {
    process.env["UNSEEN_HUB_KEY"] = "a secret of the gateway";
    const job = await start({ ...contest, date: "2031-05-07", prompt: "--practice nobody knows", response: "what was --answered" });
    await until(job.id, ({ state }) => state === "ready");
    const processId = board.processOf(job.id) as number;
    const [environment, commandLine] = ["environ", "cmdline"].map((name) => readFileSync(`/proc/${processId}/${name}`, "utf8")) as [
      string,
      string,
    ];
    delete process.env["UNSEEN_HUB_KEY"];
    assert.ok(environment.includes(`UNSEEN_HOME=${home.root}`), "control: the environment can be read");
    assert.ok(!environment.includes("a secret of the gateway") && !commandLine.includes("nobody knows"));
    assert.ok(!job.command.includes("nobody knows"));
    await board.remove(job.id);
  });
});

describe("what a page sends", () => {
  test("becomes no flag", async () => {
    const job = await start({ kind: "contest", model: "--practice", date: "2031-05-08", prompt: "one", response: "two" });
    const { failure } = await until(job.id, ({ ended }) => ended !== null);
    assert.equal(failure?.code, "BUNDLE_NOT_FOUND");
    const odd = join(home.root, "--plain --help; $(touch owned) '.gguf");
    writeFileSync(odd, "no model");
    const served = await start({ kind: "serve", model: odd });
    const ended = await until(served.id, (now) => now.ended !== null);
    assert.match(ended.failure?.code ?? "", /^CHECKPOINT_/);
    assert.ok(!existsSync("owned") && !existsSync(join(home.root, "owned")));
  });

  for (const [what, ask, code] of [
    ["a path that is not whole", { kind: "cuts", model: "models/x.onnx" }, "REQUEST_INVALID"],
    ["a path that leads nowhere", { kind: "cuts", model: "/nowhere/x.onnx" }, "CHECKPOINT_NOT_FOUND"],
    ["a plain model to attack", { kind: "attack", model: STORY_LLAMA, keys: 1, budget: 1 }, "NOT_ENCRYPTED"],
    ["a picture that is none", { kind: "private-run", picture: "!", cut: 1 }, "REQUEST_INVALID"],
  ] as const) {
    test(`${what} is refused before anything starts`, async () => {
      const jobs = board.list().length;
      await assert.rejects(start(ask), { code });
      assert.equal(board.list().length, jobs);
    });
  }
});

describe("many jobs", () => {
  test("wait for nobody: a fourth is refused", async () => {
    const other = testBoard();
    await ensureDirectory(join(other.home.root, "contests"));
    const ids: string[] = [];
    for (let number = 0; number < 3; number++) ids.push((await other.start({ kind: "cuts" })).id);
    await assert.rejects(other.start({ kind: "cuts" }), { code: "OVERLOADED" });
    const processes = ids.map((id) => other.board.processOf(id) as number);
    await other.close();
    assert.deepEqual(processes.filter(isRunning), [], "closing ends them");
    await assert.rejects(other.start({ kind: "cuts" }), { code: "OVERLOADED" });
  });

  test("end when the gateway is killed", async () => {
    const program = `
      import { testBoard } from ${JSON.stringify(new URL("job-board.fixture.ts", import.meta.url).href)};
      const { start, until, board } = testBoard();
      const { id } = await start(${JSON.stringify(contest)});
      await until(id, ({ state }) => state === "ready");
      process.stdout.write(String(board.processOf(id)) + "\\n");`;
    const gateway = spawn(process.execPath, ["--input-type=module-typescript", "--eval", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const processId = Number(await new Promise<string>((resolve) => gateway.stdout.setEncoding("utf8").once("data", resolve)));
    assert.ok(isRunning(processId), "control: it runs before");
    gateway.kill("SIGKILL");
    await untilGone([processId]);
  });
});
