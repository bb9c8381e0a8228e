/**
 * The command lines of jobs on language models and encoders.
 * @module
 */
import { join } from "node:path";
import { loadBundle } from "@unseen/client/bundle.ts";
import type { Home } from "@unseen/client/home.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { nameOf } from "../../bundle-model.ts";
import { natureOf } from "../library/manifest-at.ts";
import { serversDirectory } from "../library/find-splits.ts";
import type { Asked } from "./new-job.ts";
import { existingPath, fileName, freePath } from "./places.ts";
import type { Plan, Step } from "./plan.ts";

/** Variables that a download obeys. */
const HUB_VARIABLES = ["HF_TOKEN", "HF_ENDPOINT"];
/** Servers of a page's making are for this machine alone, on any free port. */
const HERE = ["--port=0", "--hostname=127.0.0.1"];

/** A key's passphrase, where one was given. */
function unlocking(passphrase: string | undefined): Pick<Step, "secrets"> {
  return passphrase === undefined ? {} : { secrets: { UNSEEN_PASSPHRASE: passphrase } };
}

/** A flag with its value, where there is one. */
export function flag(name: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [`--${name}=${value}`];
}

export function planPull({ repository, revision }: Asked<"pull">): Plan {
  return {
    subject: repository,
    steps: [{ command: ["pull"], options: flag("revision", revision), operands: [repository], inherits: HUB_VARIABLES }],
  };
}

/** The output gets a free name among the home's models. Throws as {@link existingPath} and {@link freePath}. */
export async function planEncrypt(job: Asked<"encrypt">, home: Home, taken: ReadonlySet<string>): Promise<Plan> {
  const { strength, key, name, format, precision, passphrase } = job;
  const source = await existingPath(job.model);
  const [own = ""] = /\.(?:gguf|onnx)$/.exec(source) ?? [];
  const extension = format === "gguf" ? ".gguf" : format === "safetensors" ? "" : own;
  const output = await freePath(home.models, `${fileName(name ?? nameOf(source))}-unseen`, extension, taken);
  const options = [
    `--out=${output}`,
    `--strength=${strength}`,
    `--key=${key}`,
    ...flag("name", name),
    ...flag("format", format),
    ...flag("precision", precision),
  ];
  return { subject: nameOf(source), output, steps: [{ command: ["encrypt"], options, operands: [source], ...unlocking(passphrase) }] };
}

/** The host sees no keyring: its home is a directory in the cache. */
export async function planServe({ model, plain }: Asked<"serve">, home: Home): Promise<Plan> {
  const path = await existingPath(model);
  const options = [...HERE, ...(plain === true ? ["--plain"] : [])];
  return {
    subject: nameOf(path),
    serves: true,
    steps: [{ command: ["serve"], options, operands: [path], home: join(home.cache, "host") }],
  };
}

/** The key is the one that the model's bundle names. */
export async function planAttack(job: Asked<"attack">, home: Home): Promise<Plan> {
  const { base, traffic, attacks, keys, budget, defences, passphrase } = job;
  const path = await existingPath(job.model);
  const options = [
    ...flag("key", await keyOf(path, home)),
    ...flag("base", base && (await existingPath(base))),
    ...flag("traffic", traffic && (await existingPath(traffic))),
    ...flag("attacks", attacks?.join(",")),
    `--keys=${keys}`,
    `--budget=${budget}`,
    ...flag("defence", defences?.join(",")),
  ];
  return { subject: nameOf(path), steps: [{ command: ["attack"], options, operands: [path], ...unlocking(passphrase) }] };
}

async function keyOf(path: string, home: Home): Promise<string | undefined> {
  const { manifest } = await natureOf(path);
  if (!manifest)
    throw new UnseenError("NOT_ENCRYPTED", `${path} is not an encrypted model.`, {
      hint: "Choose an encrypted model; the plain one is its base.",
    });
  try {
    return (await loadBundle(home, manifest.fingerprint)).keyId;
  } catch (error) {
    if (UnseenError.isInstance(error) && error.code === "BUNDLE_NOT_FOUND") return undefined;
    throw error;
  }
}

/** Both servers' directories lie beside the keyring, from where each is taken to its machine. */
export async function planShare(job: Asked<"share">, home: Home, taken: ReadonlySet<string>): Promise<Plan> {
  const { bits, key, name, passphrase } = job;
  const source = await existingPath(job.model);
  const output = await freePath(serversDirectory(home), fileName(name ?? nameOf(source)), "", taken);
  if (output.includes(","))
    throw new UnseenError("USAGE", `${home.root}: a comma in the home's path cannot be told from one between two directories.`, {
      hint: "Set UNSEEN_HOME to a path without commas.",
    });
  const options = [`--out=${join(output, "a")}`, `--out=${join(output, "b")}`, `--bits=${bits}`, `--key=${key}`, ...flag("name", name)];
  return { subject: nameOf(source), output, steps: [{ command: ["share"], options, operands: [source], ...unlocking(passphrase) }] };
}

export async function planServeShares({ directory }: Asked<"serve-shares">, home: Home): Promise<Plan> {
  const path = await existingPath(directory);
  const step = { command: ["shares", "serve"], options: HERE, operands: [path], home: join(home.cache, "host") };
  return { subject: path, serves: true, steps: [step] };
}

export async function planCompare({ model, roundTrip, quick }: Asked<"compare">): Promise<Plan> {
  const path = model === undefined ? undefined : await existingPath(model);
  const options = [...flag("round-trip", roundTrip), ...(quick === true ? ["--quick"] : [])];
  return {
    subject: path === undefined ? "the model that comes along" : nameOf(path),
    steps: [{ command: ["compare"], options, operands: path === undefined ? [] : [path] }],
  };
}

/** Makes a contest in a free directory of the home, and serves it. */
export async function planContest(job: Asked<"contest">, home: Home, taken: ReadonlySet<string>): Promise<Plan> {
  const { date, prompt, response, practice, model, passphrase } = job;
  const day = date ?? new Date().toISOString().slice(0, 10);
  const output = await freePath(join(home.root, "contests"), day, "", taken);
  const options = [`--out=${output}`, `--date=${day}`, ...flag("model", model), ...(practice === true ? ["--practice"] : [])];
  const secrets = {
    ...(prompt === undefined ? {} : { UNSEEN_PROMPT: prompt }),
    ...(response === undefined ? {} : { UNSEEN_RESPONSE: response }),
    ...(passphrase === undefined ? {} : { UNSEEN_PASSPHRASE: passphrase }),
  };
  const shown = prompt !== undefined || response !== undefined ? { shownOperands: "--text FILE" } : {};
  return {
    subject: practice === true ? `practice, ${day}` : `${model ?? "a contest"}, ${day}`,
    serves: true,
    output,
    steps: [
      { command: ["contest", "new"], options, secrets, ...shown },
      { command: ["contest", "serve"], options: [`--dir=${output}`, ...HERE] },
    ],
  };
}
