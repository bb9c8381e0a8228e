/**
 * What was measured on an encrypted model: how exactly it computes, and what its protection is worth.
 * @module
 */
import type { JSX } from "preact";
import type { FidelityRow, Worth } from "../../../src/protocol/library.ts";
import { compact, percent } from "../../parts/numbers.ts";
import style from "./models.module.css";

export function FidelityText({ fidelity }: { readonly fidelity: FidelityRow | null }): JSX.Element {
  if (!fidelity) return <span class="quiet">Not measured.</span>;
  const { greedyAgreement, meanKl, maxLogitDifference, tokens } = fidelity;
  return (
    <span>
      Same likeliest output at {percent(greedyAgreement)} of {tokens} positions. Mean divergence (KL) {compact(meanKl)} nats, largest
      difference {compact(maxLogitDifference)}.
    </span>
  );
}

export function WorthText({ worth }: { readonly worth: Worth }): JSX.Element {
  if (worth.lines.length === 0) return <span class="quiet">No figures for a model of this kind.</span>;
  return (
    <span class={style["worth"]}>
      {worth.lines.join(" ")}
      {!worth.own && (
        <>
          , or in the <a href="/lab">lab</a>.
        </>
      )}
    </span>
  );
}
