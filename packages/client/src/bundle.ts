/**
 * The client bundle: what the key holder needs, besides the key, to talk to one encrypted model.
 *
 * Nothing in it is secret, since tokenizers are public and the substitution comes from the key. It never lies beside the
 * weights all the same: a host that knows the tokenizer knows more than it must.
 * @module
 */
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";
import { ensureDirectory, writeFileAtomically } from "./atomic-file.ts";
import type { Home } from "./home.ts";
import { TextTokenizer } from "./tokenizer.ts";

/** Bytes of bundle.json (CWE-770). */
const MAXIMUM_BUNDLE_BYTES = 1024 * 1024;
const MAXIMUM_VOCABULARY = 2 ** 24;
const BUNDLE_FILE = "bundle.json";

const tokenId = z.int().min(0).max(MAXIMUM_VOCABULARY);
const bundleSchema = z
  .object({
    version: z.literal(1),
    fingerprint: z.string().regex(/^[0-9a-f]{32}$/),
    name: z.string().min(1).max(200),
    keyId: z.string().regex(/^[0-9a-f]{16}$/),
    strength: z.enum(["permute", "rotate"]),
    family: z.string().min(1).max(100),
    vocabularySize: z.int().min(1).max(MAXIMUM_VOCABULARY),
    contextLength: z.int().min(1),
    created: z.iso.datetime(),
    eosIds: z.array(tokenId).max(1000),
    bosId: tokenId.nullable(),
    generation: z.object({
      temperature: z.number().min(0).optional(),
      topP: z.number().min(0).max(1).optional(),
      topK: z.int().min(0).optional(),
      minP: z.number().min(0).max(1).optional(),
      repetitionPenalty: z.number().positive().optional(),
    }),
  })
  .refine((bundle) => [...bundle.eosIds, bundle.bosId ?? 0].every((id) => id < bundle.vocabularySize), { path: ["eosIds"] });

/** The contents of `bundle.json`; all ids are plain. */
export interface Bundle {
  readonly version: 1;
  /** 32 hexadecimal digits, the same as in the encrypted model. */
  readonly fingerprint: string;
  /** By which the user asks for the model. */
  readonly name: string;
  /** Of the key it was encrypted under, 16 hexadecimal digits. */
  readonly keyId: string;
  readonly strength: "permute" | "rotate";
  readonly family: string;
  /** Rows of the embedding table; may exceed the tokenizer's vocabulary. */
  readonly vocabularySize: number;
  /** Tokens of prompt and answer together. */
  readonly contextLength: number;
  /** ISO 8601, UTC. */
  readonly created: string;
  /** Plain ids that end an answer. */
  readonly eosIds: readonly number[];
  readonly bosId: number | null;
  /** Sampling defaults of the model's maker. */
  readonly generation: GenerationDefaults;
}

/** Sampling values for requests that do not give their own. */
export interface GenerationDefaults {
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly topK?: number | undefined;
  readonly minP?: number | undefined;
  readonly repetitionPenalty?: number | undefined;
}

/** Where a model's bundle lies. */
export function bundleDirectory(home: Home, fingerprint: string): string {
  return join(home.bundles, fingerprint);
}

/**
 * Writes a bundle with its tokenizer files, or replaces one.
 *
 * @param files by name: `tokenizer.json`, `tokenizer_config.json`, `chat_template.jinja`
 * @throws UnseenError BUNDLE_INVALID, DISK_FULL, PERMISSION_DENIED
 */
export async function writeBundle(home: Home, bundle: Bundle, files: Readonly<Record<string, Uint8Array | string>>): Promise<void> {
  const checked = checkBundle(bundle, BUNDLE_FILE);
  const directory = bundleDirectory(home, checked.fingerprint);
  for (const name of Object.keys(files)) {
    if (!/^\w[\w.-]{0,99}$/.test(name) || name === BUNDLE_FILE) {
      throw new UnseenError(
        "BUNDLE_INVALID",
        `bundle file ${JSON.stringify(name.slice(0, 100))}: expected a plain file name, got another.`,
      );
    }
  }
  await ensureDirectory(directory);
  for (const [name, content] of Object.entries(files)) await writeFileAtomically(join(directory, name), content);
  // A directory without bundle.json is no bundle, so this file comes last.
  await writeFileAtomically(join(directory, BUNDLE_FILE), `${JSON.stringify(checked, null, 2)}\n`);
}

/**
 * Finds a bundle by fingerprint or by name; of several with one name the newest.
 *
 * @throws UnseenError BUNDLE_NOT_FOUND, BUNDLE_INVALID
 */
export async function loadBundle(home: Home, nameOrFingerprint: string): Promise<Bundle> {
  if (/^[0-9a-f]{32}$/.test(nameOrFingerprint)) {
    const bundle = await readBundle(home, nameOrFingerprint);
    if (bundle) return bundle;
  }
  const named = (await listBundles(home)).filter((bundle) => bundle.name === nameOrFingerprint);
  const newest = named.toSorted((a, b) => b.created.localeCompare(a.created))[0];
  if (newest) return newest;
  throw new UnseenError(
    "BUNDLE_NOT_FOUND",
    `bundle ${JSON.stringify(nameOrFingerprint.slice(0, 100))}: expected one in ${home.bundles}, got none.`,
    {
      hint: "Run `unseen list` to see the models you can talk to, or encrypt one with `unseen encrypt`.",
    },
  );
}

/** Every readable bundle by name; damaged ones are left out, {@link loadBundle} with their fingerprint says why. */
export async function listBundles(home: Home): Promise<Bundle[]> {
  const names = await readdir(home.bundles).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const bundles: Bundle[] = [];
  for (const name of names.filter((entry) => /^[0-9a-f]{32}$/.test(entry))) {
    try {
      const bundle = await readBundle(home, name);
      if (bundle) bundles.push(bundle);
    } catch (error) {
      if (!UnseenError.isInstance(error)) throw error;
    }
  }
  return bundles.toSorted((a, b) => a.name.localeCompare(b.name) || a.created.localeCompare(b.created));
}

/** Deletes a bundle; the key and the encrypted model stay. @throws UnseenError BUNDLE_NOT_FOUND */
export async function removeBundle(home: Home, nameOrFingerprint: string): Promise<Bundle> {
  const bundle = await loadBundle(home, nameOrFingerprint);
  const directory = bundleDirectory(home, bundle.fingerprint);
  await rm(join(directory, BUNDLE_FILE)); // from here on it is no bundle
  await rm(directory, { recursive: true });
  return bundle;
}

/** The bundle's tokenizer, or null where the model takes and gives ids alone. @throws UnseenError BUNDLE_INVALID */
export async function loadBundleTokenizer(home: Home, bundle: Bundle): Promise<TextTokenizer | null> {
  try {
    return await TextTokenizer.load(bundleDirectory(home, bundle.fingerprint));
  } catch (error) {
    if (UnseenError.isInstance(error) && error.code === "TOKENIZER_MISSING") return null;
    throw error;
  }
}

async function readBundle(home: Home, fingerprint: string): Promise<Bundle | null> {
  const path = join(bundleDirectory(home, fingerprint), BUNDLE_FILE);
  let content: string;
  try {
    const { size } = await stat(path);
    if (size > MAXIMUM_BUNDLE_BYTES) throw invalid(path, `at most ${MAXIMUM_BUNDLE_BYTES} bytes`, `${size}`);
    content = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    throw invalid(path, "JSON", "something else");
  }
  const bundle = checkBundle(value, path);
  if (bundle.fingerprint !== fingerprint) throw invalid(`${path}: fingerprint`, "the name of its directory", "another one");
  return bundle;
}

function checkBundle(value: unknown, path: string): Bundle {
  const result = bundleSchema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw invalid(`${path}: ${issue?.path.join(".") || "contents"}`, "a bundle of version 1", issue?.message ?? "something else");
}

function invalid(what: string, expected: string, got: string): UnseenError {
  return new UnseenError("BUNDLE_INVALID", `${what}: expected ${expected}, got ${got}.`, {
    hint: "Encrypt the model again, or restore the bundle from a backup.",
  });
}
