import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { UnseenError } from "@unseen/core/errors.ts";
import { type Home, resolveHome } from "./home.ts";
import { pullModel, type PullOptions, type PullProgress } from "./pull.ts";
import { StandInHub } from "./stand-in-hub.ts";

const root = await mkdtemp(join(tmpdir(), "unseen-pull-"));
after(() => rm(root, { recursive: true }));

const name = "acme/story-1";
const weights = randomBytes(1_000_000);
const files = {
  "config.json": '{"model_type":"llama"}',
  "tokenizer.json": "{}",
  "model.safetensors": weights,
  "README.md": "# Story",
  LICENSE: "Apache",
};
let homes = 0;
const newHome = (): Home => resolveHome({ UNSEEN_HOME: join(root, String(homes++)) });
const settings = (hub: StandInHub, more: PullOptions = {}): PullOptions => ({ endpoint: hub.url, token: "", retryDelay: 1, ...more });

test("a pull brings the model's files, whole, and says how far it is", async () => {
  await using hub = await new StandInHub(name, files).start();
  const [home, progress] = [newHome(), [] as PullProgress[]];
  const result = await pullModel(home, name, settings(hub, { onProgress: (step) => progress.push(step) }));
  assert.deepEqual([result.directory, result.commit, result.changed], [join(home.models, "acme", "story-1"), hub.commit, true]);
  for (const [path, content] of Object.entries(files))
    assert.ok((await readFile(join(result.directory, path))).equals(Buffer.from(content as string)), path);
  assert.deepEqual(await readdir(join(home.models, "acme")), ["story-1"], "nothing half-done is left");
  assert.equal(progress.at(-1)?.bytes, result.bytes);
  assert.equal(progress.at(-1)?.totalBytes, result.bytes);
  assert.ok(progress.every((step, index) => index === 0 || step.bytes >= progress[index - 1]!.bytes));

  const before = hub.requests.length;
  assert.equal((await pullModel(home, name, settings(hub))).changed, false);
  assert.equal(hub.requests.length, before, "the second time nothing is fetched");
});

test("only the kinds of files that make a model come along: no code, no pickles, no second copy, nothing from elsewhere", async () => {
  const others = {
    "modeling.py": "import os",
    "pytorch_model.bin": "x",
    "consolidated.safetensors": "x",
    "original/params.json": "{}",
    "run.sh": "x",
    "image.png": "x",
    ".gitattributes": "x",
    "model-q8_0.gguf": "x",
  };
  await using hub = await new StandInHub(name, { ...files, ...others }).start();
  hub.extraPaths.push("../../evil.json", "/etc/config.json", "a/../config.json", "..", "config.json\0.safetensors", "sub\\config.json");
  const { directory } = await pullModel(newHome(), name, settings(hub));
  assert.deepEqual((await readdir(directory)).toSorted(), [".unseen-pull.json", ...Object.keys(files)].toSorted());
});

test("GGUF repositories: the only file, or the one that was named", async () => {
  await using hub = await new StandInHub(name, { "a-q4.gguf": "four", "a-q8.gguf": "eight", "README.md": "" }).start();
  await assert.rejects(pullModel(newHome(), name, settings(hub)), hasCode("USAGE", /a-q4\.gguf, a-q8\.gguf/));
  await assert.rejects(pullModel(newHome(), name, settings(hub, { file: "a-q5.gguf" })), hasCode("DOWNLOAD_FAILED", /a-q5/));
  const { directory } = await pullModel(newHome(), name, settings(hub, { file: "a-q8.gguf" }));
  assert.deepEqual((await readdir(directory)).toSorted(), [".unseen-pull.json", "README.md", "a-q8.gguf"].toSorted());
  hub.files.delete("a-q4.gguf");
  assert.ok((await pullModel(newHome(), name, settings(hub))).files.includes("a-q8.gguf"));
  hub.files.delete("a-q8.gguf");
  await assert.rejects(pullModel(newHome(), name, settings(hub)), hasCode("DOWNLOAD_FAILED", /safetensors or GGUF/));
});

test("the token goes to the hub and never to the store that it redirects to", async () => {
  await using hub = await new StandInHub(name, files).start();
  hub.token = "hf_secret";
  await pullModel(newHome(), name, settings(hub, { token: "hf_secret" }));
  const seen = (origin: string): unknown[] =>
    hub.requests.filter((request) => request.origin === origin).map((request) => request.authorization);
  assert.ok(seen("hub").length > 0 && seen("hub").every((value) => value === "Bearer hf_secret"));
  assert.deepEqual(seen("store"), [undefined]);
  await assert.rejects(pullModel(newHome(), name, settings(hub)), hasCode("UNAUTHORIZED", /set HF_TOKEN/));
  await assert.rejects(pullModel(newHome(), name, settings(hub, { token: "wrong" })), hasCode("UNAUTHORIZED", /Check HF_TOKEN/));
  await assert.rejects(
    pullModel(newHome(), name, { endpoint: "http://hub.example", token: "hf_secret" }),
    hasCode("USAGE", /expected https/),
  );
});

test("broken connections and a server's troubles are overcome, going on inside the file", async () => {
  await using hub = await new StandInHub(name, files).start();
  hub.trouble.set("model.safetensors", { cut: { after: 200_000, times: 3 } });
  hub.trouble.set("config.json", { status: { code: 500, times: 2 } });
  const { directory } = await pullModel(newHome(), name, settings(hub));
  assert.ok((await readFile(join(directory, "model.safetensors"))).equals(weights));
  const ranges = hub.requests
    .filter((request) => request.path === "model.safetensors" && request.origin === "store")
    .map((request) => request.range);
  assert.equal(ranges[0], undefined);
  assert.equal(ranges.length, 4);
  const starts = ranges.slice(1).map((range) => Number(/^bytes=(\d+)-$/.exec(range!)![1]));
  assert.ok(
    starts.every((start, index) => start > (starts[index - 1] ?? 0)),
    String(starts),
  );
});

test("a server that cannot resume is read from the start", async () => {
  await using hub = await new StandInHub(name, files).start();
  hub.trouble.set("model.safetensors", { cut: { after: 200_000, times: 1 }, ignoreRange: true });
  const { directory } = await pullModel(newHome(), name, settings(hub));
  assert.ok((await readFile(join(directory, "model.safetensors"))).equals(weights));
});

test("a server that stays broken, goes silent or is gone ends in one clear line, and leaves no model", async () => {
  const home = newHome();
  {
    await using hub = await new StandInHub(name, files).start();
    hub.trouble.set("model.safetensors", { status: { code: 503, times: 1000 } });
    await assert.rejects(pullModel(home, name, settings(hub)), hasCode("DOWNLOAD_FAILED", /status 503.*goes on where it stopped/));
    hub.trouble.set("model.safetensors", { hang: 0 });
    await assert.rejects(pullModel(home, name, settings(hub, { silence: 50 })), hasCode("DOWNLOAD_FAILED", /stopped sending/));
    assert.deepEqual(await readdir(join(home.models, "acme")), [".story-1.partial"]);
    hub.trouble.clear();
    await assert.rejects(pullModel(home, `${name}@nowhere`, settings(hub)), hasCode("DOWNLOAD_FAILED", /404.*--revision/));
    await assert.rejects(pullModel(home, "acme/other", settings(hub)), hasCode("DOWNLOAD_FAILED", /acme\/other.*404/));
  }
  const gone = { endpoint: "http://127.0.0.1:9", token: "", retryDelay: 1 };
  await assert.rejects(pullModel(home, name, gone), hasCode("DOWNLOAD_FAILED", /127\.0\.0\.1:9.*failures/));
});

test("content that is not what the hub states is thrown away", async () => {
  for (const path of ["model.safetensors", "config.json"]) {
    await using hub = await new StandInHub(name, files).start();
    const home = newHome();
    hub.trouble.set(path, { corrupt: true });
    await assert.rejects(pullModel(home, name, settings(hub)), hasCode("DOWNLOAD_FAILED", /do not trust/));
    const left = await readdir(join(home.models, "acme", ".story-1.partial"));
    assert.ok(!left.some((entry) => entry.startsWith(path)), String(left));
    hub.trouble.set(path, { overlong: true });
    await assert.rejects(pullModel(home, name, settings(hub)), hasCode("DOWNLOAD_FAILED", /got more/));
    hub.trouble.clear();
    assert.equal((await pullModel(home, name, settings(hub))).changed, true);
  }
});

test("a damaged remainder of an earlier attempt costs a fresh start, not a failure", async () => {
  await using hub = await new StandInHub(name, files).start();
  const home = newHome();
  hub.trouble.set("model.safetensors", { status: { code: 500, times: 6 } });
  await assert.rejects(pullModel(home, name, settings(hub)), hasCode("DOWNLOAD_FAILED", /500/));
  const part = join(home.models, "acme", ".story-1.partial", "model.safetensors.part");
  for (const damage of [Buffer.alloc(1000), Buffer.alloc(weights.length), Buffer.alloc(weights.length + 5)]) {
    await writeFile(part, damage);
    const { directory } = await pullModel(home, name, settings(hub));
    assert.ok((await readFile(join(directory, "model.safetensors"))).equals(weights));
    await rm(join(home.models, "acme"), { recursive: true });
    hub.trouble.set("model.safetensors", { status: { code: 500, times: 6 } });
    await assert.rejects(pullModel(home, name, settings(hub)), hasCode("DOWNLOAD_FAILED", /500/));
  }
});

test("killed in the middle, a pull leaves no model, and the next one fetches only the rest", async () => {
  await using hub = await new StandInHub(name, files).start();
  const home = newHome();
  hub.trouble.set("model.safetensors", { hang: 300_000 });
  const script = `import { pullModel } from ${JSON.stringify(new URL("pull.ts", import.meta.url).href)};
    import { resolveHome } from ${JSON.stringify(new URL("home.ts", import.meta.url).href)};
    await pullModel(resolveHome(), ${JSON.stringify(name)});`;
  const environment = { ...process.env, UNSEEN_HOME: home.root, HF_ENDPOINT: hub.url, HF_TOKEN: "" };
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], { env: environment, stdio: "ignore" });
  const part = join(home.models, "acme", ".story-1.partial", "model.safetensors.part");
  const bytes = (): Promise<number> =>
    stat(part).then(
      ({ size }) => size,
      () => 0,
    );
  for (let tries = 0; (await bytes()) < 300_000 && tries < 3000; tries++) await wait(10);
  await assert.rejects(pullModel(home, name, settings(hub)), hasCode("USAGE", /one pull at a time/));
  child.kill("SIGKILL");
  await once(child, "exit");
  const kept = await bytes();
  assert.equal(kept, 300_000);
  assert.deepEqual(await readdir(join(home.models, "acme")), [".story-1.partial"]);

  hub.trouble.clear();
  hub.requests.length = 0;
  const { directory } = await pullModel(home, name, settings(hub));
  assert.ok((await readFile(join(directory, "model.safetensors"))).equals(weights));
  assert.deepEqual(
    hub.requests.filter((request) => request.origin === "store").map((request) => request.range),
    [`bytes=${kept}-`],
  );
  assert.ok(!hub.requests.some((request) => request.path === "config.json"), "finished files are not fetched again");
});

test("when the branch moves on, what did not change is kept and the old model is replaced at once", async () => {
  await using hub = await new StandInHub(name, files).start();
  const home = newHome();
  const first = await pullModel(home, name, settings(hub));
  hub.commit = "b".repeat(40);
  hub.files.set("config.json", Buffer.from('{"model_type":"llama","v":2}'));
  hub.trouble.set("README.md", { status: { code: 500, times: 6 } });
  await assert.rejects(pullModel(home, name, settings(hub)), hasCode("DOWNLOAD_FAILED", /500/));
  assert.equal(await readFile(join(first.directory, "config.json"), "utf8"), files["config.json"], "the old model is untouched");
  hub.files.set("README.md", Buffer.from("# Story 2"));
  hub.commit = "c".repeat(40);
  hub.requests.length = 0;
  hub.trouble.clear();
  await pullModel(home, name, settings(hub));
  assert.equal(await readFile(join(first.directory, "README.md"), "utf8"), "# Story 2");
  assert.match(await readFile(join(first.directory, "config.json"), "utf8"), /"v":2/);
  assert.ok(!hub.requests.some((request) => request.path === "config.json"), "fetched for commit b and unchanged in c");
  assert.deepEqual(await readdir(join(home.models, "acme")), ["story-1"]);
});

test("a mirror without the tree interface works by the names and the linked digests", async () => {
  await using hub = await new StandInHub(name, files).start();
  hub.treeless = true;
  const { directory } = await pullModel(newHome(), name, settings(hub));
  assert.ok((await readFile(join(directory, "model.safetensors"))).equals(weights));
  hub.trouble.set("model.safetensors", { corrupt: true });
  await assert.rejects(pullModel(newHome(), name, settings(hub)), hasCode("DOWNLOAD_FAILED", /SHA-256/));
});

test("the caller can stop a pull", async () => {
  await using hub = await new StandInHub(name, files).start();
  hub.trouble.set("model.safetensors", { slow: 20 });
  const controller = new AbortController();
  const pulling = pullModel(
    newHome(),
    name,
    settings(hub, { signal: controller.signal, onProgress: ({ bytes }) => bytes > 100_000 && controller.abort() }),
  );
  await assert.rejects(pulling, { name: "AbortError" });
});

test("names that lead elsewhere are refused before anything is asked", async () => {
  for (const bad of ["story", "../x", "a/..", "a/b/c", "a/b@../../x", "a/b@", "a b/c", "/a/b", "https://x/y", ".a/b", "a/.b", "a/b..c"]) {
    await assert.rejects(pullModel(newHome(), bad, { endpoint: "http://127.0.0.1:9", retryDelay: 1 }), hasCode("USAGE", /ORG\/NAME/), bad);
  }
  for (const endpoint of ["ftp://x", "nonsense", "file:///etc"])
    await assert.rejects(pullModel(newHome(), name, { endpoint }), hasCode("USAGE", /HF_ENDPOINT/));
});

function hasCode(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => UnseenError.isInstance(error) && error.code === code && message.test(error.line);
}
