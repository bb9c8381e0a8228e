import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { limits as protocolLimits, type Role } from "../protocol.ts";
import {
  createAccounts,
  exampleJob,
  exampleManifest,
  needsPostgres,
  randomKey,
  startPostgres,
  startTestHub,
  temporaryDirectory,
  type Asker,
} from "./hub.fixture.ts";
import type { RunningHub } from "./serve.ts";
import type { HubSettings } from "./settings.ts";

const directory = temporaryDirectory();
let hub: RunningHub;
let accounts: Awaited<ReturnType<typeof createAccounts>>;
let version: string;

/** Where PostgreSQL is here, since it starts faster; `serve.test.ts` has both. */
const server = needsPostgres.skip ? null : startPostgres();

before(() => start({}));
after(async () => {
  await hub.close();
  await (await server)?.stop();
  directory.remove();
});

async function start(limits: Partial<HubSettings>): Promise<void> {
  const databaseUrl = (await server)?.url;
  hub = await startTestHub(directory.path, { limits, ...(databaseUrl ? { databaseUrl } : {}) });
  accounts = await createAccounts(hub);
}

describe("access", () => {
  const blobs = new Map<string, string>();
  let job: string;

  before(async () => {
    const { user, enclave, creator } = accounts;
    const upload = async (owner: Asker, kind: string): Promise<string> => {
      const name = await owner.upload(randomBytes(20));
      blobs.set(kind, name);
      return name;
    };
    const manifest = exampleManifest("access", await upload(creator, "head"), await upload(creator, "picture"));
    version = (await creator.get("POST", "/v1/models/access/versions", { manifest }))["version"] as string;
    await upload(creator, "unpublished");
    const key = randomKey();
    const request = exampleJob(version, await upload(user, "input"), await upload(user, "keys"), key);
    job = (await user.get("POST", "/v1/jobs", request))["id"] as string;
    await user.get("POST", `/v1/jobs/${job}/submit`, {});
    const claim = async (worker: Asker, keys: string[]): Promise<string> =>
      (await worker.get("POST", "/v1/tasks", { keys, wait: 0 }))["lease"] as string;
    const evaluation = await claim(enclave, [key]);
    await enclave.get("POST", `/v1/tasks/${job}/done`, { lease: evaluation, blob: await upload(enclave, "encrypted") });
    await user.get("POST", `/v1/jobs/${job}/features`, { features: await upload(user, "features") });
    const answering = await claim(creator, []);
    await creator.get("POST", `/v1/tasks/${job}/done`, { lease: answering, blob: await upload(creator, "answer") });
  });

  const readers: Readonly<Record<string, readonly string[]>> = {
    head: ["creator", "enclave", "otherEnclave"],
    picture: ["user", "stranger", "enclave", "otherEnclave", "creator", "otherCreator", "nobody"],
    unpublished: ["creator"],
    keys: ["user", "enclave"],
    input: ["user", "enclave"],
    encrypted: ["user", "enclave"],
    features: ["user", "creator"],
    answer: ["user", "creator"],
  };
  const parties = ["user", "stranger", "enclave", "otherEnclave", "creator", "otherCreator", "nobody"] as const;

  test("each blob is read by those that it is for", async () => {
    for (const [kind, allowed] of Object.entries(readers))
      for (const party of parties) {
        const response = await accounts[party].raw("GET", `/v1/blobs/${blobs.get(kind)}`);
        await response.body?.cancel();
        assert.equal(response.status, allowed.includes(party) ? 200 : 404, `${kind} by ${party}`);
      }
  });

  test("a job is seen by its parties and changed by whose turn it is", async () => {
    const { user } = accounts;
    const input = blobs.get("input") as string;
    const requests: readonly (readonly [string, string, unknown, readonly Role[]])[] = [
      ["GET", `/v1/jobs/${job}`, undefined, ["user", "enclave", "creator"]],
      ["POST", `/v1/jobs/${job}/submit`, {}, ["user"]],
      ["POST", `/v1/jobs/${job}/features`, { features: blobs.get("features") }, ["user"]],
      ["POST", `/v1/jobs/${job}/cancel`, {}, ["user"]],
      ["POST", `/v1/jobs`, exampleJob(version, input, null, randomKey()), ["user", "stranger" as Role]],
    ];
    for (const [method, path, body, allowed] of requests)
      for (const party of parties) {
        const { status } = await accounts[party].ask(method, path, body);
        const isAllowed = (allowed as readonly string[]).includes(party);
        assert.ok(isAllowed ? status < 300 : [401, 403, 404].includes(status), `${method} ${path} by ${party}: ${status}`);
      }
    assert.equal((await user.get("GET", `/v1/jobs/${job}`))["state"], "answered", "cancelled too late");
  });

  test("naming another's blob in a job gives no access to it", async () => {
    const { stranger, otherEnclave, user } = accounts;
    const input = blobs.get("input") as string;
    const key = randomKey();
    const thief = (await stranger.get("POST", "/v1/jobs", exampleJob(version, input, null, key)))["id"] as string;
    assert.equal((await stranger.ask("POST", `/v1/jobs/${thief}/submit`, {})).status, 400);
    assert.equal((await stranger.raw("GET", `/v1/blobs/${input}`)).status, 404);
    const own = await stranger.upload(randomBytes(10));
    const second = (await stranger.get("POST", "/v1/jobs", exampleJob(version, own, null, key)))["id"] as string;
    await stranger.get("POST", `/v1/jobs/${second}/submit`, {});
    const { lease } = await otherEnclave.get("POST", "/v1/tasks", { keys: [key], wait: 0 });
    const features = blobs.get("features") as string;
    assert.equal((await otherEnclave.ask("POST", `/v1/tasks/${second}/done`, { lease, blob: features })).status, 400);
    assert.equal((await user.ask("GET", `/v1/jobs/${second}`)).status, 404);
  });

  test("an enclave gets jobs for its own key, a creator those of its own models", async () => {
    const { user, enclave, otherCreator } = accounts;
    const submitted = (await user.get("POST", "/v1/jobs", exampleJob(version, blobs.get("input") as string, null, randomKey())))[
      "id"
    ] as string;
    await user.get("POST", `/v1/jobs/${submitted}/submit`, {});
    for (const [worker, keys] of [
      [enclave, [randomKey()]],
      [enclave, []],
      [otherCreator, []],
    ] as const)
      // prettier-ignore
      assert.equal((await worker.ask("POST", "/v1/tasks", { keys, wait: 0 })).status, 204);
    assert.equal((await user.ask("POST", "/v1/tasks", { keys: [], wait: 0 })).status, 403);
    assert.equal((await otherCreator.ask("POST", "/v1/tasks", { keys: [randomKey()], wait: 0 })).status, 400);
  });
});

describe("hostile requests", () => {
  test("keys that are none", async () => {
    const { nobody, user } = accounts;
    for (const key of ["x", `unseen_${"A".repeat(43)}`, `${user.key}x`, (user.key as string).slice(0, -1), "'; DROP TABLE accounts; --"]) {
      const response = await nobody.raw("GET", "/v1/models", { headers: { authorization: `Bearer ${key}` } });
      assert.equal(response.status, 401);
      assert.equal(response.headers.get("www-authenticate"), "Bearer");
    }
  });

  test("bodies that are none", async () => {
    const { user } = accounts;
    const post = (body: string, type = "application/json") => user.raw("POST", "/v1/jobs", { body, headers: { "content-type": type } });
    const deep = `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    for (const body of ["", "{", "null", "[]", '"x"', "{}", deep, '{"__proto__":{}}', `"${"\\".repeat(500_001)}`]) {
      const response = await post(body);
      const { error } = (await response.json()) as { error: { code: string; message: string } };
      assert.deepEqual([response.status, error.code], [400, "REQUEST_INVALID"], body.slice(0, 20));
      assert.match(error.message, /^[\x20-\x7e]{1,300}$/);
    }
    assert.equal((await post("{}", "text/plain")).status, 400);
    assert.equal((await post(`{"a":"${"x".repeat(protocolLimits.jsonBytes)}"}`)).status, 413);
  });

  test("fields that lie", async () => {
    const { user } = accounts;
    const good = exampleJob(version, "0".repeat(64), null, randomKey());
    const lies: object[] = [
      { budget: 1e9 }, { budget: null }, { cut: -1 }, { cut: 1.5 }, { scheme: "rsa" }, { input: "../../admin.key" }, { session: "" },
      { idempotencyKey: "short" }, { idempotencyKey: "a b c d e f g h i j" }, { enclaveKey: "x" }, { state: "answered" }, { keys: 5 },
    ]; // prettier-ignore
    for (const lie of lies) {
      const { status, json } = await user.ask("POST", "/v1/jobs", { ...good, ...lie });
      assert.deepEqual([status, json.error?.code], [400, "REQUEST_INVALID"], JSON.stringify(lie));
    }
    assert.equal((await user.ask("POST", "/v1/jobs", { ...good, cut: 7 })).json.error?.code, "CUT_UNAVAILABLE");
    assert.equal((await user.ask("POST", "/v1/jobs", { ...good, scheme: "bfv" })).json.error?.code, "CUT_UNAVAILABLE");
    assert.equal((await user.ask("POST", "/v1/jobs", { ...good, version: "0".repeat(64) })).json.error?.code, "MODEL_NOT_FOUND");
    for (const query of ["wait=26", "wait=-1", "wait=x", "after=done", "other=1"])
      assert.equal((await user.ask("GET", `/v1/jobs/job_0?${query}`)).status, 400, query);
    assert.equal((await user.ask("GET", "/v1/jobs/' OR 1=1 --")).status, 404);
    assert.equal((await user.ask("GET", "/v1/nothing")).json.error?.code, "REQUEST_UNSUPPORTED");
  });
});

describe("pages", () => {
  test("show models, what cuts cost and what was measured, and run nothing", async () => {
    const { creator, nobody } = accounts;
    const evil = "<script>alert(1)</script>";
    const manifest = exampleManifest("pages", await creator.upload(randomBytes(9)), await creator.upload(randomBytes(9)));
    const second = { ...manifest.cuts[0]!, cut: 2, layers: [evil], seconds: null };
    const published = { ...manifest, card: `${evil} **card**`, licence: '"><img src=x>', cuts: [...manifest.cuts, second] };
    await creator.get("POST", "/v1/models/pages/versions", { manifest: published });
    const read = async (path: string): Promise<string> => {
      const response = await nobody.raw("GET", path);
      assert.equal(response.status, 200);
      assert.match(response.headers.get("content-security-policy") ?? "", /^default-src 'none'; style-src 'sha256-/);
      return response.text();
    };
    assert.match(await read("/"), /<a href="\/models\/pages">pages<\/a>/);
    const page = await read("/models/pages");
    assert.ok(!page.includes("<script") && !page.includes("<img src=x"));
    assert.ok(page.includes("&lt;script&gt;alert(1)&lt;/script&gt; **card**"));
    assert.match(page, /PSNR<\/td>\s*<td class="number">21\.3 dB<\/td>\s*<td class="number">13\.5 dB/);
    assert.match(page, /diagnosis<\/td>\s*<td class="number">90 %<\/td>\s*<td class="number">62 %/);
    assert.match(page, /2\.3 MiB/);
    const picture = /<img\s+src="(\/v1\/blobs\/[0-9a-f]{64})"/.exec(page)?.[1] as string;
    const shown = await nobody.raw("GET", picture);
    assert.deepEqual([shown.status, shown.headers.get("content-type")], [200, "image/png"]);
    assert.match(shown.headers.get("content-security-policy") ?? "", /sandbox/);
    // The second cut was not measured, and the page says so beside it.
    assert.match(page.slice(page.indexOf("(cut 2,")), /Leak: not measured/);
    assert.equal((await nobody.raw("GET", "/models/none")).status, 404);
  });
});

describe("limits", () => {
  test("open jobs, jobs of a day, calls and waiting requests of an account", async () => {
    await hub.close();
    await start({ openJobs: 2, jobsPerDay: 3, callsPerAccount: 1, callTakeSeconds: 1, callAnswerSeconds: 0.2, waitsPerAccount: 1 });
    const { user, enclave } = accounts;
    const create = () => user.ask("POST", "/v1/jobs", exampleJob(version, "0".repeat(64), null, randomKey()));
    const [first, second, third] = [await create(), await create(), await create()];
    assert.deepEqual([first.status, second.status, third.status, third.json.error?.code], [201, 201, 429, "QUOTA_EXCEEDED"]);
    assert.equal(third.headers.get("retry-after"), "10");
    for (const { json } of [first, second]) await user.get("POST", `/v1/jobs/${String(json["id"])}/cancel`, {});
    assert.equal((await create()).status, 201);
    const fifth = await create();
    assert.deepEqual([fifth.status, fifth.headers.get("retry-after")], [429, "3600"]);

    const call = { to: { kind: "enclave", key: randomKey() }, method: "evidence", body: {} };
    const calls = await Promise.all([user.ask("POST", "/v1/calls", call), user.ask("POST", "/v1/calls", call)]);
    assert.deepEqual(calls.map(({ status }) => status).toSorted(), [429, 503]);
    assert.equal(calls.find(({ status }) => status === 503)?.json.error?.code, "HOST_UNREACHABLE");
    const ask = (wait: number) => enclave.ask("POST", "/v1/tasks", { keys: [randomKey()], wait });
    const waiting = ask(20);
    while ((await ask(0)).status !== 429) await sleep(20);
    const asked = user.ask("POST", "/v1/calls", { ...call, to: { kind: "enclave", key: null } });
    assert.equal((await waiting).status, 200);
    // Taken, and not answered.
    assert.deepEqual([(await asked).status, (await asked).json.error?.code], [504, "HOST_TIMEOUT"]);
  });

  test("requests of an account, and of an address without one", async () => {
    await hub.close();
    await start({ accountBurst: 4, accountPerSecond: 0.01, addressBurst: 3, addressPerSecond: 0.01 });
    const { user, nobody, stranger } = accounts;
    const statuses = async (asker: Asker): Promise<number[]> => {
      const given = [];
      for (let time = 0; time < 5; time++) given.push((await asker.ask("GET", "/v1/models")).status);
      return given;
    };
    assert.deepEqual(await statuses(user), [200, 200, 200, 200, 429]);
    assert.deepEqual(await statuses(nobody), [200, 200, 200, 429, 429]);
    assert.equal((await stranger.ask("GET", "/v1/models")).status, 200);
    const refused = await nobody.ask("GET", "/");
    assert.deepEqual([refused.status, refused.headers.get("retry-after"), refused.json.error?.code], [429, "100", "QUOTA_EXCEEDED"]);
    assert.equal((await nobody.ask("GET", "/health")).status, 200);
  });
});
