/**
 * The hub's requests by name, for the party that makes them.
 * @module
 */
import { z } from "zod";
import {
  jobSchema,
  limits,
  manifestSchema,
  modelSchema,
  versionOf,
  workSchema,
  type Job,
  type JobRequest,
  type ModelManifest,
  type Role,
  type State,
  type Work,
} from "../protocol.ts";
import type { HubClient } from "./hub-client.ts";
import { UnseenError } from "@unseen/core/errors.ts";

/** Everybody may list models. */
export function listModels(hub: HubClient): Promise<z.infer<typeof modelSchema>[]> {
  return hub.json("GET", "/v1/models", z.object({ models: z.array(modelSchema).max(100_000) })).then(({ models }) => models);
}

/**
 * A version's manifest, checked against its name; the newest version where none is given.
 * @throws UnseenError MODEL_NOT_FOUND, HUB_REFUSED for a manifest that is not the version
 */
export async function readManifest(
  hub: HubClient,
  name: string,
  version: string | null,
): Promise<{ version: string; manifest: ModelManifest }> {
  const wanted = version ?? (await hub.json("GET", `/v1/models/${encodeURIComponent(name)}`, modelSchema)).versions[0]?.version;
  if (!wanted) throw new UnseenError("MODEL_NOT_FOUND", `the model ${name} has no version.`, { hint: "See `unseen hub models`." });
  const { manifest } = await hub.json(
    "GET",
    `/v1/models/${encodeURIComponent(name)}/versions/${wanted}`,
    z.object({ manifest: manifestSchema }),
  );
  if (versionOf(manifest) !== wanted || manifest.name !== name)
    throw new UnseenError("HUB_REFUSED", "the hub sent another model than the version's name says.", { hint: "Do not trust this hub." });
  return { version: wanted, manifest };
}

/** A creator's manifest; the version that it became. */
export async function publishVersion(hub: HubClient, manifest: ModelManifest): Promise<string> {
  const { version } = await hub.json("POST", `/v1/models/${manifest.name}/versions`, z.object({ version: z.string() }), {
    body: { manifest },
  });
  if (version !== versionOf(manifest))
    throw new UnseenError("HUB_REFUSED", "the hub gave the version another name than its content has.", {});
  return version;
}

export function createJob(hub: HubClient, request: JobRequest, signal?: AbortSignal): Promise<Job> {
  return hub.json("POST", "/v1/jobs", jobSchema, { body: request, signal });
}

export function submitJob(hub: HubClient, id: string, signal?: AbortSignal): Promise<Job> {
  return hub.json("POST", `/v1/jobs/${id}/submit`, jobSchema, { body: {}, signal });
}

/** The job once it has left a state, or as it is after the longest wait. */
export function awaitJob(hub: HubClient, id: string, after: State, signal?: AbortSignal): Promise<Job> {
  return hub.json("GET", `/v1/jobs/${id}?after=${after}&wait=${limits.waitSeconds}`, jobSchema, { wait: limits.waitSeconds, signal });
}

export function sendFeatures(hub: HubClient, id: string, features: string, signal?: AbortSignal): Promise<Job> {
  return hub.json("POST", `/v1/jobs/${id}/features`, jobSchema, { body: { features }, signal });
}

export function cancelJob(hub: HubClient, id: string): Promise<Job> {
  return hub.json("POST", `/v1/jobs/${id}/cancel`, jobSchema, { body: {} });
}

/** What a worker is asked to do next; null after a wait without anything. */
export async function askForWork(
  hub: HubClient,
  request: { readonly keys: readonly string[]; readonly attestation: "tdx" | "simulator" | null; readonly callsOnly: boolean },
  signal?: AbortSignal,
): Promise<Work | null> {
  const answer = await hub.json("POST", "/v1/tasks", workSchema.optional(), {
    body: { ...request, wait: limits.waitSeconds },
    wait: limits.waitSeconds,
    signal,
  });
  return answer ?? null;
}

export async function renewLease(hub: HubClient, job: string, lease: string, signal?: AbortSignal): Promise<void> {
  await hub.json("POST", `/v1/tasks/${job}/renew`, z.unknown(), { body: { lease }, signal });
}

export async function finishWork(
  hub: HubClient,
  job: string,
  result: { lease: string; blob: string },
  signal?: AbortSignal,
): Promise<void> {
  await hub.json("POST", `/v1/tasks/${job}/done`, z.unknown(), { body: result, signal });
}

export async function failWork(
  hub: HubClient,
  job: string,
  failure: { lease: string; code: string; message: string; again: boolean },
  signal?: AbortSignal,
): Promise<void> {
  await hub.json("POST", `/v1/tasks/${job}/fail`, z.unknown(), { body: failure, signal });
}

/** Whom a question is for. */
export type Callee = { readonly kind: "enclave"; readonly key: string | null } | { readonly kind: "creator"; readonly version: string };

/** Asks a worker something; its answer, checked. @throws UnseenError with the worker's or the hub's code */
export async function call<Schema extends z.ZodType>(
  hub: HubClient,
  to: Callee,
  method: "evidence" | "challenge" | "release",
  body: object,
  schema: Schema,
  signal?: AbortSignal,
): Promise<z.infer<Schema>> {
  const answer = await hub.json("POST", "/v1/calls", z.object({ body: z.unknown() }), {
    body: { to, method, body },
    wait: limits.waitSeconds,
    signal,
  });
  const parsed = schema.safeParse(answer.body);
  if (!parsed.success) {
    throw new UnseenError("HUB_REFUSED", `the answer to "${method}" does not follow the protocol.`, {
      hint: "Both sides must run the same version of Unseen.",
    });
  }
  return parsed.data;
}

export async function answerCall(
  hub: HubClient,
  id: string,
  answer: { body: unknown; error: { code: string; message: string } | null },
  signal?: AbortSignal,
): Promise<void> {
  await hub.json("POST", `/v1/calls/${id}/answer`, z.unknown(), { body: answer, signal });
}

/** A new account and its API key, which the hub shows once. The client must speak with the hub's admin key. */
export function createAccount(hub: HubClient, account: { readonly name: string; readonly role: Role }): Promise<string> {
  return hub.json("POST", "/v1/accounts", z.object({ key: z.string().max(200) }), { body: account }).then(({ key }) => key);
}
