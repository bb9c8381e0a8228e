import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, globSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { limits as protocolLimits } from "../protocol.ts";
import { Bells } from "./bells.ts";
import { sweepBlobs } from "./blob-retention.ts";
import { createAccounts, exampleJob, exampleManifest, randomKey, sha256, startTestHub, temporaryDirectory, Asker } from "./hub.fixture.ts";
import { sweepJobs } from "./job-expiry.ts";
import { openPglite } from "./pglite.ts";
import type { RunningHub } from "./serve.ts";
import { defaultSettings, type HubSettings } from "./settings.ts";

const directory = temporaryDirectory();
let hub: RunningHub;
let accounts: Awaited<ReturnType<typeof createAccounts>>;

before(async () => {
  hub = await startTestHub(directory.path);
  accounts = await createAccounts(hub);
});
after(async () => {
  await hub.close();
  directory.remove();
});

/** Starts the hub anew with other limits, and makes other accounts. */
async function restart(limits: Partial<HubSettings>): Promise<void> {
  await hub.close();
  hub = await startTestHub(directory.path, { limits });
  accounts = await createAccounts(hub);
}

/** Tries until it holds; what must come of itself comes in its own time. */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + 20_000; !(await holds()); await sleep(20))
    assert.ok(performance.now() < deadline, "it never came");
}

async function offsetOf(asker: Asker, name: string): Promise<number | null> {
  const { status, headers } = await asker.raw("HEAD", `/v1/blobs/${name}`);
  return status === 404 ? null : Number(headers.get("upload-offset"));
}

async function download(asker: Asker, name: string): Promise<Buffer> {
  return Buffer.from(await (await asker.raw("GET", `/v1/blobs/${name}`)).arrayBuffer());
}

/** Sends the head of a PATCH and a part of its body, then nothing more. */
function stall(asker: Asker, name: string, length: number, bytes: Uint8Array): ReturnType<typeof request> {
  const sending = request(`${hub.url}/v1/blobs/${name}?length=${length}`, {
    method: "PATCH",
    headers: { authorization: `Bearer ${asker.key}`, "upload-offset": "0", "content-length": String(length) },
  });
  sending.on("error", () => {});
  sending.write(bytes);
  return sending;
}

describe("uploads", () => {
  test("a dropped connection leaves what had arrived, and the next one goes on there", async () => {
    const { user } = accounts;
    const bytes = randomBytes(600_000);
    const name = sha256(bytes);
    const sending = stall(user, name, bytes.length, bytes.subarray(0, 400_000));
    const sizes = (): number[] =>
      globSync(`*.${name}`, { cwd: join(directory.path, "uploads") }).map((file) => statSync(join(directory.path, "uploads", file)).size);
    await eventually(async () => sizes().some((size) => size > 0));
    sending.destroy();
    await eventually(async () => ((await offsetOf(user, name)) ?? 0) > 0);
    const offset = (await offsetOf(user, name)) as number;
    assert.ok(offset <= 400_000);
    assert.equal((await user.raw("GET", `/v1/blobs/${name}`)).status, 404, "not before it is whole");
    const rest = await user.part(name, bytes.length, offset, bytes.subarray(offset));
    assert.deepEqual([rest.status, rest.headers.get("upload-offset")], [204, "600000"]);
    assert.deepEqual(await download(user, name), bytes);
    // The last request again, whose answer was lost.
    assert.equal((await user.part(name, bytes.length, offset, bytes.subarray(offset))).status, 204);
  });

  test("parts that do not fit are refused, and say where the upload ends", async () => {
    const { user } = accounts;
    const bytes = randomBytes(1000);
    const name = sha256(bytes);
    assert.equal((await user.part(name, 1000, 10, bytes.subarray(10))).status, 409);
    assert.equal((await user.part(name, 1000, 0, bytes.subarray(0, 600))).status, 204);
    for (const offset of [0, 599, 601]) {
      const answer = await user.part(name, 1000, offset, bytes.subarray(offset));
      assert.deepEqual([answer.status, answer.headers.get("upload-offset")], [409, "600"]);
    }
    assert.equal((await user.part(name, 2000, 600, bytes.subarray(600))).status, 409, "another length");
    assert.equal((await user.part(name, 1000, 600, randomBytes(401))).status, 413, "more than the whole");
    assert.equal(await offsetOf(user, name), 600);
    assert.equal((await user.part(name, 1000, 600, bytes.subarray(600))).status, 204);
    assert.deepEqual(await download(user, name), bytes);
  });

  test("other bytes than the name says are deleted", async () => {
    const { user } = accounts;
    const name = sha256(Buffer.from("expected"));
    const answer = await user.part(name, 3, 0, Buffer.from("bad"));
    assert.equal(answer.status, 422);
    assert.equal(await offsetOf(user, name), null);
    assert.equal(await user.upload(Buffer.from("expected")), name);
  });

  test("requests that are none", async () => {
    const { user, nobody } = accounts;
    const name = sha256(Buffer.from("x"));
    const patch = (path: string, headers: Record<string, string>) => user.raw("PATCH", path, { body: "x", headers });
    const offset = { "upload-offset": "0" };
    for (const query of ["", "?length=0", "?length=-1", "?length=1e3", "?length=0x10", "?length=1.5", "?length=99999999999999"])
      assert.equal((await patch(`/v1/blobs/${name}${query}`, offset)).status, 400, query);
    for (const bad of [{}, { "upload-offset": "-1" }, { "upload-offset": "2" }, { "upload-offset": "0, 0" }])
      assert.equal((await patch(`/v1/blobs/${name}?length=1`, bad as Record<string, string>)).status, 400);
    for (const path of ["x", name.toUpperCase(), `${name}0`, "..%2f..%2fadmin.key", `%00${name.slice(1)}`])
      assert.equal((await patch(`/v1/blobs/${path}?length=1`, offset)).status, 400, path);
    assert.equal((await patch(`/v1/blobs/${name}?length=${protocolLimits.blobBytes + 1}`, offset)).status, 413);
    assert.equal((await user.part(name, 2 * protocolLimits.chunkBytes, 0, Buffer.alloc(protocolLimits.chunkBytes + 1))).status, 413);
    assert.equal((await nobody.part(name, 1, 0, Buffer.from("x"))).status, 401);
    assert.equal(await offsetOf(user, name), null);
  });

  test("a hash alone gives nothing: who has a blob has sent it", async () => {
    const { user, stranger } = accounts;
    const bytes = randomBytes(100);
    const name = await user.upload(bytes);
    assert.equal(await offsetOf(stranger, name), null);
    assert.equal((await stranger.part(name, 100, 100, Buffer.alloc(0))).status, 409);
    assert.equal((await stranger.raw("GET", `/v1/blobs/${name}`)).status, 404);
    assert.equal(await stranger.upload(bytes), name);
    assert.deepEqual(await download(stranger, name), bytes);
    assert.deepEqual(
      readdirSync(join(directory.path, "blobs", name.slice(0, 2))).filter((file) => file === name),
      [name],
    );
  });

  test("two requests that send the same upload at once leave one right blob", async () => {
    const { user } = accounts;
    const bytes = randomBytes(500_000);
    const name = sha256(bytes);
    const answers = await Promise.all([1, 2, 3].map(() => user.part(name, bytes.length, 0, bytes)));
    assert.ok(answers.every(({ status }) => status === 204 || status === 409));
    const offset = await offsetOf(user, name);
    if (offset !== bytes.length) await user.part(name, bytes.length, offset ?? 0, bytes.subarray(offset ?? 0));
    assert.deepEqual(await download(user, name), bytes);
  });

  test("ranges", async () => {
    const { user } = accounts;
    const bytes = randomBytes(1000);
    const name = await user.upload(bytes);
    const range = async (value: string) => {
      const response = await user.raw("GET", `/v1/blobs/${name}`, { headers: { range: value } });
      return { status: response.status, range: response.headers.get("content-range"), body: Buffer.from(await response.arrayBuffer()) };
    };
    assert.deepEqual(await range("bytes=10-19"), { status: 206, range: "bytes 10-19/1000", body: bytes.subarray(10, 20) });
    assert.deepEqual(await range("bytes=990-"), { status: 206, range: "bytes 990-999/1000", body: bytes.subarray(990) });
    assert.deepEqual(await range("bytes=-5"), { status: 206, range: "bytes 995-999/1000", body: bytes.subarray(995) });
    assert.deepEqual(await range("bytes=0-99999999999"), { status: 206, range: "bytes 0-999/1000", body: bytes });
    for (const value of ["bytes=1000-", "bytes=5-4", "bytes=-0"]) {
      const { status, range: given } = await range(value);
      assert.deepEqual([status, given], [416, "bytes */1000"], value);
    }
    for (const value of ["bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=a-b"]) assert.equal((await range(value)).status, 200, value);
  });

  const hasFull = { skip: !existsSync("/dev/full") && "this system has no /dev/full" };
  test("a full disk is said, and the upload goes on when there is room", hasFull, async () => {
    const { user } = accounts;
    const bytes = randomBytes(3000);
    const name = sha256(bytes);
    await user.part(name, 3000, 0, bytes.subarray(0, 1000));
    const [file] = readdirSync(join(directory.path, "uploads")).filter((entry) => entry.endsWith(name));
    const path = join(directory.path, "uploads", file as string);
    rmSync(path);
    symlinkSync("/dev/full", path);
    const refused = await user.part(name, 3000, 1000, bytes.subarray(1000));
    assert.equal(refused.status, 507);
    assert.equal(((await refused.json()) as { error: { code: string } }).error.code, "DISK_FULL");
    assert.equal(await offsetOf(user, name), 1000);
    rmSync(path);
    writeFileSync(path, bytes.subarray(0, 1000));
    assert.equal((await user.part(name, 3000, 1000, bytes.subarray(1000))).status, 204);
    assert.deepEqual(await download(user, name), bytes);
  });

  test("a hub that died between the last byte and the check makes up for it", async () => {
    const bytes = randomBytes(50);
    const [name, lost] = [sha256(bytes), sha256(Buffer.from("lost"))];
    const { user } = accounts;
    await user.part(name, 50, 0, bytes.subarray(0, 10));
    await hub.close();
    const database = await openPglite(join(directory.path, "database"));
    const [row] = await database.query<{ owner: string }>("UPDATE uploads SET received = 50 WHERE sha256 = $1 RETURNING owner", [name]);
    await database.query("INSERT INTO uploads (owner, sha256, length, received) VALUES ($1, $2, 4, 4)", [row!.owner, lost]);
    await database.close();
    mkdirSync(join(directory.path, "uploads"), { recursive: true });
    writeFileSync(join(directory.path, "uploads", `${row!.owner}.${name}`), bytes);
    hub = await startTestHub(directory.path);
    const at = new Asker(hub.url, user.key);
    assert.equal(await offsetOf(at, name), 50);
    assert.deepEqual(await download(at, name), bytes);
    assert.equal(await offsetOf(at, lost), 0, "a file that is gone is sent again");
    assert.equal((await at.part(lost, 4, 0, Buffer.from("lost"))).status, 204);
    accounts = await createAccounts(hub);
  });
});

describe("limits of uploads", () => {
  test("an account may store so much, unfinished uploads included", async () => {
    await restart({ storedBytes: 1000, openUploads: 2 });
    const { user, stranger } = accounts;
    await user.upload(randomBytes(600));
    const refused = await user.part(sha256(Buffer.from("big")), 500, 0, Buffer.alloc(10));
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers.get("retry-after")) > 0);
    await user.upload(randomBytes(400));
    for (const start of ["a", "b"]) await stranger.part(sha256(Buffer.from(start)), 10, 0, Buffer.from(start));
    assert.equal((await stranger.part(sha256(Buffer.from("c")), 10, 0, Buffer.from("c"))).status, 429);
  });

  test("who sends too slowly is cut off, and may go on", async () => {
    await restart({ requestSeconds: 3 });
    const { user } = accounts;
    const bytes = randomBytes(1000);
    const name = sha256(bytes);
    const sending = stall(user, name, 1000, bytes.subarray(0, 700));
    await new Promise<void>((resolve) => {
      sending.once("close", resolve);
      sending.once("response", (response) => response.resume());
    });
    await eventually(async () => (await offsetOf(user, name)) === 700);
    assert.equal((await user.part(name, 1000, 700, bytes.subarray(700))).status, 204);
  });

  test("blobs go when nothing has used them for the retention time", async () => {
    await restart({});
    const { user, stranger, creator } = accounts;
    const head = await creator.upload(randomBytes(10));
    const manifest = exampleManifest(`kept-${head.slice(0, 8)}`, head, null);
    const { version } = await creator.get("POST", `/v1/models/${manifest.name}/versions`, { manifest });
    const shared = randomBytes(10);
    const [used, ended] = [await user.upload(shared), await user.upload(randomBytes(10))];
    await stranger.upload(shared);
    const unused = await user.upload(randomBytes(10));
    const half = sha256(Buffer.from(randomKey()));
    await user.part(half, 100, 0, Buffer.alloc(50));
    const jobs = [];
    for (const input of [used, ended]) {
      const job = await user.get("POST", "/v1/jobs", exampleJob(version as string, input, null, randomKey()));
      await user.get("POST", `/v1/jobs/${String(job["id"])}/submit`, {});
      jobs.push(job["id"] as string);
    }
    await user.get("POST", `/v1/jobs/${jobs[1]}/cancel`, {});
    const exists = (name: string): boolean => existsSync(join(directory.path, "blobs", name.slice(0, 2), name));
    await hub.close();
    // As if the retention time had passed; who then makes it pass is the server, below.
    const database = await openPglite(join(directory.path, "database"));
    await sweepBlobs(database, directory.path, 3600);
    assert.ok(exists(ended) && exists(unused));
    await sweepJobs({ database, bells: new Bells(), settings: { ...defaultSettings, retentionSeconds: 0 } });
    await sweepBlobs(database, directory.path, 0);
    await database.close();
    assert.deepEqual([used, ended, unused, head].map(exists), [true, false, false, true]);

    hub = await startTestHub(directory.path, { limits: { retentionSeconds: 0.5, sweepSeconds: 0.1 } });
    const [owner, other, publisher] = [user, stranger, creator].map(({ key }) => new Asker(hub.url, key)) as [Asker, Asker, Asker];
    assert.equal(await offsetOf(owner, half), null);
    // The stranger's ownership of the same bytes has ended, the user's has not: an open job names them.
    assert.equal(await offsetOf(other, used), null);
    assert.equal(await offsetOf(owner, used), 10);
    assert.equal(await offsetOf(publisher, head), 10);
    assert.equal((await owner.get("GET", `/v1/jobs/${jobs[1]}`))["state"], "cancelled", "the record stays");
    const last = await owner.upload(randomBytes(10));
    await eventually(async () => !exists(last));
  });
});
