/**
 * `npm run prove -- [NAME...] [--json]`: measures what the project promises and exits with 1 if a promise does not hold.
 * @module
 */
import { formatTable, verdict, type Finding, type Proof } from "./proof.ts";

/** Every proof, loaded when asked for. */
const proofs: Readonly<Record<string, () => Promise<Proof>>> = {
  chat: async () => (await import("./chat.ts")).chat,
  lab: async () => (await import("./lab.ts")).lab,
  models: async () => (await import("./models.ts")).models,
  shares: async () => (await import("./shares.ts")).shares,
  web: async () => (await import("./web.ts")).web,
  xray: async () => (await import("./xray.ts")).xray,
};

const flags = process.argv.slice(2);
const json = flags.includes("--json");
const names = flags.filter((flag) => !flag.startsWith("--"));
const unknown = names.filter((name) => !Object.hasOwn(proofs, name.split("/")[0] as string));
if (unknown.length > 0) {
  process.stderr.write(`prove: no proof ${unknown.join(", ")}. There is: ${Object.keys(proofs).join(", ")}; a part of one is NAME/PART.\n`);
  process.exit(1);
}

const results: { proof: string; findings: Finding[] }[] = [];
for (const name of names.length > 0 ? names : Object.keys(proofs)) {
  const [main, part] = name.split("/") as [string, string | undefined];
  const proof = await (proofs[main] as () => Promise<Proof>)();
  const findings: Finding[] = [];
  const note = (line: string): void => void process.stderr.write(`  ${line}\n`);
  note(`${proof.title}${part ? `: ${part}` : ""}`);
  try {
    for await (const { claim, figure, bar, holds } of proof.run(note, part)) {
      findings.push({ claim, figure, bar, holds });
      note(`${verdict({ bar, holds })}: ${claim}: ${figure}`);
    }
  } catch (error) {
    // A measurement that breaks off is no proof, and what was measured before stays worth seeing.
    findings.push({
      claim: `${name} can be measured`,
      figure: error instanceof Error ? error.message : String(error),
      bar: "-",
      holds: false,
    });
  }
  results.push({ proof: name, findings });
  if (!json) process.stdout.write(`\n${proof.title}\n\n${formatTable(findings)}\n`);
}
const holds = results.every(({ findings }) => findings.length > 0 && findings.every((finding) => finding.holds !== false));
if (json) process.stdout.write(`${JSON.stringify({ holds, results })}\n`);
process.exitCode = holds ? 0 : 1;
