/**
 * Which change of a job is legal, by whom, and what comes of it. Pure: everything that changes a job asks here first.
 * @module
 */
import { finalStates, type Role, type State } from "../protocol.ts";

/** What can happen to a job. */
export type JobEvent =
  /** The user has uploaded everything. */
  | "submit"
  /** A worker takes the job, for as long as its lease. */
  | "claim"
  /** The worker has done its step. */
  | "done"
  /** The worker could not, and another attempt may succeed. */
  | "retry"
  /** The worker could not, and nobody will. */
  | "fail"
  /** The worker's lease ran out. */
  | "expire"
  /** The user sends the features. */
  | "features"
  /** The job was too long in one state. */
  | "overdue"
  | "cancel";

/** Who causes an event. */
export type Actor = Role | "hub";

/** The part of a job that decides what may happen to it. */
export interface JobPosition {
  readonly state: State;
  /** Times that a worker has begun the present step. */
  readonly attempts: number;
}

const MOVES: Readonly<Record<State, Partial<Record<JobEvent, readonly [by: Actor, to: State]>>>> = {
  uploading: { submit: ["user", "queued"] },
  queued: { claim: ["enclave", "evaluating"] },
  evaluating: {
    done: ["enclave", "evaluated"],
    retry: ["enclave", "queued"],
    fail: ["enclave", "failed"],
    expire: ["hub", "queued"],
  },
  evaluated: { features: ["user", "featured"] },
  featured: { claim: ["creator", "answering"] },
  answering: {
    done: ["creator", "answered"],
    retry: ["creator", "featured"],
    fail: ["creator", "failed"],
    expire: ["hub", "featured"],
  },
  answered: {},
  failed: {},
  cancelled: {},
};

/** Where a job is after an event; null where the event is not legal, and nothing changes. */
export function advance({ state, attempts }: JobPosition, event: JobEvent, by: Actor, maximumAttempts: number): JobPosition | null {
  if (finalStates.has(state)) return null;
  if (event === "cancel") return by === "user" ? { state: "cancelled", attempts } : null;
  if (event === "overdue") return by === "hub" ? { state: "failed", attempts } : null;
  const [actor, to] = MOVES[state][event] ?? [];
  if (to === undefined || actor !== by) return null;
  switch (event) {
    case "claim":
      return { state: to, attempts: attempts + 1 };
    case "retry":
    case "expire":
      return attempts < maximumAttempts ? { state: to, attempts } : { state: "failed", attempts };
    case "features":
      return { state: to, attempts: 0 };
    default:
      return { state: to, attempts };
  }
}
