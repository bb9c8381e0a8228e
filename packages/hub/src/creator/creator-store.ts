/**
 * A creator's directory: the runtime's key, and of each published version what never leaves: the later layers and the keys of the first ones.
 * @module
 */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { makeSealingKey, type SealingKey } from "@unseen/attest/hpke.ts";
import { createFileAtomically, ensureDirectory, writeFileAtomically } from "@unseen/client/atomic-file.ts";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { manifestSchema, versionOf, type ModelManifest } from "../protocol.ts";

const SECRET_BYTES = 32;

/** One published version as its creator keeps it. */
export interface OwnVersion {
  readonly version: string;
  readonly manifest: ModelManifest;
  /** Keys of the heads (base64) by the blob's name. */
  readonly headKeys: Readonly<Record<string, string>>;
  /** Path of the ONNX file with the layers after a cut. */
  tail(cut: number): string;
}

export class CreatorStore {
  readonly #directory: string;
  /** 32 secret bytes, from which all of the creator's keys are derived. */
  readonly secret: Uint8Array;
  readonly key: SealingKey;

  private constructor(directory: string, secret: Uint8Array, key: SealingKey) {
    this.#directory = directory;
    this.secret = secret;
    this.key = key;
  }

  /** Opens a creator's directory, or begins one. @throws UnseenError KEY_INVALID, PERMISSION_DENIED, DISK_FULL */
  static async open(directory: string): Promise<CreatorStore> {
    await ensureDirectory(directory);
    const file = join(directory, "creator.key");
    await createFileAtomically(file, `${randomBytes(SECRET_BYTES).toString("base64")}\n`);
    const secret = Buffer.from((await readText(file)).trim(), "base64");
    if (secret.length !== SECRET_BYTES)
      throw new UnseenError("KEY_INVALID", `${file} does not hold 32 bytes in base64.`, {
        hint: "Restore it from a backup; without it the published versions cannot be served.",
      });
    return new CreatorStore(directory, new Uint8Array(secret), await makeSealingKey(new Uint8Array(secret)));
  }

  /** Keeps a version whole or not at all. */
  async add(
    manifest: ModelManifest,
    headKeys: Readonly<Record<string, string>>,
    tails: ReadonlyMap<number, Uint8Array>,
  ): Promise<OwnVersion> {
    const version = versionOf(manifest);
    const place = join(this.#directory, "versions", version);
    const temporary = join(this.#directory, "versions", `.${version}.${randomBytes(6).toString("hex")}`);
    try {
      await mkdir(temporary, { recursive: true, mode: 0o700 });
      for (const [cut, tail] of tails) await writeFileAtomically(join(temporary, `tail-${cut}.onnx`), tail);
      await writeFileAtomically(join(temporary, "version.json"), JSON.stringify({ manifest, headKeys }));
      // The same version again has the same content.
      await rename(temporary, place).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
      });
    } catch (error) {
      throw explainSystemError(error, place);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
    return this.#version(version, manifest, headKeys);
  }

  /** @throws UnseenError MODEL_NOT_FOUND */
  async get(version: string): Promise<OwnVersion> {
    if (!/^[0-9a-f]{64}$/.test(version)) throw absent(version);
    const text = await readFile(join(this.#directory, "versions", version, "version.json"), "utf8").catch(() => null);
    if (text === null) throw absent(version);
    const { manifest, headKeys } = JSON.parse(text) as { manifest: unknown; headKeys: Record<string, string> };
    return this.#version(version, manifestSchema.parse(manifest), headKeys);
  }

  /** Names of all versions. */
  async list(): Promise<string[]> {
    const names = await readdir(join(this.#directory, "versions")).catch(() => []);
    return names.filter((name) => /^[0-9a-f]{64}$/.test(name));
  }

  #version(version: string, manifest: ModelManifest, headKeys: Readonly<Record<string, string>>): OwnVersion {
    const place = join(this.#directory, "versions", version);
    return { version, manifest, headKeys, tail: (cut) => join(place, `tail-${cut}.onnx`) };
  }
}

async function readText(file: string): Promise<string> {
  return readFile(file, "utf8").catch((error: unknown) => {
    throw explainSystemError(error, file);
  });
}

function absent(version: string): UnseenError {
  return new UnseenError("MODEL_NOT_FOUND", `this creator has not published version ${version.slice(0, 12)}.`, {
    hint: "Publish it from here, or start the creator with the directory that it was published from.",
  });
}
