import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { jobSchema, workSchema, type State } from "../protocol.ts";
import { Asker, createAccounts, exampleJob, exampleManifest, randomKey, sha256, temporaryDirectory } from "./hub.fixture.ts";
import type { RunningHub } from "./serve.ts";

interface Started {
  readonly process: ChildProcess;
  readonly url: string;
  readonly adminKeyFile: string;
  readonly error?: { readonly code: string; readonly message: string };
}

const directory = temporaryDirectory();
const children = new Set<ChildProcess>();
after(() => {
  for (const child of children) child.kill("SIGKILL");
  directory.remove();
});

async function start(): Promise<Started> {
  const child = fork(fileURLToPath(new URL("./hub-process.fixture.ts", import.meta.url)), [directory.path], { stdio: "ignore" });
  children.add(child);
  const [message] = (await Promise.race([once(child, "message"), once(child, "exit").then(() => assert.fail("the hub ended"))])) as [
    Omit<Started, "process">,
  ];
  return { ...message, process: child };
}

async function kill({ process: child }: Started): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
  children.delete(child);
}

test("what was acknowledged outlives kill -9, and the next hub takes the directory over", async () => {
  const first = await start();
  const accounts = await createAccounts(first as unknown as RunningHub);
  const { user, enclave, creator } = accounts;
  const version = (
    await creator.get("POST", "/v1/models/model/versions", {
      manifest: exampleManifest("model", await creator.upload(Buffer.from("head")), null),
    })
  )["version"] as string;
  const key = randomKey();
  const create = async (): Promise<string> => {
    const input = await user.upload(Buffer.from(randomKey()));
    return (await user.get("POST", "/v1/jobs", exampleJob(version, input, null, key)))["id"] as string;
  };
  const claimed = await create();
  await user.get("POST", `/v1/jobs/${claimed}/submit`, {});
  const work = workSchema.parse(await enclave.get("POST", "/v1/tasks", { keys: [key], wait: 0 }));
  assert.ok(work.kind === "job" && work.job.id === claimed);
  const whole = Buffer.alloc(300_000, 7);
  assert.equal((await user.part(sha256(whole), whole.length, 0, whole.subarray(0, 100_000))).status, 204);

  const second = await start();
  assert.equal(second.error?.code, "CONFLICT");
  assert.match(second.error.message, new RegExp(`another hub runs there \\(process ${first.process.pid}\\)`));

  // Jobs are made and submitted while the hub dies.
  const acknowledged = new Map<string, State>([[claimed, "evaluating"]]);
  const { promise: enough, resolve } = Promise.withResolvers<void>();
  const streams = Array.from({ length: 4 }, async () => {
    try {
      for (;;) {
        const id = await create();
        acknowledged.set(id, "uploading");
        await user.get("POST", `/v1/jobs/${id}/submit`, {});
        acknowledged.set(id, "queued");
        if (acknowledged.size > 12) resolve();
      }
    } catch {
      // The hub is gone, or has had enough of open jobs.
      resolve();
    }
  });
  await enough;
  await kill(first);
  await Promise.all(streams);
  assert.ok(acknowledged.size > 4);

  const third = await start();
  assert.equal(third.error, undefined);
  const at = (asker: Asker): Asker => new Asker(third.url, asker.key);
  for (const [id, state] of acknowledged) {
    const job = jobSchema.parse(await at(user).get("GET", `/v1/jobs/${id}`));
    // What was under way when the hub died may have been written and not answered.
    assert.ok(job.state === state || (state === "uploading" && job.state === "queued"), `${job.state} instead of ${state}`);
    assert.equal((await at(user).raw("GET", `/v1/blobs/${job.input}`)).status, 200);
  }
  await at(enclave).get("POST", `/v1/tasks/${claimed}/renew`, { lease: work.lease });
  const head = await at(user).raw("HEAD", `/v1/blobs/${sha256(whole)}`);
  assert.equal(head.headers.get("upload-offset"), "100000");
  assert.equal((await at(user).part(sha256(whole), whole.length, 100_000, whole.subarray(100_000))).status, 204);
  assert.deepEqual(Buffer.from(await (await at(user).raw("GET", `/v1/blobs/${sha256(whole)}`)).arrayBuffer()), whole);
  await kill(third);
});
