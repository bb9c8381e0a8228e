/**
 * The command line from outside: `--json`, exit codes, environment variables, and every command's round trip.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ask, onlyObject, PROGRAM, runCommand, STORY_LLAMA, temporaryDirectory } from "./command-line.ts";
import { writeRandomLlama } from "./random-llama.ts";

const home = temporaryDirectory("cli");
const here = { home };
const at = (name: string): string => join(home, name);
const TEXT = "Once upon a time, a little dog found a red ball.";

interface Encrypted {
  output: string;
  fingerprint: string;
  strength: string;
  bundle: string;
  fidelity: { maxLogitDifference: number; meanKl: number; greedyAgreement: number } | null;
}
interface Ids {
  plain: number[];
  cipher: number[];
  text?: string | null;
}

describe("keys", () => {
  test("new, list, show, export, import and rm tell one story", async () => {
    const made = await ask<{ id: string; name: string }>(["key", "new", "work"], here);
    assert.match(made.id, /^[0-9a-f]{16}$/);
    const listed = await ask<{ keys: { id: string; name: string; protection: string }[] }>(["key", "list"], here);
    assert.deepEqual(
      listed.keys.map(({ id, name }) => ({ id, name })),
      [{ id: made.id, name: "work" }],
    );
    assert.equal((await ask(["key", "show", "work"], here))["id"], made.id);

    const file = at("work.age");
    await ask(["key", "export", "work", file], { home, environment: { UNSEEN_NEW_PASSPHRASE: "correct horse battery" } });
    assert.match(readFileSync(file, "utf8"), /^-----BEGIN AGE ENCRYPTED FILE-----/);
    assert.equal(statSync(file).mode & 0o077, 0, "an exported key is its owner's alone");
    await ask(["key", "rm", "work"], here);
    assert.deepEqual((await ask<{ keys: object[] }>(["key", "list"], here)).keys, []);

    const back = await ask(["key", "import", file, "--name", "again"], {
      home,
      environment: { UNSEEN_PASSPHRASE: "correct horse battery" },
    });
    assert.deepEqual(back, { id: made.id, name: "again" });
  });

  test("no file of the keyring can be read by others, and none holds the secret in clear", () => {
    const directory = at("keys");
    assert.equal(statSync(directory).mode & 0o077, 0);
    for (const name of readdirSync(directory)) {
      assert.equal(statSync(join(directory, name)).mode & 0o077, 0, name);
      assert.doesNotMatch(readFileSync(join(directory, name), "latin1"), /"secret"/, name);
    }
  });
});

describe("encrypt, verify, rekey", () => {
  const cases = [
    { strength: "permute", format: "safetensors", out: "permuted", measured: true },
    { strength: "rotate", format: "safetensors", out: "rotated", measured: false },
    { strength: "permute", format: "gguf", out: "permuted.gguf", measured: false },
    { strength: "rotate", format: "gguf", out: "rotated.gguf", measured: true },
  ] as const;
  for (const { strength, format, out, measured } of cases) {
    test(`${strength} as ${format}`, async () => {
      const flags = ["--out", at(out), "--strength", strength, "--format", format, "--name", out, ...(measured ? [] : ["--no-measure"])];
      const result = await ask<Encrypted>(["encrypt", STORY_LLAMA, ...flags], here);
      assert.equal(result.strength, strength);
      assert.match(result.fingerprint, /^[0-9a-f]{32}$/);
      assert.equal(result.bundle, out);
      assert.equal(result.fidelity !== null, measured);
      if (result.fidelity) assert.ok(result.fidelity.greedyAgreement > 0.95 && result.fidelity.meanKl < 1e-3);
      if (result.fidelity && strength === "permute")
        assert.ok(result.fidelity.maxLogitDifference < 1e-9, "permuted weights are the same numbers");
      const files = format === "gguf" ? [] : readdirSync(at(out)).toSorted();
      if (format === "safetensors")
        assert.deepEqual(files, ["README.md", "config.json", "generation_config.json", "model.safetensors", "unseen.json"]);
      assert.equal(existsSync(`${at(out)}.partial`), false);
    });
  }

  test("a larger number format keeps rotated weights as exact as float32 is", async () => {
    await ask<Encrypted>(["encrypt", STORY_LLAMA, "--out", at("exact"), "--precision", "f32", "--name", "exact", "--no-measure"], here);
    const figures = await ask<{ maxLogitDifference: number }>(["verify", STORY_LLAMA, at("exact"), "--tokens", "32"], here);
    assert.ok(figures.maxLogitDifference <= 1e-4, `${figures.maxLogitDifference}`);
  });

  test("two forms of one model have two fingerprints, so that none is taken for the other", async () => {
    const { models } = await ask<{ models: { fingerprint: string }[] }>(["list"], here);
    assert.equal(new Set(models.map(({ fingerprint }) => fingerprint)).size, cases.length + 1);
  });

  test("verify compares logits, over prompts of a file too", async () => {
    const prompts = at("prompts.txt");
    writeFileSync(prompts, "The cat sat down.\n\nA boat on the river.\n");
    const figures = await ask<{ greedyAgreement: number; tokens: number; maxLogitDifference: number; meanKl: number }>(
      ["verify", STORY_LLAMA, at("exact"), "--key", "default", "--prompts", prompts, "--tokens", "12"],
      here,
    );
    assert.equal(figures.greedyAgreement, 1);
    assert.ok(figures.tokens > 4 && figures.tokens <= 12);
    assert.ok(figures.maxLogitDifference <= 1e-4 && figures.meanKl < 1e-8);
  });

  test("verify says no to a model that is not the original's encryption", async () => {
    const other = at("other");
    writeRandomLlama(other, {
      hidden: 256,
      heads: 8,
      kvHeads: 4,
      neurons: 688,
      layers: 1,
      vocabulary: 4096,
      format: "BF16",
      config: { max_position_embeddings: 512 },
    });
    const outcome = await runCommand(["verify", other, at("exact"), "--tokens", "16", "--json"], here);
    assert.equal(outcome.code, 1);
    assert.ok(onlyObject<{ greedyAgreement: number }>(outcome.stdout).greedyAgreement < 0.5);
    assert.match(outcome.stderr, /do not compute the same/);
  });

  test("rekey moves a model to another key, and its bundle along", async () => {
    const result = await ask<Encrypted & { key: string }>(
      ["rekey", at("exact"), "--from", "default", "--to", "again", "--out", at("moved"), "--name", "moved"],
      here,
    );
    assert.equal(result.key, (await ask(["key", "show", "again"], here))["id"]);
    const figures = await ask<{ greedyAgreement: number; maxLogitDifference: number }>(
      ["verify", STORY_LLAMA, at("moved"), "--key", "again", "--tokens", "24"],
      here,
    );
    assert.ok(figures.greedyAgreement === 1 && figures.maxLogitDifference <= 2e-4, JSON.stringify(figures));
    const [before, after] = [
      await ask<Ids>(["encode", "--model", "exact", TEXT], here),
      await ask<Ids>(["encode", "--model", "moved", TEXT], here),
    ];
    assert.deepEqual(after.plain, before.plain);
    assert.notDeepEqual(after.cipher, before.cipher);
    const wrong = await runCommand(["verify", STORY_LLAMA, at("moved"), "--key", "default"], here);
    assert.equal(wrong.code, 1);
  });

  test("list shows every model that can be talked to", async () => {
    const { models } = await ask<{ models: { name: string }[] }>(["list"], here);
    assert.deepEqual(models.map(({ name }) => name).toSorted(), ["exact", "moved", "permuted", "permuted.gguf", "rotated", "rotated.gguf"]);
  });
});

describe("encode and decode", () => {
  test("are each other's inverse, for text and for ids", async () => {
    const encoded = await ask<Ids>(["encode", "--model", "rotated", TEXT], here);
    assert.equal(encoded.plain.length, encoded.cipher.length);
    assert.notDeepEqual(encoded.plain, encoded.cipher);
    const decoded = await ask<Ids>(["decode", "--model", "rotated", "--ids", encoded.cipher.join(",")], here);
    assert.deepEqual(decoded.plain, encoded.plain);
    assert.equal(decoded.text, `<|bos|>${TEXT}`);
    assert.deepEqual(await ask<Ids>(["encode", "--model", "rotated", "--ids", encoded.plain.join(",")], here), encoded);
    assert.equal(
      (await ask<Ids>(["encode", "--model", "rotated", "--no-special-tokens", TEXT], here)).plain.length,
      encoded.plain.length - 1,
    );
  });

  test("need no tokenizer when given ids", async () => {
    const directory = at("no-tokenizer");
    writeRandomLlama(directory);
    await ask(["encrypt", directory, "--out", at("ids-only"), "--name", "ids-only"], here);
    const encoded = await ask<Ids>(["encode", "--model", "ids-only", "--ids", "1,2,63"], here);
    assert.equal(new Set(encoded.cipher).size, 3);
    assert.deepEqual(await ask<Ids>(["decode", "--model", "ids-only", "--ids", encoded.cipher.join(",")], here), {
      cipher: encoded.cipher,
      plain: [1, 2, 63],
      text: null,
    });
    const refused: string[][] = [
      ["encode", "--model", "ids-only", "a text"],
      ["encode", "--model", "ids-only", "--ids", "1,64"],
      ["decode", "--model", "ids-only", "--ids", "1,x"],
    ];
    for (const wrong of refused) {
      const outcome = await runCommand(wrong, here);
      assert.equal(outcome.code, 1, wrong.join(" "));
      assert.equal(outcome.stderr.trim().split("\n").length, 1);
    }
  });
});

describe("every command", () => {
  test("prints one object with --json, also when it fails", async () => {
    const nowhere = ["--host", "http://127.0.0.1:9"];
    const commands: string[][] = [
      ["key", "show", "nobody"],
      ["encrypt", at("nothing")],
      ["decode", "--model", "nobody", "--ids", "1"],
      ["verify", "a", "b"],
      ["serve", at("nothing")],
      ["chat", ...nowhere],
      ["gateway", ...nowhere],
    ];
    const outcomes = await Promise.all(commands.map((command) => runCommand([...command, "--json"], here)));
    for (const [index, outcome] of outcomes.entries()) {
      const name = (commands[index] as string[]).join(" ");
      assert.equal(outcome.code, 1, name);
      const { error } = onlyObject<{ error: { code: string; message: string } }>(outcome.stdout);
      assert.match(error.code, /^[A-Z_]+$/, name);
      assert.match(outcome.stderr, /^unseen: [^\n]+\n$/, name);
    }
  });

  test("refuses what it does not know, with a non-zero exit", async () => {
    const commands: string[][] = [
      ["encrpyt"],
      ["encrypt"],
      ["encrypt", "x", "--strength", "strong"],
      ["serve", "x", "--port", "99999"],
      ["key", "new", "a b"],
    ];
    for (const command of commands) {
      const outcome = await runCommand([...command, "--json"], here);
      assert.notEqual(outcome.code, 0, command.join(" "));
      assert.equal(onlyObject<{ error: { code: string } }>(outcome.stdout).error.code, "USAGE", command.join(" "));
    }
  });

  test("takes its flags from the environment, and a flag wins", async () => {
    const environment = { UNSEEN_MODEL: "rotated", UNSEEN_JSON: "1" };
    const encoded = await runCommand(["encode", TEXT], { home, environment });
    assert.equal(encoded.code, 0, encoded.stderr);
    const named = await ask<Ids>(["encode", "--model", "rotated", TEXT], here);
    assert.deepEqual(onlyObject<Ids>(encoded.stdout), named);
    const flagged = await runCommand(["encode", TEXT, "--model", "moved"], { home, environment });
    assert.notDeepEqual(onlyObject<Ids>(flagged.stdout).cipher, named.cipher);
    const out = at("from-environment");
    await ask(["encrypt", STORY_LLAMA], {
      home,
      environment: { UNSEEN_OUT: out, UNSEEN_STRENGTH: "permute", UNSEEN_KEY: "again", UNSEEN_NO_MEASURE: "1", UNSEEN_THREADS: "1" },
    });
    assert.equal((JSON.parse(readFileSync(join(out, "unseen.json"), "utf8")) as { strength: string }).strength, "permute");
  });

  test("writes nothing outside UNSEEN_HOME and --out", async () => {
    const [away, elsewhere] = [temporaryDirectory("home"), temporaryDirectory("elsewhere")];
    await ask(["encrypt", STORY_LLAMA, "--out", join(away, "out"), "--no-measure"], {
      home: join(away, "keyring"),
      cwd: elsewhere,
      environment: { HOME: elsewhere },
    });
    assert.deepEqual(readdirSync(elsewhere), []);
    assert.deepEqual(readdirSync(away).toSorted(), ["keyring", "out"]);
    assert.equal(
      readdirSync(STORY_LLAMA).some((name) => name.includes("unseen")),
      false,
    );
  });

  test("--version and --help exit with 0", async () => {
    const version = await runCommand(["--version"], here);
    assert.deepEqual(
      [version.code, version.stdout],
      [
        0,
        `${(JSON.parse(readFileSync(fileURLToPath(new URL("../packages/unseen/package.json", import.meta.url)), "utf8")) as { version: string }).version}\n`,
      ],
    );
    assert.equal((await runCommand(["encrypt", "--help"], here)).code, 0);
  });
});

describe("the program", () => {
  /** A Node on this machine beside the pinned one; older in general. */
  let other: string | null = null;
  before(() => {
    const found = (process.env["PATH"] ?? "")
      .split(":")
      .map((directory) => join(directory, "node"))
      .filter((path) => existsSync(path) && !path.includes("node_modules"));
    other = found[0] ?? null;
  });

  test("runs under the pinned Node, whichever Node starts it", async (context) => {
    if (!other) return context.skip("no other Node on PATH");
    const version = execFileSync(other, ["--version"], { encoding: "utf8" }).trim();
    context.diagnostic(`started by Node ${version}, the tests run under ${process.version}`);
    const encoded = await runCommand(["encode", "--model", "rotated", "--ids", "1,2,3", "--json"], { home, node: other });
    assert.equal(encoded.code, 0, encoded.stderr);
    assert.equal(onlyObject<Ids>(encoded.stdout).plain.length, 3);
    const failed = await runCommand(["key", "show", "nobody"], { home, node: other });
    assert.equal(failed.code, 1, "the exit code comes through");
  });

  test("is what npx finds in the clone", () => {
    const link = fileURLToPath(new URL("../node_modules/.bin/unseen", import.meta.url));
    assert.equal(readFileSync(link, "utf8"), readFileSync(PROGRAM, "utf8"));
    assert.match(readFileSync(PROGRAM, "utf8"), /^#!\/usr\/bin\/env node\n/);
  });
});
