/**
 * A private run as a story: what was done so far, and what each party has got.
 * @module
 */
import type { Job } from "../../../src/protocol/jobs.ts";

export type Party = "user" | "hub" | "enclave" | "creator";

/** What one party has got, the detail `view`. */
export interface View {
  readonly party: Party;
  /** Base64 of a PNG. */
  readonly png: string;
  readonly bytes: number;
  readonly note?: string;
}

/** The detail `stage`. */
export interface Stage {
  readonly name: string;
  readonly seconds: number;
  /** That it moved over the network. */
  readonly bytes: number;
}

export interface StageRow {
  readonly name: string;
  /** For a person. */
  readonly label: string;
  readonly who: string;
  readonly state: "waiting" | "running" | "done";
  readonly seconds: number | null;
  readonly bytes: number;
  /** 0..1 of a running stage; null where it is unknown. */
  readonly share: number | null;
}

/** The detail `enclave`. */
export interface EnclaveFacts {
  readonly kind: string;
  readonly simulated: boolean;
  readonly measurement: string;
}

/** The object of `unseen private-run --json`, as far as it is shown. */
export interface RunResult {
  readonly label: string;
  readonly decision: number;
  readonly labels?: readonly string[];
  readonly outputs: readonly { readonly name: string; readonly values: readonly number[] }[];
  readonly plainLabel?: string;
  readonly maxError?: number;
}

interface Known {
  readonly label: string;
  readonly who: string;
  /** Not every run has it. */
  readonly optional?: true;
}

/** The way of one picture, in order. */
const WAY: Readonly<Record<string, Known>> = {
  "start hub, enclave and creator": { label: "Start hub, enclave and creator here", who: "this machine", optional: true },
  "verify the enclave": { label: "Verify the enclave's evidence", who: "you" },
  "make keys": { label: "Make the keys of this session", who: "you" },
  "upload keys": { label: "Upload the keys that compute", who: "you", optional: true },
  encrypt: { label: "Encrypt the picture", who: "you" },
  "upload picture": { label: "Upload the ciphertext", who: "you" },
  "evaluate on ciphertext": { label: "Compute the first layers on ciphertext", who: "enclave" },
  "download features": { label: "Download the encrypted features", who: "you" },
  decrypt: { label: "Decrypt, then add noise and round", who: "you" },
  "send features": { label: "Send the features to the creator", who: "you" },
  "the creator's layers": { label: "Compute the other layers", who: "creator" },
  "download answer": { label: "Download and open the answer", who: "you" },
};

/** The stages of a run: those that are over, the one of now, and those to come. */
export function stagesOf(job: Pick<Job, "details" | "progress" | "state">): StageRow[] {
  const done = job.details.filter(({ kind }) => kind === "stage").map(({ value }) => value as Stage);
  const running = job.state === "running" && job.progress && !done.some(({ name }) => name === job.progress!.label) ? job.progress : null;
  const passed = [...done.map(({ name }) => name), ...(running ? [running.label] : [])];
  const names = Object.keys(WAY);
  const last = Math.max(-1, ...passed.map((name) => names.indexOf(name)));
  const rows = passed.map((name): StageRow => {
    const stage = done.find((one) => one.name === name);
    const { label, who } = WAY[name] ?? { label: name, who: "" };
    if (stage) return { name, label, who, state: "done", seconds: stage.seconds, bytes: stage.bytes, share: null };
    const share = running && running.total > 1 ? running.done / running.total : null;
    return { name, label, who, state: "running", seconds: null, bytes: 0, share };
  });
  if (job.state !== "running") return rows;
  const coming = names.slice(last + 1).filter((name) => !WAY[name]!.optional && !passed.includes(name));
  return [...rows, ...coming.map((name): StageRow => ({ name, ...WAY[name]!, state: "waiting", seconds: null, bytes: 0, share: null }))];
}

/** What each party has got so far. */
export function viewsOf({ details }: Pick<Job, "details">): ReadonlyMap<Party, View> {
  return new Map(details.filter(({ kind }) => kind === "view").map(({ value }) => [(value as View).party, value as View]));
}

/** null until its evidence has been verified. */
export function enclaveOf({ details }: Pick<Job, "details">): EnclaveFacts | null {
  return (details.find(({ kind }) => kind === "enclave")?.value as EnclaveFacts | undefined) ?? null;
}

/** Values of a network's last layer as shares that add up to 1. */
export function softmax(values: readonly number[]): number[] {
  const largest = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
