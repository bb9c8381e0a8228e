/**
 * What a form does when it is sent: once at a time, and with a place for what went wrong.
 * @module
 */
import { useState } from "preact/hooks";
import type { Failure } from "../../src/protocol/failure.ts";
import { failureOf } from "../api/console.ts";

export interface Submission {
  readonly busy: boolean;
  /** Of the last try. */
  readonly failure: Failure | null;
  /** Does the work unless it is being done. */
  submit(work: () => Promise<void>): void;
}

export function useSubmission(): Submission {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const submit = (work: () => Promise<void>): void => {
    if (busy) return;
    setBusy(true);
    setFailure(null);
    work().then(
      () => setBusy(false),
      (error: unknown) => {
        setBusy(false);
        setFailure(failureOf(error));
      },
    );
  };
  return { busy, failure, submit };
}
