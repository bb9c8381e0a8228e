/**
 * Questions between parties that cannot reach each other: the hub hands them on and keeps nothing. They live in this process's memory,
 * so of several hubs a worker must ask each one for work.
 * @module
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Work } from "../protocol.ts";
import type { Account } from "./accounts.ts";
import type { Bells } from "./bells.ts";
import { workTopic } from "./job-rows.ts";
import { Refusal } from "./refusal.ts";
import type { HubSettings } from "./settings.ts";

/** Whom a question is for: an enclave, any or the one with a key; or a creator by the account's name. */
export type Callee = { readonly kind: "enclave"; readonly key: string | null } | { readonly kind: "creator"; readonly name: string };

/** A question. */
export interface Question {
  readonly from: string;
  readonly to: Callee;
  readonly method: string;
  readonly body: unknown;
}

/** What a worker says to a question. */
export interface CallAnswer {
  readonly body: unknown;
  readonly error: { readonly code: string; readonly message: string } | null;
}

interface Pending extends Question {
  readonly id: string;
  /** Account of the worker that has it. */
  takenBy: string | null;
  readonly taken: PromiseWithResolvers<void>;
  readonly answered: PromiseWithResolvers<CallAnswer>;
}

/** The questions that are open now. */
export class Calls {
  readonly #bells: Bells;
  readonly #settings: HubSettings;
  readonly #pending = new Map<string, Pending>();

  constructor(bells: Bells, settings: HubSettings) {
    this.#bells = bells;
    this.#settings = settings;
  }

  /**
   * Asks and waits for the answer.
   * @throws UnseenError QUOTA_EXCEEDED or OVERLOADED for too many at once, HOST_UNREACHABLE where no worker takes it, HOST_TIMEOUT where
   * the one that did does not answer
   */
  async ask(question: Question, signal: AbortSignal): Promise<CallAnswer> {
    const { calls, callsPerAccount, callTakeSeconds, callAnswerSeconds } = this.#settings;
    const own = [...this.#pending.values()].filter(({ from }) => from === question.from).length;
    if (own >= callsPerAccount)
      throw new Refusal("QUOTA_EXCEEDED", `calls: expected at most ${callsPerAccount} of one account at once.`, { hint: "Wait for one." });
    if (this.#pending.size >= calls) throw new Refusal("OVERLOADED", "the hub has too many calls at once.", { hint: "Try again." });
    const call: Pending = {
      ...question,
      id: randomBytes(16).toString("hex"),
      takenBy: null,
      taken: Promise.withResolvers(),
      answered: Promise.withResolvers(),
    };
    const ended = new AbortController();
    const until = AbortSignal.any([signal, ended.signal]);
    const party = question.to.kind;
    this.#pending.set(call.id, call);
    this.#bells.ring(question.to.kind === "enclave" ? workTopic("enclave") : workTopic("creator", question.to.name));
    try {
      const taken = await Promise.race([call.taken.promise.then(() => true), within(callTakeSeconds, until)]);
      if (taken !== true)
        throw new Refusal("HOST_UNREACHABLE", `no ${party} that the call is for asks this hub for work now.`, {
          hint: `Try again when the ${party} runs.`,
        });
      const answer = await Promise.race([call.answered.promise, within(callAnswerSeconds, until)]);
      if (answer === null)
        throw new Refusal("HOST_TIMEOUT", `the ${party} took the call and did not answer within ${callAnswerSeconds} s.`, {
          hint: "Try again.",
        });
      return answer;
    } finally {
      this.#pending.delete(call.id);
      ended.abort();
    }
  }

  /** Gives a worker the oldest question that is for it; null where there is none. */
  take(worker: Account, keys: readonly string[]): Extract<Work, { kind: "call" }> | null {
    for (const call of this.#pending.values()) {
      if (call.takenBy !== null || !isFor(call.to, worker, keys)) continue;
      call.takenBy = worker.name;
      call.taken.resolve();
      return { kind: "call", id: call.id, method: call.method, body: call.body };
    }
    return null;
  }

  /** Takes a worker's answer. @throws UnseenError JOB_NOT_FOUND where nobody waits for it any more, or it was another worker's to give */
  answer(worker: Account, id: string, answer: CallAnswer): void {
    const call = this.#pending.get(id);
    if (!call || call.takenBy !== worker.name)
      throw new Refusal("JOB_NOT_FOUND", "nobody waits for an answer to this call.", { hint: "Answer sooner." });
    call.answered.resolve(answer);
  }
}

function isFor(to: Callee, { role, name }: Account, keys: readonly string[]): boolean {
  if (to.kind === "creator") return role === "creator" && name === to.name;
  return role === "enclave" && (to.key === null ? keys.length > 0 : keys.includes(to.key));
}

/** Null after some seconds, or when the signal says so. */
function within(seconds: number, signal: AbortSignal): Promise<null> {
  return sleep(seconds * 1000, null, { signal }).catch(() => null);
}
