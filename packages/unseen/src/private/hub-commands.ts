/**
 * The work of `unseen hub`, `unseen enclave` and `unseen creator`. Loaded when one of them runs.
 * @module
 */
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { readPolicy } from "@unseen/attest/read-policy.ts";
import { SIMULATOR_WARNING } from "@unseen/attest/shout.ts";
import { resolveHome } from "@unseen/client/home.ts";
import { decodeOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { createEvaluator } from "@unseen/fhe/evaluator/pool.ts";
import { HubClient } from "@unseen/hub/api/hub-client.ts";
import { createAccount, listModels, readManifest } from "@unseen/hub/api/jobs.ts";
import { CreatorStore } from "@unseen/hub/creator/creator-store.ts";
import { startCreator } from "@unseen/hub/creator/creator.ts";
import { publishModel } from "@unseen/hub/creator/publish.ts";
import { startEnclave } from "@unseen/hub/enclave/enclave.ts";
import { leakSchema, nameSchema, type ModelManifest, type Role } from "@unseen/hub/protocol.ts";
import { z } from "zod";
import type { CreatorFlags, EnclaveFlags, PublishFlags } from "../commands/hub.ts";
import type { Terminal } from "../terminal.ts";
import { calibrationsFor, classNamesOf } from "./cuts.ts";
import { connectHub, type HubFlags } from "./hub-flags.ts";
import { openQuoteSource } from "./quote-source.ts";
import { readBytes, readText } from "./read-file.ts";
import { closeOnSignal } from "./until-signal.ts";

/** `unseen hub account` */
export async function makeAccount(name: string, options: HubFlags & { readonly role: string }, terminal: Terminal): Promise<object> {
  checkName(name);
  const apiKey = await createAccount(connectHub(options), { name, role: options.role as Role });
  terminal.print(apiKey);
  terminal.note(`The account ${name} (${options.role}); the hub shows its key this once.`);
  return { name, role: options.role, apiKey };
}

/** `unseen hub models` */
export async function showModels(name: string | undefined, url: string, terminal: Terminal): Promise<object> {
  const hub = new HubClient(url, null);
  const models = (await listModels(hub)).filter((model) => name === undefined || model.name === name);
  if (name !== undefined && models.length === 0)
    throw new UnseenError("MODEL_NOT_FOUND", `the hub has no model ${name}.`, { hint: "`unseen hub models` lists them." });
  const described = [];
  for (const model of models) {
    const newest = model.versions[0];
    if (!newest) continue;
    const { manifest } = await readManifest(hub, model.name, newest.version);
    described.push({ name: model.name, creator: model.creator, version: newest.version, published: newest.published, manifest });
    terminal.print(`${model.name}  by ${model.creator}, version ${newest.version.slice(0, 12)}, ${manifest.licence}`);
    for (const line of cutLines(manifest)) terminal.print(`  ${line}`);
  }
  if (described.length === 0) terminal.print("No model is published here.");
  return { models: described };
}

/** One line per cut, with what can be read from it. */
function cutLines(manifest: ModelManifest): string[] {
  return manifest.cuts.map((cut) => {
    const leaks = manifest.leaks.filter((leak) => leak.cut === cut.cut);
    const seconds = cut.seconds === null ? "" : `, ${cut.seconds.toFixed(2)} s`;
    const measured = leaks.map(
      ({ psnr, psnrBaseline, ssim, obfuscation }) =>
        `pictures come back at ${psnr.toFixed(1)} dB, SSIM ${ssim.toFixed(2)} with noise ${obfuscation.noise.toPrecision(2)} (mean picture: ${psnrBaseline.toFixed(1)} dB)`,
    );
    const leak = measured.length > 0 ? measured.join("; ") : "not measured what can be read from the features";
    return `cut ${cut.cut} ${cut.parameters.scheme}: ${cut.layers.join(", ")}; keys ${megabytes(cut.keyBytes)}, picture ${megabytes(cut.uploadBytes)}${seconds}; ${leak}`;
  });
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** What `unseen leak --json` prints: the leak, and its pictures as base64. */
const leakFileSchema = z.object({
  model: z.string(),
  effort: z.string(),
  leak: leakSchema.omit({ pictures: true }),
  picturesFile: z.string().nullable(),
});

/** `unseen hub publish` */
export async function publish(path: string, options: PublishFlags, terminal: Terminal): Promise<object> {
  const file = await readBytes(path);
  const name =
    options.name ??
    basename(path)
      .replace(/\.onnx$/i, "")
      .toLowerCase();
  checkName(name);
  const model = decodeOnnx(file);
  const store = await CreatorStore.open(creatorDirectoryOf(options));
  const leaks = await Promise.all((options.leak ?? []).map((leak) => readLeak(leak, createHash("sha256").update(file).digest("hex"))));
  const bar = terminal.progress("Uploading");
  const own = await publishModel(
    file,
    {
      name,
      card: options.card ? await readText(options.card) : "",
      licence: options.licence,
      labels: options.labels ?? classNamesOf(model),
      scale: options.scale,
      leaks,
      ...(options.calibrate ? { calibrations: await calibrationsFor(model) } : {}),
      budget: Number(options.budget),
    },
    { hub: connectHub(options), store, progress: (done, total) => bar.update(done, total) },
  );
  bar.end();
  terminal.print(`Published ${name}, version ${own.version}, with ${own.manifest.cuts.length} cuts.`);
  for (const line of cutLines(own.manifest)) terminal.print(`  ${line}`);
  terminal.print("Keep `unseen creator serve` running, or nobody can use it.");
  return {
    name,
    version: own.version,
    cuts: own.manifest.cuts.map(({ cut, value, parameters }) => ({ cut, value, scheme: parameters.scheme })),
  };
}

/** `unseen enclave serve` */
export async function serveEnclave(options: EnclaveFlags, terminal: Terminal): Promise<void> {
  const hub = connectHub(options);
  const source = await openQuoteSource(options, terminal.note);
  const hands = Number(options.workers);
  const enclave = await startEnclave({
    hub,
    source,
    evaluator: createEvaluator({ workers: hands }),
    hands,
    budget: Number(options.budget),
    log: terminal.note,
  });
  terminal.print(`Enclave (${source.kind}) works for ${hub.url}. Its key is ${enclave.publicKey}.`);
  terminal.result({ publicKey: enclave.publicKey, attestation: source.kind, hub: hub.url });
  await closeOnSignal(enclave.close);
}

/** `unseen creator serve` */
export async function serveCreator(options: CreatorFlags, terminal: Terminal): Promise<void> {
  if (options.requireAttestation === undefined)
    throw new UnseenError("USAGE", "nothing says which enclaves may have the first layers.", {
      hint: "Give --require-attestation POLICY.json; `unseen attest policy` makes one.",
    });
  const hub = connectHub(options);
  const policy = await readPolicy(options.requireAttestation);
  if (policy.mode === "simulator") terminal.note(SIMULATOR_WARNING);
  const store = await CreatorStore.open(creatorDirectoryOf(options));
  const versions = await store.list();
  const creator = startCreator({ hub, store, policy, log: terminal.note });
  const publicKey = Buffer.from(store.key.publicKey).toString("base64");
  terminal.print(`Creator serves ${versions.length} version${versions.length === 1 ? "" : "s"} for ${hub.url}. Its key is ${publicKey}.`);
  terminal.result({ publicKey, versions, hub: hub.url });
  await closeOnSignal(creator.close);
}

function creatorDirectoryOf({ directory }: { readonly directory?: string }): string {
  return directory ?? join(resolveHome().root, "creator");
}

function checkName(name: string): void {
  const parsed = nameSchema.safeParse(name);
  if (!parsed.success)
    throw new UnseenError("USAGE", `the name ${JSON.stringify(name)} ${parsed.error.issues[0]!.message}.`, {
      hint: "Choose another, with --name where it is a model's.",
    });
}

/** A measurement of this very model, by the strongest attacker there is here. */
async function readLeak(
  path: string,
  model: string,
): Promise<{ leak: z.infer<typeof leakFileSchema>["leak"]; pictures: Uint8Array | null }> {
  let value: unknown;
  try {
    value = JSON.parse(await readText(path));
  } catch (cause) {
    if (UnseenError.isInstance(cause)) throw cause;
    value = undefined;
  }
  const parsed = leakFileSchema.safeParse(value);
  if (!parsed.success) throw new UnseenError("USAGE", `${path} is not what \`unseen leak --json\` prints.`, { hint: "Make it anew." });
  const { leak, picturesFile, effort } = parsed.data;
  if (parsed.data.model !== model)
    throw new UnseenError("USAGE", `${path} was measured on another model file.`, { hint: "Measure this one." });
  if (effort !== "full")
    throw new UnseenError("USAGE", `${path} was measured with --effort ${effort}, which reads less than an attacker would.`, {
      hint: "Measure with --effort full.",
    });
  return { leak, pictures: picturesFile === null ? null : await readBytes(picturesFile) };
}
