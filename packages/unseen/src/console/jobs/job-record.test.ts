/**
 * What is kept of a job and who is told, within limits; and how its command line reads.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, test } from "node:test";
import type { JobEvent, NewJob } from "@unseen/web/protocol/jobs.ts";
import fc from "fast-check";
import { JobRecord } from "./job-record.ts";
import { newJobSchema, type AskedJob } from "./new-job.ts";
import { fileName } from "./places.ts";
import { argumentsOf, shownCommand } from "./plan.ts";

const record = (): JobRecord => new JobRecord("cuts", "a model", "npx unseen cuts");

describe("a record", () => {
  test("keeps the latest lines and the first details, and says where more happened", () => {
    const job = record();
    for (let number = 0; number < 700; number++) job.take({ kind: "line", line: `line ${number}` });
    assert.equal(job.snapshot().lines.length, 500);
    assert.equal(job.snapshot().lines[0], "line 200");
    for (let number = 0; number < 20; number++) job.take({ kind: "detail", detail: { kind: "view", value: "x".repeat(1_000_000) } });
    assert.equal(job.snapshot().details.length, 16);
    assert.match(job.snapshot().lines.at(-1) ?? "", /More happened/);
  });

  test("gives up a reader who is too slow, and keeps the others", async () => {
    const job = record();
    const abort = new AbortController();
    const [slow, quick] = [job.follow(abort.signal), job.follow(abort.signal)];
    await Promise.all([slow.next(), quick.next()]);
    let read = 0;
    for (let number = 0; number < 3000; number++) {
      job.take({ kind: "line", line: `line ${number}` });
      assert.equal(((await quick.next()).value as JobEvent).kind, "line");
      read += 1;
    }
    assert.equal(read, 3000);
    assert.equal((await slow.next()).done, true);
    await quick.return(undefined);
  });

  test("tells progress once however often it comes, and nothing after the end", async () => {
    const job = record();
    const events = job.follow(new AbortController().signal);
    await events.next();
    for (let done = 0; done <= 5000; done++) job.take({ kind: "progress", progress: { label: "x", done, total: 5000 } });
    job.end("done", { result: { fine: true }, failure: null });
    job.take({ kind: "line", line: "too late" });
    job.end("failed", { result: null, failure: { code: "INTERNAL", message: "too late" } });
    const told = await Array.fromAsync(events);
    assert.deepEqual(
      told.map(({ kind }) => kind),
      ["progress", "change"],
    );
    assert.deepEqual([job.snapshot().state, job.snapshot().result, job.snapshot().lines], ["done", { fine: true }, []]);
  });

  test("a reader that goes away while nothing happens ends", { timeout: 5000 }, async () => {
    const abort = new AbortController();
    const events = record().follow(abort.signal);
    await events.next();
    const waiting = events.next();
    abort.abort();
    assert.equal((await waiting).done, true);
  });
});

describe("a command line", () => {
  test("reads in a shell as what runs, whatever the values are", () => {
    const value = fc.string({ minLength: 1, maxLength: 30, unit: "grapheme" }).filter((text) => !text.includes("\0"));
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 8 }), value, (operands, given) => {
        const step = { command: ["encrypt"], options: [`--name=${given}`], operands };
        const shown = shownCommand({ subject: "", steps: [step] });
        const words = execFileSync("sh", ["-c", `npx() { shift; printf '%s\\0' "$@"; }; ${shown}`])
          .toString("utf8")
          .split("\0")
          .slice(0, -1);
        const name = words[1] === "--name" ? words.slice(2, 3) : [words[1]!.slice("--name=".length)];
        assert.deepEqual(name, [given]);
        assert.deepEqual(words.slice(-operands.length), operands);
        assert.deepEqual(argumentsOf(step).slice(-operands.length - 1), ["--", ...operands]);
      }),
      { numRuns: 100 },
    );
  });

  test("a file's name leads nowhere else", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        assert.match(fileName(text), /^\w[\w.-]{0,99}$/);
      }),
    );
  });
});

describe("a request", () => {
  test("of the protocol is known, and hostile ones are refused", () => {
    // The protocol's type is what pages send: every job of it is one that is asked for here.
    const asked: (job: NewJob) => AskedJob = (job) => job;
    const hub = { url: "https://hub.example", key: "k", model: "xray", policy: "{}" };
    assert.ok(newJobSchema.safeParse(asked({ kind: "private-run", picture: "AAAA", cut: 1, hub })).success);
    for (const hostile of [
      { kind: "pull", repository: "--endpoint=http://evil/x" },
      { kind: "pull", repository: "../../etc" },
      { kind: "pull", repository: "a/b", revision: "--token=x" },
      { kind: "encrypt", model: "/m", strength: "rotate", key: "/home/other/key.age" },
      { kind: "encrypt", model: "/m", strength: "rotate", key: "--no-measure" },
      { kind: "encrypt", model: "/m", strength: "rotate", key: "default", name: "../../keys/x" },
      { kind: "encrypt", model: "/m\0", strength: "rotate", key: "default" },
      { kind: "attack", model: "/m", attacks: ["a,--judge=http://evil"], keys: 1, budget: 1 },
      { kind: "attack", model: "/m", keys: 1e9, budget: 1 },
      { kind: "private-run", picture: "AAAA", cut: 1, hub: { ...hub, key: "@/home/me/.unseen/keys/identity.txt" } },
      { kind: "private-run", picture: "AAAA", cut: 1, hub: { ...hub, url: "file:///etc/passwd" } },
      { kind: "private-run", picture: "A".repeat(16 * 1024 * 1024), cut: 1 },
      { kind: "contest", date: "tomorrow" },
      { kind: "key", name: "x" },
    ])
      assert.equal(newJobSchema.safeParse(hostile).success, false, JSON.stringify(hostile).slice(0, 100));
  });
});
