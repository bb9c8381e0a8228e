/**
 * Why a form could not be sent, scrolled to, since a form may be longer than the screen.
 * @module
 */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Failure } from "../../src/protocol/failure.ts";
import { FailureNotice } from "./notice.tsx";

export function SubmissionFailure({ failure }: { readonly failure: Failure | null }): JSX.Element | null {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => element.current?.scrollIntoView({ block: "nearest" }), [failure]);
  if (!failure) return null;
  return (
    <div ref={element}>
      <FailureNotice failure={failure} />
    </div>
  );
}
