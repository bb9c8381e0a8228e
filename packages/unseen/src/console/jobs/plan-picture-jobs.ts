/**
 * The command lines of jobs on models for pictures, whose first layers run on ciphertext.
 * @module
 */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parsePolicy } from "@unseen/attest/read-policy.ts";
import { ensureDirectory, writeFileAtomically } from "@unseen/client/atomic-file.ts";
import type { Home } from "@unseen/client/home.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { nameOf } from "../../bundle-model.ts";
import { BUNDLED_PICTURE_MODEL } from "../../bundled-models.ts";
import type { Asked } from "./new-job.ts";
import { existingPath, fileName, freePath } from "./places.ts";
import { flag } from "./plan-model-jobs.ts";
import type { Plan, Step } from "./plan.ts";

export async function planCuts({ model }: Asked<"cuts">): Promise<Plan> {
  const path = await pictureModel(model);
  return { subject: nameOf(path), steps: [{ command: ["cuts"], options: ["--calibrate"], operands: [path] }] };
}

export async function planLeak(job: Asked<"leak">, home: Home, taken: ReadonlySet<string>): Promise<Plan> {
  const { cut, noise, bits, effort } = job;
  const path = await pictureModel(job.model);
  const output = await freePath(home.reports, `leak-${fileName(nameOf(path))}-cut-${cut}`, ".png", taken);
  await ensureDirectory(home.reports);
  const options = [`--cut=${cut}`, `--noise=${noise}`, `--bits=${bits}`, `--effort=${effort}`, `--pictures=${output}`];
  return { subject: `${nameOf(path)}, cut ${cut}`, output, steps: [{ command: ["leak"], options, operands: [path] }] };
}

/** The picture goes to the command's standard input: it lies in no file and in no argument. */
export async function planPrivateRun(job: Asked<"private-run">): Promise<Plan> {
  const { hub, cut, scheme, noise, bits } = job;
  const input = Buffer.from(job.picture, "base64");
  if (input.length === 0)
    throw new UnseenError("REQUEST_INVALID", "the picture is empty or not base64.", {
      hint: "Choose a PNG, JPEG, WebP, GIF or TIFF file.",
    });
  const options = [`--cut=${cut}`, ...flag("scheme", scheme), ...flag("noise", noise), ...flag("bits", bits)];
  const step: Step = { command: ["private-run"], options: ["--local", ...options], operands: ["-"], input, shownOperands: "PICTURE" };
  if (!hub) return { subject: "a picture, all parties on this machine", steps: [step] };
  const url = new URL(hub.url);
  if (url.username || url.password)
    throw new UnseenError("REQUEST_INVALID", "the hub's address holds a password.", { hint: "Give the address alone, and the API key." });
  parsePolicy(hub.policy, "the policy");
  const policy = join(tmpdir(), `unseen-policy-${randomBytes(8).toString("hex")}.json`);
  await writeFileAtomically(policy, hub.policy);
  const remote = [`--hub=${url.href}`, `--model=${hub.model}`, `--require-attestation=${policy}`];
  return {
    subject: `a picture, ${hub.model} at ${url.host}`,
    steps: [{ ...step, options: [...remote, ...options], secrets: { UNSEEN_HUB_KEY: hub.key } }],
    cleanUp: () => rm(policy, { force: true }),
  };
}

async function pictureModel(given: string | undefined): Promise<string> {
  return given === undefined ? BUNDLED_PICTURE_MODEL : existingPath(given);
}
