/**
 * What an attack job has told so far, in the forms that are shown: rows, curves, defences.
 * @module
 */
import type { Job } from "../../../src/protocol/jobs.ts";
import type { AttackResultRow, DefencePointRow } from "../../../src/protocol/lab.ts";
import type { Series } from "../../parts/charts.tsx";

/** Results of the attacks that have ended. */
export function resultsOf({ details }: Pick<Job, "details">): AttackResultRow[] {
  return details.filter(({ kind }) => kind === "attack").map(({ value }) => value as AttackResultRow);
}

/** Points of defences that were measured. */
export function defencesOf({ details }: Pick<Job, "details">): DefencePointRow[] {
  return details.filter(({ kind }) => kind === "defence").map(({ value }) => value as DefencePointRow);
}

export type ControlState = "held" | "failed" | "missing" | "none";

/** Whether the attack recovered what it must where it must succeed. */
export function controlState({ notRun, control, controlSetting }: AttackResultRow): ControlState {
  if (controlSetting === null) return "none";
  if (notRun !== null || control === null) return "missing";
  return control >= controlSetting.least ? "held" : "failed";
}

/** The most that an attack got, of the vocabulary or of a text; null where it was not run or aims at neither. */
export function mostRecovered({ notRun, vocabularyTop1, textTokens }: AttackResultRow): number | null {
  if (notRun !== null) return null;
  const shares = [vocabularyTop1, textTokens].filter((share) => share !== null);
  return shares.length === 0 ? null : Math.max(...shares);
}

/** A low figure means something only where the control held; what was recovered was recovered. */
export function saysSomething(result: AttackResultRow): boolean {
  const most = mostRecovered(result);
  return most !== null && (most >= 0.1 || controlState(result) === "held");
}

/** Curves over one kind of advantage. */
export interface CurveFigure {
  /** Such as "known pairs". */
  readonly of: string;
  readonly what: "vocabulary" | "text";
  readonly series: readonly Series[];
}

/** Figures of all attacks that have a curve; those over the same advantage share one. */
export function curvesOf(results: readonly AttackResultRow[]): CurveFigure[] {
  const advantages = [...new Set(results.flatMap(({ curve }) => (curve ? [curve.of] : [])))];
  return advantages.flatMap((of) =>
    (["vocabulary", "text"] as const).flatMap((what) => {
      const series = results.flatMap(({ name, curve }): Series[] => {
        if (curve?.of !== of) return [];
        const points = curve.points.flatMap(({ x, vocabularyTop1, textTokens }) => {
          const y = what === "vocabulary" ? vocabularyTop1 : textTokens;
          return y === null ? [] : [{ x, y }];
        });
        return points.length > 0 ? [{ name, points }] : [];
      });
      return series.length > 0 ? [{ of, what, series }] : [];
    }),
  );
}

/** What attacks recover of a model under a defence. */
export interface DefenceFigure {
  readonly defence: string;
  /** What `x` of the curves is: how much of the model is left, or, for a model that stays exact, the dial. */
  readonly across: "fidelity" | "dial";
  readonly what: "vocabulary" | "text";
  readonly series: readonly Series[];
  readonly points: readonly DefencePointRow[];
}

/** A figure for each defence, of the texts where any was read. */
export function defenceFigures(points: readonly DefencePointRow[]): DefenceFigure[] {
  return [...new Set(points.map(({ defence }) => defence))].map((defence) => {
    const own = points.filter((point) => point.defence === defence);
    const across = own.every(({ fidelity }) => fidelity !== null) ? "fidelity" : "dial";
    const what = across === "dial" && own.some(({ recovery }) => Object.values(recovery).some(({ textTokens }) => textTokens !== null)) ? "text" : "vocabulary"; // prettier-ignore
    const names = [...new Set(own.flatMap(({ recovery }) => Object.keys(recovery)))];
    const series = names.map((name) => ({
      name,
      points: own
        .flatMap(({ x, fidelity, recovery }) => {
          const found = recovery[name];
          const y = what === "text" ? found?.textTokens : found?.vocabularyTop1;
          return y === undefined || y === null ? [] : [{ x: across === "fidelity" ? fidelity!.top1 : x, y }];
        })
        .toSorted((one, other) => one.x - other.x),
    }));
    return { defence, across, what, series, points: own };
  });
}
