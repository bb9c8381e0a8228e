/**
 * `npm run build:worth`: measures what `encrypt` and `gateway` quote, and writes it into the command line's sources.
 * @module
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Attack } from "@unseen/lab/attack.ts";
import { withBase } from "@unseen/lab/attacks/with-base.ts";
import { measureSubject, subjects, STRENGTHS } from "./lab-subjects.ts";

/** The strongest of T2 on every model, by what it computes and by how its rows look. Known text makes them faster and is not needed. */
const attacks: readonly Attack[] = withBase.filter(({ name }) => name === "functional-fingerprint" || name === "sorted-rows");
const REFERENCES = { decoder: "story-llama", encoder: "sst2-distilbert" } as const;

const measured: Record<string, Record<string, object>> = {};
for (const [kind, name] of Object.entries(REFERENCES)) {
  const subject = [...subjects()].find((each) => each.name === name);
  if (!subject) {
    process.stderr.write(`build:worth: ${name} is not here; its figures are measured on the test data (CONTRIBUTING.md).\n`);
    process.exit(1);
  }
  measured[kind] = {};
  for (const strength of STRENGTHS) {
    const report = await measureSubject(subject, strength, attacks);
    // The strongest; of equals, the fastest.
    const [worst] = report.attacks
      .filter(({ vocabularyTop1 }) => vocabularyTop1 !== null)
      .toSorted((a, b) => (b.vocabularyTop1 ?? 0) - (a.vocabularyTop1 ?? 0) || a.seconds - b.seconds);
    if (!worst) throw new Error(`no attack ran on ${name}`);
    const { name: attack, vocabularyTop1, seconds, keys } = worst;
    measured[kind][strength] = {
      model: name,
      attack,
      vocabularyTop1: Number(vocabularyTop1?.toFixed(4)),
      seconds: Math.max(1, Math.round(seconds)),
      keys,
    };
    process.stdout.write(
      `${name}, ${strength}: ${attack} recovers ${(100 * (vocabularyTop1 ?? 0)).toFixed(2)} % in ${seconds.toFixed(1)} s\n`,
    );
  }
}

const text = `// Figures of \`npm run prove -- lab/weights\`; \`npm run build:worth\` measures them anew and writes this file.
import type { Strength } from "@unseen/core/blueprint/spaces.ts";

/** The strongest attack of a host that has the public model, on a reference model. */
export interface MeasuredWorth {
  readonly model: string;
  readonly attack: string;
  /** 0..1, mean over keys. */
  readonly vocabularyTop1: number;
  readonly seconds: number;
  readonly keys: number;
}

export const measuredWorth: Readonly<Record<"decoder" | "encoder", Readonly<Record<Strength, MeasuredWorth>>>> = ${JSON.stringify(measured, null, 2)};
`;
writeFileSync(fileURLToPath(new URL("../packages/unseen/src/measured-worth.ts", import.meta.url)), text);
