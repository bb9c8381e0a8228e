/**
 * The work of `unseen private-run`: a picture is classified by a model whose creator never sees it.
 * @module
 */
import { largest } from "@unseen/client/encoders/scores.ts";
import { basename, join } from "node:path";
import { readPolicy } from "@unseen/attest/read-policy.ts";
import { SIMULATOR_WARNING } from "@unseen/attest/shout.ts";
import { resolveHome } from "@unseen/client/home.ts";
import { decodeOnnx, type OnnxModel } from "@unseen/core/checkpoint/onnx.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { runHead } from "@unseen/fhe/compile/run-head.ts";
import { readHeads } from "@unseen/fhe/graph/read-heads.ts";
import { runClear } from "@unseen/fhe/graph/run-clear.ts";
import { withPictureScale, type Head } from "@unseen/fhe/layer.ts";
import { defaultObfuscation, obfuscate, restore, type Obfuscation } from "@unseen/fhe/obfuscation.ts";
import { planCuts } from "@unseen/fhe/planner/plan-cuts.ts";
import type { HubClient } from "@unseen/hub/api/hub-client.ts";
import type { Policy } from "@unseen/attest/policy.ts";
import { pictureValues, readPictureFile } from "@unseen/hub/user/picture.ts";
import { PrivateSession, type PrivateResult, type Stage } from "@unseen/hub/user/private-session.ts";
import { secureUniform } from "@unseen/hub/user/secure-uniform.ts";
import { saveViews } from "@unseen/hub/user/views.ts";
import { BUNDLED_PICTURE_MODEL } from "../bundled-models.ts";
import type { PrivateRunFlags } from "../commands/private-run.ts";
import type { Terminal } from "../terminal.ts";
import { classNamesOf } from "./cuts.ts";
import { connectHub } from "./hub-flags.ts";
import { startLocalParties } from "./local-parties.ts";
import { openPicture, STANDARD_INPUT } from "./open-picture.ts";
import { readBytes } from "./read-file.ts";
import { StageBars } from "./stage-bars.ts";
import { interruptible } from "./until-signal.ts";
import { ViewTeller } from "./view-teller.ts";
import { openTail, runWhole } from "./whole-model.ts";

/** What is said of one picture. */
interface Report {
  readonly file: string;
  readonly label: string;
  readonly decision: number;
  /** Names of all classes, where the model has names. */
  readonly labels: readonly string[];
  readonly outputs: PrivateResult["outputs"];
  readonly stages: readonly Stage[];
  readonly views: readonly string[];
  /** Locally alone: what the model says without any protection, and the largest error of the features. */
  readonly plainLabel?: string;
  readonly maxError?: number;
}

/** Runs pictures through a hub, or through four parties on this machine. */
export async function privateRun(files: readonly string[], options: PrivateRunFlags, terminal: Terminal): Promise<object> {
  if (files.filter((file) => file === STANDARD_INPUT).length > 1)
    throw new UnseenError("USAGE", "standard input holds one picture, and - was given more than once.", { hint: "Give files." });
  const local = options.local ? await openLocalModel(options) : null;
  if (options.mode !== "execute") {
    if (!local) throw new UnseenError("USAGE", `--mode ${options.mode} runs without the other parties.`, { hint: "Add --local." });
    return summary(await Promise.all(files.map((file) => runWithoutParties(file, local, options))), terminal);
  }
  return interruptible("The parties on this machine were ended, and nothing was kept.", (signal) =>
    runWithParties(files, local, options, terminal, signal),
  );
}

async function runWithParties(
  files: readonly string[],
  local: LocalModel | null,
  options: PrivateRunFlags,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<object> {
  const bars = new StageBars(terminal);
  const { parties, stages } = local ? await startParties(local, options, bars, signal) : { parties: null, stages: [] };
  try {
    const policy = parties?.policy ?? (await readRequiredPolicy(options));
    if (policy.mode === "simulator") terminal.note(SIMULATOR_WARNING);
    const views = new ViewTeller(terminal);
    const session = await openSession(
      parties?.hub ?? connectHub(options),
      policy,
      local ? "local-model" : options.model,
      options,
      parties?.directory ?? resolveHome().root,
      { terminal, bars, views, signal },
    );
    try {
      const reports: Report[] = [];
      for (const file of files) {
        const report = await runOne(session, file, local, options, { terminal, views });
        // What opening the session took belongs to the first picture.
        reports.push(reports.length > 0 ? report : { ...report, stages: [...stages, ...session.stages, ...report.stages] });
      }
      return { ...summary(reports, terminal), attestation: session.enclave.kind, version: session.version };
    } finally {
      session.close();
    }
  } finally {
    await parties?.close();
  }
}

/** The others, as a stage of its own. */
async function startParties(local: LocalModel, options: PrivateRunFlags, bars: StageBars, signal: AbortSignal) {
  const name = "start hub, enclave and creator";
  const started = performance.now();
  bars.update(name, 0, 0);
  const parties = await startLocalParties(local.file, publicationOf(local, options), signal);
  bars.update(name, 1, 1);
  const stage: Stage = { name, seconds: (performance.now() - started) / 1000, bytes: 0 };
  bars.end(stage);
  return { parties, stages: [stage] };
}

interface LocalModel {
  readonly path: string;
  readonly file: Uint8Array;
  readonly model: OnnxModel;
  /** What a white pixel is to the model. */
  readonly scale: number;
  /** For pixels from 0 to 1. */
  readonly heads: readonly Head[];
  readonly end: string;
  readonly labels: readonly string[];
}

async function openLocalModel({ model: given, scale }: PrivateRunFlags): Promise<LocalModel> {
  const path = given === "xray" ? BUNDLED_PICTURE_MODEL : given;
  const file = await readBytes(path);
  const model = decodeOnnx(file);
  const { heads, end } = readHeads(model);
  return { path, file, model, scale, end, heads: heads.map((head) => withPictureScale(head, scale)), labels: classNamesOf(model) };
}

function publicationOf({ labels }: LocalModel, options: PrivateRunFlags) {
  return {
    name: "local-model",
    card: "",
    licence: "LicenseRef-local",
    labels,
    scale: options.scale,
    leaks: [],
    budget: Number(options.budget),
  };
}

async function readRequiredPolicy({ requireAttestation }: PrivateRunFlags): Promise<Policy> {
  if (requireAttestation === undefined)
    throw new UnseenError("USAGE", "nothing says which enclaves may have the ciphertext.", {
      hint: "Give --require-attestation POLICY.json; `unseen attest policy` makes one.",
    });
  return readPolicy(requireAttestation);
}

async function openSession(
  hub: HubClient,
  policy: Policy,
  name: string,
  options: PrivateRunFlags,
  place: string,
  around: { readonly terminal: Terminal; readonly bars: StageBars; readonly views: ViewTeller; readonly signal: AbortSignal },
): Promise<PrivateSession> {
  const [model, version] = name.split("@") as [string, string | undefined];
  const { terminal, bars, views, signal } = around;
  const session = await PrivateSession.open({
    hub,
    model,
    version: version ?? null,
    cut: options.cut ?? null,
    scheme: options.scheme ?? null,
    policy,
    obfuscation: obfuscationOf(options),
    budget: Number(options.budget),
    knownCreators: join(place, "known-creators.json"),
    progress: (stage, done, total) => bars.update(stage, done, total),
    onStage: (stage) => bars.end(stage),
    onEnclave: (enclave) => views.tellEnclave(enclave),
    onSeen: (sight) => views.tellOther(sight),
    signal,
  });
  const { cut, manifest } = session;
  views.featuresAre(shapeOf(cut.features));
  terminal.note(
    `Cut ${cut.cut} (${cut.parameters.scheme}): ${cut.layers.join(", ")} on ciphertext; the creator gets ${cut.features.join(" x ")} features.`,
  );
  if (session.isNewCreator && !options.local)
    terminal.note(`The creator of ${manifest.name} is new here; its key ${manifest.creatorKey} is remembered.`);
  return session;
}

async function runOne(
  session: PrivateSession,
  file: string,
  local: LocalModel | null,
  options: PrivateRunFlags,
  { terminal, views: teller }: { readonly terminal: Terminal; readonly views: ViewTeller },
): Promise<Report> {
  const bytes = await readPictureFile(await openPicture(file), session.manifest.picture.shape);
  const shape = shapeOf(session.manifest.picture.shape);
  teller.tellUser(bytes, shape);
  const result = await session.run(bytes);
  await teller.whenTold();
  const views = options.showViews
    ? await saveViews(options.showViews === true ? `${file === STANDARD_INPUT ? "picture" : basename(file)}.views` : options.showViews, {
        user: { bytes, shape },
        hub: result.seen.hub,
        enclave: result.seen.enclave[0]!,
        creator: { features: result.seen.creator, shape: shapeOf(session.cut.features) },
      })
    : [];
  const plain = local ? await compareWithPlain(local, session.cut.cut, pictureValues(bytes), result.features) : {};
  const { label, decision, outputs, stages } = result;
  terminal.print(`${file === STANDARD_INPUT ? "standard input" : file}: ${label}`);
  return { file, label, decision, labels: session.manifest.labels, outputs, stages, views, ...plain };
}

function shapeOf([channels, height, width]: readonly [number, number, number]) {
  return { channels, height, width };
}

async function compareWithPlain(local: LocalModel, cut: number, picture: Float64Array, features: Float64Array) {
  const clear = runClear(local.heads[cut - 1]!, picture);
  const outputs = await runWhole(
    local.path,
    picture.map((value) => value * local.scale),
  );
  const decision = largest(outputs[0]!.values);
  return { plainLabel: local.labels[decision] ?? `class ${decision}`, maxError: largestDifference(clear, features) };
}

/** `--mode disable` and `--mode simulate`: no parties, no ciphertext. */
async function runWithoutParties(file: string, local: LocalModel, options: PrivateRunFlags): Promise<Report> {
  const plan = planCuts({ heads: [...local.heads], end: local.end });
  const wanted = options.cut ?? local.heads.length;
  const planned = plan.cuts.find(
    ({ cut, parameters, refused }) => cut === wanted && refused === null && parameters.scheme === (options.scheme ?? "ckks"),
  );
  if (!planned) throw new UnseenError("CUT_UNAVAILABLE", `the model has no cut ${wanted}: ${plan.end}`, { hint: "See `unseen cuts`." });
  const head = local.heads[wanted - 1]!;
  const picture = pictureValues(await readPictureFile(await openPicture(file), [head.shape.channels, head.shape.height, head.shape.width]));
  const started = performance.now();
  const features = runHead(head, picture, {
    mode: options.mode as "disable" | "simulate",
    parameters: planned.parameters,
    uniform: secureUniform(),
  });
  const seconds = (performance.now() - started) / 1000;
  const seen = restore(obfuscate(features, head.output, obfuscationOf(options), secureUniform()));
  const tail = await openTail(local.model, wanted);
  const outputs = await tail.run(seen).finally(tail.close);
  const decision = largest(outputs[0]!.values);
  const plain = await compareWithPlain(local, wanted, picture, features);
  return {
    file,
    label: local.labels[decision] ?? `class ${decision}`,
    decision,
    labels: local.labels,
    outputs,
    stages: [{ name: options.mode, seconds, bytes: 0 }],
    views: [],
    ...plain,
  };
}

function obfuscationOf({ noise, bits, clip, channels }: PrivateRunFlags): Obfuscation {
  return {
    clip: clip ?? defaultObfuscation.clip,
    noise: noise ?? defaultObfuscation.noise,
    bits: bits ?? defaultObfuscation.bits,
    channels: channels ?? defaultObfuscation.channels,
  };
}

/** The object of `--json`: of one picture as it is, of several as a list. */
function summary(reports: readonly Report[], terminal: Terminal): object {
  for (const { stages, plainLabel, maxError, label } of reports) {
    for (const { name, seconds, bytes } of stages)
      terminal.print(`  ${name.padEnd(24)} ${seconds.toFixed(2).padStart(7)} s  ${bytes === 0 ? "" : `${bytes} bytes`}`.trimEnd());
    if (plainLabel !== undefined)
      terminal.print(
        `  without protection: ${plainLabel}${plainLabel === label ? ", the same" : ""}; largest error of a feature ${maxError!.toExponential(1)}`,
      );
  }
  return reports.length === 1 ? reports[0]! : { pictures: reports };
}

function largestDifference(left: Float64Array, right: Float64Array): number {
  return left.reduce((most, value, index) => Math.max(most, Math.abs(value - right[index]!)), 0);
}
