/**
 * Everything that can be wrong with what a user gives: one line that says what and what to do, exit code 1,
 * nothing half-made left behind, nothing that was there before lost.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { layoutGguf, type GgufValue } from "@unseen/core/checkpoint/gguf.ts";
import type { ErrorCode } from "@unseen/core/errors.ts";
import { ask, onlyObject, runCommand, temporaryDirectory, type Outcome, type Surroundings } from "./command-line.ts";
import { writeRandomLlama, type RandomLlama } from "./random-llama.ts";

const home = temporaryDirectory("bad-input");
const at = (name: string): string => join(home, name);

/** Asserts the one line, its code and its hint. */
function refused(outcome: Outcome, code: ErrorCode, what: RegExp): void {
  assert.equal(outcome.code, 1, `exit code 1: ${outcome.stderr}`);
  assert.match(outcome.stderr, /^unseen: [^\n]+\n$/, "one line on stderr");
  const { error } = onlyObject<{ error: { code: string; message: string; hint?: string } }>(outcome.stdout);
  assert.equal(error.code, code, error.message);
  assert.match(outcome.stderr, what);
  assert.ok(error.hint, `says what to do: ${error.message}`);
  assert.doesNotMatch(outcome.stderr, /\bat file:|\.ts:\d+|\[object|undefined|NaN\b.*NaN/, "no stack, no internals");
}

const encrypt = (source: string, output: string, surroundings: Partial<Surroundings> = {}, ...flags: string[]) =>
  runCommand(["encrypt", source, "--out", output, "--no-measure", "--json", ...flags], { home, ...surroundings });

before(async () => {
  await ask(["key", "new"], { home });
  await ask(["key", "new", "second"], { home });
  writeRandomLlama(at("good"));
  await ask(["encrypt", at("good"), "--out", at("sealed"), "--no-measure"], { home });
});

describe("checkpoints", () => {
  interface Case {
    readonly name: string;
    readonly model?: RandomLlama;
    readonly damage?: (directory: string) => void;
    readonly code: ErrorCode;
    readonly what: RegExp;
  }
  const weights = "model.safetensors";
  const editConfig = (directory: string, change: (config: Record<string, unknown>) => void): void => {
    const config = JSON.parse(readFileSync(join(directory, "config.json"), "utf8")) as Record<string, unknown>;
    change(config);
    writeFileSync(join(directory, "config.json"), JSON.stringify(config));
  };
  const cases: Case[] = [
    { name: "nothing there", damage: (path) => rmSync(path, { recursive: true }), code: "CHECKPOINT_NOT_FOUND", what: /does not exist/ },
    { name: "no weights", damage: (path) => rmSync(join(path, weights)), code: "CHECKPOINT_NOT_FOUND", what: /safetensors/ },
    { name: "no config", damage: (path) => rmSync(join(path, "config.json")), code: "CHECKPOINT_NOT_FOUND", what: /config\.json/ },
    {
      name: "missing shard",
      model: { maximumShardBytes: 20_000 },
      damage: (path) => rmSync(join(path, readdirSync(path).find((name) => /00002-of/.test(name)) as string)),
      code: "CHECKPOINT_MISSING_SHARD",
      what: /00002-of/,
    },
    {
      name: "truncated",
      damage: (path) => truncateSync(join(path, weights), statSync(join(path, weights)).size - 100),
      code: "CHECKPOINT_TRUNCATED",
      what: /model\.safetensors/,
    },
    {
      name: "empty file",
      damage: (path) => truncateSync(join(path, weights), 0),
      code: "CHECKPOINT_TRUNCATED",
      what: /model\.safetensors/,
    },
    {
      name: "not safetensors at all",
      damage: (path) => writeFileSync(join(path, weights), "<!DOCTYPE html><title>404</title>".repeat(20)),
      code: "CHECKPOINT_TOO_LARGE",
      what: /model\.safetensors/,
    },
    {
      name: "NaN weight",
      model: { plant: { tensor: "model.layers.1.mlp.up_proj.weight", value: Number.NaN } },
      code: "CHECKPOINT_NON_FINITE",
      what: /layers\.1\.mlp\.up_proj/,
    },
    {
      name: "infinite weight",
      model: { plant: { tensor: "model.norm.weight", value: Infinity } },
      code: "CHECKPOINT_NON_FINITE",
      what: /model\.norm/,
    },
    { name: "unknown family", model: { config: { model_type: "mamba" } }, code: "FAMILY_UNKNOWN", what: /mamba/ },
    { name: "unknown field", model: { config: { flux_capacitor: 1.21 } }, code: "FAMILY_UNKNOWN_FIELD", what: /flux_capacitor/ },
    { name: "unsupported value", model: { config: { hidden_act: "relu6" } }, code: "FAMILY_UNSUPPORTED_VALUE", what: /hidden_act.*relu6/ },
    {
      name: "unknown tensor",
      model: { extra: { "model.layers.0.self_attn.sinks": [4] } },
      code: "FAMILY_UNKNOWN_TENSOR",
      what: /self_attn\.sinks/,
    },
    {
      name: "wrong shape",
      damage: (path) => editConfig(path, (config) => (config["intermediate_size"] = 64)),
      code: "CHECKPOINT_WRONG_SHAPE",
      what: /mlp\.(?:gate|up|down)_proj/,
    },
    {
      name: "missing tensor",
      damage: (path) => editConfig(path, (config) => (config["num_hidden_layers"] = 3)),
      code: "CHECKPOINT_MISSING_TENSOR",
      what: /layers\.2\./,
    },
    { name: "id outside the vocabulary", model: { config: { eos_token_id: 64 } }, code: "TOKEN_OUT_OF_RANGE", what: /64/ },
    {
      name: "config is no JSON",
      damage: (path) => writeFileSync(join(path, "config.json"), "{"),
      code: "CHECKPOINT_MALFORMED",
      what: /config\.json/,
    },
  ];
  for (const { name, model, damage, code, what } of cases) {
    test(`${name}: ${code}`, async () => {
      const [source, output] = [at(`bad ${name}`), at(`bad ${name} out`)];
      writeRandomLlama(source, model);
      damage?.(source);
      refused(await encrypt(source, output), code, what);
      assert.deepEqual(
        readdirSync(home).filter((entry) => entry.startsWith(`bad ${name} out`)),
        [],
        "nothing half-made is left",
      );
    });
  }

  test("a quantised GGUF: which tensor, and where to start instead", async () => {
    const u32 = (value: number): GgufValue => ({ type: "u32", value });
    const metadata = new Map<string, GgufValue>([
      ["general.architecture", { type: "string", value: "llama" }],
      ...Object.entries({
        block_count: 1,
        context_length: 128,
        embedding_length: 256,
        feed_forward_length: 256,
        "attention.head_count": 4,
        "attention.head_count_kv": 4,
        "rope.dimension_count": 64,
        vocab_size: 256,
      }).map(([key, value]): [string, GgufValue] => [`llama.${key}`, u32(value)]),
      ["llama.attention.layer_norm_rms_epsilon", { type: "f32", value: 1e-5 }],
    ]);
    const matrices = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"].map((name) => ({
      name: `blk.0.${name}.weight`,
      format: "GGML_Q4_K" as const,
      shape: [256, 256],
    }));
    const vectors = ["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"].map((name) => ({
      name: `${name}.weight`,
      format: "F32" as const,
      shape: [256],
    }));
    const layout = layoutGguf(metadata, [{ name: "token_embd.weight", format: "GGML_Q4_K", shape: [256, 256] }, ...vectors, ...matrices]);
    const bytes = Buffer.alloc(layout.bytes);
    bytes.set(layout.header);
    writeFileSync(at("quantised.gguf"), bytes);
    refused(await encrypt(at("quantised.gguf"), at("quantised-out.gguf")), "CHECKPOINT_DTYPE_UNSUPPORTED", /Q4_K.*(?:F16|BF16|Q8_0)/);
  });
});

describe("outputs", () => {
  test("that exist are not touched", async () => {
    mkdirSync(at("taken"));
    writeFileSync(join(at("taken"), "thesis.txt"), "years of work");
    refused(await encrypt(at("good"), at("taken")), "OUTPUT_EXISTS", /taken.*already exists/);
    assert.equal(readFileSync(join(at("taken"), "thesis.txt"), "utf8"), "years of work");
    writeFileSync(at("taken.gguf"), "years of work");
    refused(await encrypt(at("good"), at("taken.gguf")), "OUTPUT_EXISTS", /taken\.gguf.*already exists/);
    assert.equal(readFileSync(at("taken.gguf"), "utf8"), "years of work");
  });

  test("below a file are refused", async () => {
    writeFileSync(at("file"), "");
    refused(await encrypt(at("good"), join(at("file"), "out")), "OUTPUT_EXISTS", /file/);
  });

  test("inside the keyring are refused: they are for uploading", async () => {
    refused(await encrypt(at("good"), join(home, "keys", "out")), "USAGE", /keyring/);
    refused(await encrypt(at("good"), join(home, "bundles", "out")), "USAGE", /keyring/);
  });

  test("of an encrypted model are refused, with the command that is right", async () => {
    refused(await encrypt(at("sealed"), at("twice")), "USAGE", /encrypted already.*rekey/);
  });

  test("on a disk that is too small: refused before the work starts", async (context) => {
    const disk = mountSmallDisk("small", 64 << 10);
    if (!disk) return context.skip("cannot mount a small disk here");
    try {
      refused(await encrypt(at("good"), join(disk, "out")), "DISK_FULL", /needs \d.* MB.*free/);
      assert.deepEqual(readdirSync(disk), []);
    } finally {
      unmount(disk);
    }
  });

  test("on a disk that fills up in the middle: said, and everything half-written removed", async (context) => {
    const size = statSync(join(at("sealed"), "model.safetensors")).size;
    const disk = mountSmallDisk("filling", Math.ceil(size / 4096) * 4096 + 8192);
    if (!disk) return context.skip("cannot mount a small disk here");
    try {
      writeFileSync(join(disk, "thesis.txt"), "years of work");
      refused(await encrypt(at("good"), join(disk, "out")), "DISK_FULL", /no space left/);
      assert.deepEqual(readdirSync(disk), ["thesis.txt"]);
      assert.equal(readFileSync(join(disk, "thesis.txt"), "utf8"), "years of work");
    } finally {
      unmount(disk);
    }
  });

  test("larger than a file may be", async (context) => {
    if (!existsSync("/usr/bin/prlimit")) return context.skip("needs prlimit");
    refused(await encrypt(at("good"), at("limited"), { fileSize: 40_000 }), "DISK_FULL", /limited/);
    assert.equal(existsSync(at("limited")) || existsSync(at("limited.partial")), false);
  });
});

function mountSmallDisk(name: string, bytes: number): string | null {
  const directory = at(name);
  mkdirSync(directory);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", directory], { stdio: "ignore" });
  } catch {
    return null;
  }
  process.once("exit", () => unmount(directory));
  return directory;
}

function unmount(directory: string): void {
  try {
    execFileSync("umount", [directory], { stdio: "ignore" });
  } catch {
    // not mounted any more
  }
}

describe("keys", () => {
  const verify = (...flags: string[]) => runCommand(["verify", at("good"), at("sealed"), "--tokens", "4", "--json", ...flags], { home });

  test("that belong to another model", async () => {
    refused(await verify("--key", "second"), "KEY_WRONG", /not encrypted under this key.*key list/);
    refused(
      await runCommand(["rekey", at("sealed"), "--from", "second", "--to", "default", "--out", at("rekeyed"), "--json"], { home }),
      "KEY_WRONG",
      /not encrypted under this key/,
    );
    assert.equal(existsSync(at("rekeyed")), false);
  });

  test("that do not exist, and are never made up under another name", async () => {
    refused(await verify("--key", "third"), "KEY_NOT_FOUND", /third.*key (?:list|new)/);
    refused(await encrypt(at("good"), at("third-out"), {}, "--key", "third"), "KEY_NOT_FOUND", /third/);
    assert.equal(existsSync(join(home, "keys/third.age")), false);
  });

  test("that are damaged", async () => {
    const file = join(home, "keys/damaged.age");
    writeFileSync(file, readFileSync(join(home, "keys/second.age"), "utf8").replace(/\n([A-Za-z0-9+/]{60})/, "\nAAAA$1".slice(0, 40)), {
      mode: 0o600,
    });
    refused(await verify("--key", "damaged"), "KEY_INVALID", /damaged/);
    writeFileSync(file, "not a key", { mode: 0o600 });
    refused(await verify("--key", file), "KEY_INVALID", /age file/);
  });

  test("whose identity others can read", async () => {
    const open = at("open");
    cpSync(join(home, "keys"), join(open, "keys"), { recursive: true });
    chmodSync(join(open, "keys/identity.txt"), 0o644);
    refused(await runCommand(["verify", at("good"), at("sealed"), "--json"], { home: open }), "PERMISSION_DENIED", /chmod 600/);
  });

  test("that may not be read", async (context) => {
    const closed = at("closed");
    cpSync(join(home, "keys"), join(closed, "keys"), { recursive: true });
    const file = join(closed, "keys/default.age");
    chmodSync(file, 0);
    // The superuser may read everything, so the command runs as nobody then.
    const user = process.getuid?.() === 0 ? 65_534 : undefined;
    if (user !== undefined) {
      chmodSync(home, 0o755);
      for (const path of [closed, join(closed, "keys"), join(closed, "keys/identity.txt")]) chownSync(path, user, user);
      const probe = await runCommand(["--version"], { home: closed, user }).catch(() => null);
      if (probe?.code !== 0) return context.skip("cannot run as another user here");
    }
    const outcome = await runCommand(["verify", at("good"), at("sealed"), "--json"], {
      home: closed,
      ...(user === undefined ? {} : { user }),
    });
    refused(outcome, "PERMISSION_DENIED", /default\.age/);
  });
});

describe("serve", () => {
  const serve = (path: string) => runCommand(["serve", path, "--port", "0", "--json"], { home });

  test("refuses a plain model, as directory and as GGUF", async () => {
    refused(await serve(at("good")), "NOT_ENCRYPTED", /not an encrypted model.*unseen encrypt/);
    const layout = layoutGguf(new Map<string, GgufValue>([["general.architecture", { type: "string", value: "llama" }]]), [
      { name: "token_embd.weight", format: "F32", shape: [4, 4] },
    ]);
    const bytes = Buffer.alloc(layout.bytes);
    bytes.set(layout.header);
    writeFileSync(at("plain.gguf"), bytes);
    refused(await serve(at("plain.gguf")), "NOT_ENCRYPTED", /not an encrypted model.*unseen encrypt/);
  });

  test("refuses what is not there, not whole, or not a model", async () => {
    refused(await serve(at("nothing")), "CHECKPOINT_NOT_FOUND", /does not exist/);
    cpSync(at("sealed"), at("torn"), { recursive: true });
    truncateSync(join(at("torn"), "model.safetensors"), 1000);
    refused(await serve(at("torn")), "CHECKPOINT_TRUNCATED", /model\.safetensors/);
    cpSync(at("sealed"), at("forged"), { recursive: true });
    writeFileSync(
      join(at("forged"), "unseen.json"),
      JSON.stringify({
        scheme: "unseen-ee",
        version: 1,
        fingerprint: "../../../etc/passwd",
        strength: "rotate",
        family: "llama",
        vocabularySize: 64,
      }),
    );
    refused(await serve(at("forged")), "CHECKPOINT_MALFORMED", /unseen\.json/);
    copyFileSync(join(at("sealed"), "config.json"), at("model.bin"));
    refused(await serve(at("model.bin")), "CHECKPOINT_NOT_FOUND", /\.gguf/);
  });
});
