/**
 * The client bundle: what the key holder needs, besides the key, to talk to one encrypted model.
 *
 * Nothing in it is secret, since tokenizers are public and the substitution comes from the key. It never lies beside the
 * weights all the same: a host that knows the tokenizer knows more than it must.
 * @module
 */
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Json } from "@unseen/core/blueprint/config.ts";
import { parseClientInterface, type ClientInterface } from "@unseen/core/blueprint/interface.ts";
import type { ModelOutput } from "@unseen/core/blueprint/output.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";
import { ensureDirectory, writeFileAtomically } from "./atomic-file.ts";
import type { Home } from "./home.ts";
import { parseModelOutputs } from "./model-outputs.ts";
import { TextTokenizer } from "./tokenizer.ts";

/** Bytes of bundle.json (CWE-770). */
const MAXIMUM_BUNDLE_BYTES = 1024 * 1024;
const MAXIMUM_VOCABULARY = 2 ** 24;
/** Bytes of interface.json (CWE-770): the labels of a large classifier are its bulk. */
const MAXIMUM_INTERFACE_BYTES = 16 * 1024 * 1024;
/** Bytes of a stem (CWE-770): a layer or two. */
const MAXIMUM_STEM_BYTES = 2 ** 30;
const BUNDLE_FILE = "bundle.json";
/** What the client does at the ends of an encoder; a bundle without one is a model that continues text. */
const INTERFACE_FILE = "interface.json";
/** Outputs that the interface's recipes alone do not undo. */
const OUTPUTS_FILE = "outputs.json";
/** Bytes of outputs.json (CWE-770): two numbers a coordinate. */
const MAXIMUM_OUTPUTS_BYTES = 16 * 1024 * 1024;

const tokenId = z.int().min(0).max(MAXIMUM_VOCABULARY);
const bundleSchema = z
  .object({
    version: z.literal(1),
    fingerprint: z.string().regex(/^[0-9a-f]{32}$/),
    name: z.string().min(1).max(200),
    keyId: z.string().regex(/^[0-9a-f]{16}$/),
    strength: z.enum(["permute", "rotate"]),
    family: z.string().min(1).max(100),
    vocabularySize: z.int().min(0).max(MAXIMUM_VOCABULARY),
    contextLength: z.int().min(0),
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
  .refine((bundle) => [...bundle.eosIds, bundle.bosId ?? -1].every((id) => id < bundle.vocabularySize), { path: ["eosIds"] });

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
  /** Rows of the embedding table; may exceed the tokenizer's vocabulary. 0 for a model that takes no ids. */
  readonly vocabularySize: number;
  /** Tokens of prompt and answer together; of one text for an encoder, 0 where it has no limit. */
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
 * @param files by name: `tokenizer.json`, `tokenizer_config.json`, `chat_template.jinja`; of an encoder `interface.json`, `outputs.json`,
 *   `stem.onnx` and `preprocessor_config.json`
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
  const textOf = (name: string): string | null => (files[name] === undefined ? null : Buffer.from(files[name]).toString("utf8"));
  checkEnds(checked, Object.keys(files), textOf(INTERFACE_FILE), textOf(OUTPUTS_FILE));
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
  const bundle = await findBundle(home, nameOrFingerprint);
  await loadBundleInterface(home, bundle);
  return bundle;
}

async function findBundle(home: Home, nameOrFingerprint: string): Promise<Bundle> {
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
  const bundle = await findBundle(home, nameOrFingerprint);
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

/**
 * What the client does at the ends of an encoder, or null for a model that continues text.
 * @throws UnseenError BUNDLE_INVALID for a file that is damaged or names a stem that is not there.
 */
export async function loadBundleInterface(home: Home, bundle: Bundle): Promise<ClientInterface | null> {
  return (await loadBundleEnds(home, bundle)).ends;
}

/** Everything that a bundle says of its model's ends. */
export interface BundleEnds {
  /** null for a model that continues text. */
  readonly ends: ClientInterface | null;
  /** Outputs that are not among those of `ends`. */
  readonly outputs: readonly ModelOutput[];
}

/** What the client does at the ends of a model. @throws UnseenError BUNDLE_INVALID as {@link loadBundleInterface}. */
export async function loadBundleEnds(home: Home, bundle: Bundle): Promise<BundleEnds> {
  const directory = bundleDirectory(home, bundle.fingerprint);
  const [content, more] = [
    await readLimited(join(directory, INTERFACE_FILE), MAXIMUM_INTERFACE_BYTES),
    await readLimited(join(directory, OUTPUTS_FILE), MAXIMUM_OUTPUTS_BYTES),
  ];
  const found = checkEnds(bundle, await readdir(directory), content, more);
  const { stem } = found.ends ?? {};
  if (stem) {
    const { size } = await stat(join(directory, stem.file));
    if (size > MAXIMUM_STEM_BYTES) throw invalid(stem.file, `at most ${MAXIMUM_STEM_BYTES} bytes`, `${size}`);
  }
  return found;
}

/** What the texts of the two files say, if they agree with the rest of the bundle. */
function checkEnds(bundle: Bundle, names: readonly string[], content: string | null, more: string | null): BundleEnds {
  if (content === null) {
    if (bundle.vocabularySize === 0) throw invalid("vocabularySize", "at least 1 for a model that continues text", "0");
    if (bundle.contextLength === 0) throw invalid("contextLength", "at least 1 for a model that continues text", "0");
    if (more !== null) throw invalid(OUTPUTS_FILE, `${INTERFACE_FILE} beside it`, "none");
    return { ends: null, outputs: [] };
  }
  const ends = parseInterface(content);
  checkStem(ends, names);
  const ids = ends.inputs.find((input) => input.kind === "ids");
  if (ids && ids.size !== bundle.vocabularySize) throw invalid(`${INTERFACE_FILE}: inputs`, `${bundle.vocabularySize} ids`, `${ids.size}`);
  const outputs = more === null ? [] : parseModelOutputs(more);
  const twice = outputs.find(({ name }) => ends.outputs.some((output) => output.name === name));
  if (twice) throw invalid(OUTPUTS_FILE, `other outputs than ${INTERFACE_FILE}`, `${JSON.stringify(twice.name)} in both`);
  return { ends, outputs };
}

function parseInterface(content: string): ClientInterface {
  let value: Json;
  try {
    value = JSON.parse(content) as Json;
  } catch {
    throw invalid(INTERFACE_FILE, "JSON", "something else");
  }
  return parseClientInterface(value);
}

function checkStem({ stem }: ClientInterface, names: readonly string[]): void {
  if (stem && !names.includes(stem.file)) throw invalid(`${INTERFACE_FILE}: stem`, `${stem.file} beside it`, "none");
}

/** The text of a small file, or null where there is none. */
async function readLimited(path: string, maximumBytes: number): Promise<string | null> {
  try {
    const { size } = await stat(path);
    if (size > maximumBytes) throw invalid(path, `at most ${maximumBytes} bytes`, `${size}`);
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

async function readBundle(home: Home, fingerprint: string): Promise<Bundle | null> {
  const path = join(bundleDirectory(home, fingerprint), BUNDLE_FILE);
  const content = await readLimited(path, MAXIMUM_BUNDLE_BYTES);
  if (content === null) return null;
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
