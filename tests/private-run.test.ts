/**
 * A picture's way through user, hub, enclave and creator, each a process of its own, and what each of the others could have seen.
 * @module
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { UnseenError } from "@unseen/core/errors.ts";
import { HubClient } from "@unseen/hub/api/hub-client.ts";
import { awaitJob } from "@unseen/hub/api/jobs.ts";
import { pictureValues } from "@unseen/hub/user/picture.ts";
import { TailRunner } from "@unseen/hub/creator/tail-runner.ts";
import { drawPictures } from "@unseen/lab/leak/synthetic.ts";
import sharp from "sharp";
import { ask, onlyObject, runCommand, startCommand } from "./command-line.ts";
import { startParties, XRAY_MODEL, type Parties } from "./parties.ts";
import { findIn, findInFiles, findInMemory, needlesOf, type Needle } from "./picture-search.ts";
import { mayReadMemory } from "./process-memory.ts";

const SIDE = 28;

let parties: Parties;
let picture: Uint8Array;
let file: string;
let needles: Needle[];

before(async () => {
  parties = await startParties({ lease: 3 });
  const drawn = drawPictures({ channels: 1, height: SIDE, width: SIDE }, { train: 1, test: 1, seed: 7 });
  picture = drawn.test.bytes.slice(0, SIDE * SIDE);
  file = join(parties.directory, "scan.png");
  writeFileSync(
    file,
    await sharp(picture, { raw: { width: SIDE, height: SIDE, channels: 1 } })
      .png()
      .toBuffer(),
  );
  needles = needlesOf(picture, SIDE);
});

after(() => parties?.stop());

const user = (): { home: string; environment: Record<string, string> } => ({
  home: parties.directory,
  environment: { UNSEEN_HUB: parties.url, UNSEEN_HUB_KEY: parties.apiKeys.user, UNSEEN_REQUIRE_ATTESTATION: parties.policyFile },
});

async function plainDecision(): Promise<number> {
  const runner = new TailRunner();
  const [output] = await runner.run(XRAY_MODEL, Float32Array.from(pictureValues(picture)));
  runner.close();
  return output!.values.indexOf(Math.max(...output!.values));
}

interface PrivateRun {
  label: string;
  decision: number;
  stages: { name: string; seconds: number; bytes: number }[];
  views: string[];
}

describe("unseen private-run", () => {
  for (const [cut, scheme] of [
    [1, "bfv"],
    [1, "ckks"],
    [2, "ckks"],
    [3, "ckks"],
  ] as const) {
    test(`decides as the plain model does, cut ${cut} under ${scheme}`, async () => {
      const result = await ask<PrivateRun>(["private-run", "--cut", String(cut), "--scheme", scheme, file], user());
      assert.equal(result.decision, await plainDecision());
      assert.equal(result.label, ["normal", "pneumonia"][result.decision]);
      assert.ok(result.stages.every(({ seconds, bytes }) => seconds >= 0 && bytes >= 0));
      assert.ok(result.stages.find(({ name }) => name === "upload picture")!.bytes > 2 * 2 ** 20);
    });
  }

  test("shouts that the enclave is a simulator", async () => {
    const outcome = await runCommand(["private-run", "--cut", "1", file, "--json"], user());
    assert.match(outcome.stderr, /SIMULATOR/);
    assert.equal(onlyObject(outcome.stdout)["attestation"], "simulator");
    const models = await fetch(`${parties.url}/v1/enclaves`, { headers: { authorization: `Bearer ${parties.apiKeys.user}` } });
    assert.match(await models.text(), /simulator/);
    assert.equal(models.headers.get("unseen-attestation"), "simulator");
    assert.match(await (await fetch(parties.url)).text(), /SIMULATOR/);
    assert.match(parties.stderrOf("hub"), /SIMULATOR/);
    assert.match(parties.stderrOf("enclave"), /SIMULATOR/);
    assert.match(parties.stderrOf("creator"), /SIMULATOR/);
  });

  test("sends nothing to an enclave of another program", async () => {
    const policy = JSON.parse(readFileSync(parties.policyFile, "utf8")) as { measurements: { composeHash: string }[] };
    policy.measurements[0]!.composeHash = "0".repeat(64);
    const strict = join(parties.directory, "strict.json");
    writeFileSync(strict, JSON.stringify(policy));
    const before_ = await storedBlobs();
    const outcome = await runCommand(["private-run", "--require-attestation", strict, file, "--json"], user());
    assert.equal(outcome.code, 1);
    assert.equal((onlyObject(outcome.stdout)["error"] as { code: string }).code, "ATTESTATION_MEASUREMENT");
    assert.deepEqual(await storedBlobs(), before_);
  });

  test("refuses a cut, a picture and a key that are none, in one line each", async () => {
    for (const [parameters, code] of [
      [["--cut", "9", file], "CUT_UNAVAILABLE"],
      [[parties.policyFile], "REQUEST_INVALID"],
      [["--hub-key", "wrong", file], "UNAUTHORIZED"],
      [["--model", "nobody", file], "MODEL_NOT_FOUND"],
      [["--noise", "99", file], "USAGE"],
    ] as const) {
      const outcome = await runCommand(["private-run", ...parameters, "--json"], user());
      assert.notEqual(outcome.code, 0);
      assert.equal((onlyObject(outcome.stdout)["error"] as { code: string }).code, code);
      assert.doesNotMatch(outcome.stderr, /\n\s+at /);
    }
  });
});

describe("around it", () => {
  test("cuts are listed with their costs, and the operator that ends them", async () => {
    const plan = await ask<{
      cuts: { cut: number; parameters: { scheme: string }; keyBytes: number; refused: string | null }[];
      end: string;
    }>(["cuts", XRAY_MODEL], user());
    assert.deepEqual(
      plan.cuts.map(({ cut, parameters, refused }) => [cut, parameters.scheme, refused]),
      [
        [1, "ckks", null],
        [1, "bfv", null],
        [2, "ckks", null],
        [3, "ckks", null],
      ],
    );
    assert.match(plan.end, /Relu/);
    const hasty = await ask<{ cuts: { refused: string | null }[] }>(["cuts", XRAY_MODEL, "--calibrate", "--budget", "0.1"], user());
    assert.match(hasty.cuts.at(-1)!.refused!, /80 %/);
  });

  test("the leak of a cut is measured, and published only for the model and the attacker that it is of", async () => {
    const pictures = join(parties.directory, "leak.png");
    const outcome = await runCommand(["leak", XRAY_MODEL, "--cut", "1", "--effort", "quick", "--pictures", pictures, "--json"], user());
    assert.equal(outcome.code, 0, outcome.stderr);
    const { leak } = onlyObject<{ leak: { psnr: number; psnrBaseline: number; decisionsKept: number } }>(outcome.stdout);
    assert.ok(leak.psnr > leak.psnrBaseline + 5, "the attacker does better than without the features");
    assert.ok((await sharp(readFileSync(pictures)).metadata()).width > 100);
    const report = join(parties.directory, "leak.json");
    const publish = async (): Promise<string> => {
      const refused = await runCommand(
        [
          "hub",
          "publish",
          XRAY_MODEL,
          "--name",
          "leaky",
          "--leak",
          report,
          "--directory",
          parties.homes.creator,
          "--hub-key",
          parties.apiKeys.creator,
        ],
        user(),
      );
      assert.equal(refused.code, 1);
      return refused.stderr;
    };
    writeFileSync(report, outcome.stdout);
    assert.match(await publish(), /--effort quick/);
    writeFileSync(report, outcome.stdout.replace(/"model":"[0-9a-f]{64}"/, `"model":"${"0".repeat(64)}"`));
    assert.match(await publish(), /another model/);
  });

  for (const mode of ["disable", "simulate"]) {
    test(`--local --mode ${mode} needs no other party`, async () => {
      const result = await ask<{ decision: number; maxError: number; label: string; plainLabel: string }>(
        ["private-run", "--local", "--mode", mode, "--cut", "3", file],
        user(),
      );
      assert.equal(result.decision, await plainDecision());
      assert.equal(result.label, result.plainLabel);
      assert.ok(mode === "disable" ? result.maxError === 0 : result.maxError > 0 && result.maxError < 1e-3);
    });
  }

  test("the hub's models are listed for everybody", async () => {
    const { models } = await ask<{ models: { name: string; version: string; manifest: { leaks: unknown[] } }[] }>(
      ["hub", "models"],
      user(),
    );
    assert.deepEqual(
      models.map(({ name, version }) => [name, version]),
      [["xray", parties.version]],
    );
  });
});

/** Names of the blobs that the hub holds. */
async function storedBlobs(): Promise<string[]> {
  const { readdirSync } = await import("node:fs");
  return (readdirSync(join(parties.homes.hub, "blobs"), { recursive: true }) as string[]).toSorted();
}

describe("what the others see", () => {
  test("is noise, sealed bytes and features; the picture itself is in no file and in no memory but the user's", async (context) => {
    if (!mayReadMemory(parties.processOf("hub"))) return context.skip("this user may not read the memory of its own processes");
    // The creator is held, so that the user's process waits with the picture in its memory.
    const running = startCommand(["private-run", "--cut", "2", file, "--show-views", join(parties.directory, "views"), "--json"], user());
    const creator = parties.processOf("creator");
    process.kill(creator, "SIGSTOP");
    while (!running.stderr().includes("Cut 2")) await sleep(100);
    // Wherever the user's process waits now, it read the picture, or will have soon.
    let atUser: string[] = [];
    for (let look = 0; look < 40 && !atUser.some((name) => name.endsWith("bytes")); look += 1) {
      await sleep(500);
      atUser = findInMemory(running.child.pid!, needles);
    }
    process.kill(creator, "SIGCONT");
    const outcome = await running.ended;
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.ok(
      atUser.some((name) => name.endsWith("bytes")),
      "control: the same search finds the picture at the user",
    );

    assert.deepEqual(findIn(readFileSync(file), needles), [], "control: a PNG is compressed, so the search is for pixels");
    for (const party of ["hub", "enclave", "creator"] as const) {
      assert.deepEqual(findInMemory(parties.processOf(party), needles), [], `memory of the ${party}`);
      assert.deepEqual(findInFiles(parties.homes[party], needles), [], `files of the ${party}`);
      assert.doesNotMatch(parties.stderrOf(party), /scan\.png/);
    }
    const { views } = onlyObject<PrivateRun>(outcome.stdout);
    assert.deepEqual(
      views.map((path) => path.split("/").at(-1)),
      ["user.png", "hub.png", "enclave.png", "creator.png"],
    );
    for (const path of views) assert.ok((await sharp(readFileSync(path)).metadata()).width > 100);
  });
});

describe("a party that is killed", () => {
  for (const [party, stage] of [
    ["enclave", "evaluate on ciphertext"],
    ["hub", "evaluate on ciphertext"],
    ["creator", "the creator's layers"],
  ] as const) {
    test(`${party} with -9 during "${stage}": the job is finished after its restart`, async () => {
      const killed = Promise.withResolvers<void>();
      let begun = false;
      const session = await parties.openSession({
        cut: 3,
        progress(name) {
          if (name !== stage || begun) return;
          begun = true;
          void parties
            .kill(party)
            .then(() => parties.restart(party))
            .then(killed.resolve, killed.reject);
        },
      });
      try {
        const result = await session.run(picture);
        await killed.promise;
        assert.equal(result.decision, await plainDecision());
        const job = await awaitJob(new HubClient(parties.url, parties.apiKeys.user), result.job, "queued");
        const names = job.transitions.map(({ state }) => state);
        assert.equal(names.filter((name) => name === "evaluated").length, 1, "evaluated once");
        assert.equal(names.filter((name) => name === "answered").length, 1, "answered once");
      } finally {
        session.close();
      }
    });
  }

  test("a job that takes longer than its budget is stopped and says so; the next one is done", async () => {
    const hasty = await parties.openSession({ cut: 3, budget: 0.1 });
    await assert.rejects(hasty.run(picture), (error) => {
      assert.ok(UnseenError.isInstance(error));
      return error.code === "JOB_FAILED" && error.message.includes("EVALUATION_TIMEOUT");
    });
    hasty.close();
    const patient = await parties.openSession({ cut: 3 });
    assert.equal((await patient.run(picture)).decision, await plainDecision());
    patient.close();
  });
});
