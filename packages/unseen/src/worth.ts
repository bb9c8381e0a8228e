/**
 * What a protection is worth, said where people decide: the lab's figures for this very model where it was attacked, else those
 * of the bundled model under the same strength.
 * @module
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Home } from "@unseen/client/home.ts";
import type { Manifest } from "@unseen/core/blueprint/manifest.ts";
import { parseReport } from "@unseen/lab/report/parse.ts";
import { verdictOf } from "@unseen/lab/report/verdict.ts";
import { measuredWorth } from "./measured-worth.ts";

/** Where the lab keeps what it measured on a model. */
export function reportFile(home: Home, fingerprint: string): string {
  return join(home.reports, `${fingerprint}.json`);
}

/**
 * Two lines for a person.
 *
 * @param kind whether the model continues text or encodes it; null where it takes no token ids, and then there is nothing to say
 */
export async function worthOf(
  home: Home,
  { fingerprint, strength }: Pick<Manifest, "fingerprint" | "strength">,
  kind: "decoder" | "encoder" | null,
): Promise<string[]> {
  if (kind === null) return [];
  const own = await ownVerdict(home, fingerprint);
  if (own) return ["Measured on this model by `unseen attack`:", own];
  const { model, attack, vocabularyTop1, seconds, keys } = measuredWorth[kind][strength];
  return [
    `Measured on ${model} under ${strength}: a host that has the public model recovers ${(vocabularyTop1 * 100).toFixed(1)} % of the token ids`,
    `without the key (${attack}, ${seconds.toFixed(0)} s, mean of ${keys} keys). Yours: unseen attack MODEL --base PLAIN`,
  ];
}

/** What the lab found out about this very model, in one sentence; null where it was not measured. */
export async function ownVerdict(home: Home, fingerprint: string): Promise<string | null> {
  try {
    return verdictOf(parseReport(await readFile(reportFile(home, fingerprint), "utf8"))).sentence;
  } catch {
    // Not measured, or by another version: the figures of the bundled model stand in.
    return null;
  }
}
