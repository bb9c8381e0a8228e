/**
 * The work of `unseen attack` and `unseen report`.
 * @module
 */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { ensureDirectory, writeFileAtomically } from "@unseen/client/atomic-file.ts";
import { loadBundle, loadBundleEnds, loadBundleTokenizer, type BundleEnds } from "@unseen/client/bundle.ts";
import { resolveHome, type Home } from "@unseen/client/home.ts";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import type { Attack } from "@unseen/lab/attack.ts";
import { allAttacks } from "@unseen/lab/attacks/index.ts";
import { judgeAttack } from "@unseen/lab/attacks/judge.ts";
import { allDefences, measureDefences, type DefenceRow } from "@unseen/lab/defences/index.ts";
import type { DefencePoint, LabReport } from "@unseen/lab/lab-report.ts";
import { measureModel, readManifest } from "@unseen/lab/measure-model.ts";
import { renderReport } from "@unseen/lab/report/page.ts";
import { parseReport } from "@unseen/lab/report/parse.ts";
import { verdictOf } from "@unseen/lab/report/verdict.ts";
import type { AttackResult } from "@unseen/lab/result.ts";
import type { AttackFlags } from "./commands/attack.ts";
import { openKey } from "./keys.ts";
import { interruptible } from "./private/until-signal.ts";
import type { Terminal } from "./terminal.ts";
import { reportFile } from "./worth.ts";

/** `unseen attack`: measures, prints a line an attack, keeps the report in the home and returns it. */
export async function attackModel(model: string, options: AttackFlags, version: string, terminal: Terminal): Promise<LabReport> {
  const home = resolveHome();
  const encrypted = resolve(model);
  const path = (given: string | undefined): string | null => (given ? resolve(given) : null);
  const [base, known] = [path(options.base), path(options.known)];
  const files = { traffic: path(options.traffic), prior: path(options.prior) };
  const attacks = chooseAttacks(options);
  const chosenDefences = chooseDefences(options);
  const needsTraffic = chosenDefences.filter(({ needsTraffic: needs }) => needs).map(({ name }) => name);
  if (chosenDefences.length > 0 && (!base || (needsTraffic.length > 0 && !files.traffic)))
    throw new UnseenError(
      "USAGE",
      `defences need --base${needsTraffic.length > 0 ? `, and ${needsTraffic.join(" and ")} --traffic` : ""}.`,
      {
        hint: "Defences are measured on the plain model, those that change what is sent on a text.",
      },
    );
  const { fingerprint, strength } = await readManifest(encrypted);
  const key = await openKey(options.key, home);
  const { tokenizer, ends } = await surroundings(home, fingerprint, options.tokenizer);
  const progress = terminal.progress("attacking");
  return interruptible("Copies of the model were removed, and nothing was kept.", async (signal) => {
    const common = {
      tokenizer,
      files,
      keys: Number(options.keys),
      seed: Number(options.seed),
      budgetSeconds: Number(options.budget),
      signal,
    };
    let finished = 0;
    const measured = await measureModel({
      ...common,
      encrypted,
      base,
      secret: key.secret,
      clientInterface: ends.ends,
      outputs: ends.outputs,
      known,
      attacks,
      version,
      onProgress: (done) => progress.update(finished + done, attacks.length),
      onResult(result) {
        finished += 1;
        progress.end();
        printResult(result, terminal);
        terminal.detail("attack", result);
      },
    });
    const onProgress = (done: number): void => progress.update(done, 1);
    const onPoint = (point: DefencePoint): void => terminal.detail("defence", point);
    const defences =
      chosenDefences.length > 0
        ? await measureDefences({
            ...common,
            defences: chosenDefences.map(({ name }) => name),
            base: base as string,
            strength,
            onProgress,
            onPoint,
          })
        : [];
    progress.end();
    const report: LabReport = { ...measured, defences };
    await ensureDirectory(home.reports);
    await writeFileAtomically(reportFile(home, fingerprint), JSON.stringify(report));
    terminal.print();
    terminal.print(verdictOf(report).sentence);
    terminal.print(`Kept in  ${reportFile(home, fingerprint)}`);
    terminal.print(`Next:    unseen report ${fingerprint}`);
    return report;
  }).finally(() => progress.end());
}

/** `unseen report`: writes the page and the JSON beside it. */
export async function writeReport(given: string, out: string, terminal: Terminal): Promise<object> {
  const page = resolve(out);
  if (!page.endsWith(".html"))
    throw new UnseenError("USAGE", `--out ${out} must end in .html.`, { hint: "The JSON is written beside the page." });
  const report = parseReport(await readReport(/^[0-9a-f]{32}$/.test(given) ? reportFile(resolveHome(), given) : resolve(given)));
  const json = `${page.slice(0, -".html".length)}.json`;
  await writeFileAtomically(page, renderReport(report), 0o644);
  await writeFileAtomically(json, `${JSON.stringify(report, null, 2)}\n`, 0o644);
  const { sentence } = verdictOf(report);
  terminal.print(sentence);
  terminal.print(`Page     ${page}`);
  terminal.print(`JSON     ${json}`);
  return { page, json, verdict: sentence };
}

/** Those named, or all that need nobody else; the judge where it has an address. Throws `USAGE`. */
function chooseAttacks({ attacks: names, judge, judgeModel, judgeApiKey }: AttackFlags): readonly Attack[] {
  if (judge && !judgeModel)
    throw new UnseenError("USAGE", "--judge needs --judge-model.", { hint: "Name a model that the judge's API serves." });
  const judging = judge ? [judgeAttack({ url: judge, model: judgeModel as string, ...(judgeApiKey ? { apiKey: judgeApiKey } : {}) })] : [];
  const known = [...allAttacks, ...judging];
  if (!names) return known;
  const unknown = names.filter((name) => !known.some((attack) => attack.name === name));
  if (unknown.length > 0)
    throw new UnseenError("USAGE", `no attack is named ${unknown.join(", ")}.`, {
      hint: `There is: ${known.map(({ name }) => name).join(", ")}${judge ? "" : ", and a judge with --judge"}.`,
    });
  return known.filter(({ name }) => names.includes(name));
}

/** Those named, or all with `--defences`. Throws `USAGE`. */
function chooseDefences({ defences: all, defence: names }: AttackFlags): readonly DefenceRow[] {
  if (!names) return all ? allDefences : [];
  const unknown = names.filter((name) => !allDefences.some((row) => row.name === name));
  if (unknown.length > 0)
    throw new UnseenError("USAGE", `no defence is named ${unknown.join(", ")}.`, {
      hint: `There is: ${allDefences.map(({ name }) => name).join(", ")}.`,
    });
  return allDefences.filter(({ name }) => names.includes(name));
}

/** Tokenizer and ends of the model, from the keyring's bundle. Throws `BUNDLE_INVALID`, `TOKENIZER_MISSING`. */
async function surroundings(
  home: Home,
  fingerprint: string,
  directory: string | undefined,
): Promise<{ tokenizer: TextTokenizer | null; ends: BundleEnds }> {
  const bundle = await loadBundle(home, fingerprint).catch((error: unknown) => {
    if (UnseenError.isInstance(error) && error.code === "BUNDLE_NOT_FOUND") return null;
    throw error;
  });
  const own = directory ? await TextTokenizer.load(resolve(directory)) : null;
  return {
    tokenizer: own ?? (bundle && (await loadBundleTokenizer(home, bundle))),
    ends: bundle ? await loadBundleEnds(home, bundle) : { ends: null, outputs: [] },
  };
}

async function readReport(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw new UnseenError("USAGE", `${file} does not exist.`, { hint: "Run `unseen attack MODEL` first.", cause: error });
    throw explainSystemError(error, file);
  }
}

const percent = (share: number | null): string => (share === null ? "-" : `${(share * 100).toFixed(1)} %`).padStart(8);

/** One line an attack: what it recovers, and beside it what it recovers where it must succeed. */
function printResult(result: AttackResult, terminal: Terminal): void {
  const name = `${result.tier}  ${result.name.padEnd(24)}`;
  if (result.notRun !== null) return terminal.print(`${name} not run: ${result.notRun}`);
  const { vocabularyTop1, textTokens, bleu, seconds, control, controlSetting, complete } = result;
  const failed = control !== null && controlSetting !== null && control < controlSetting.least;
  const remarks = [failed ? "  CONTROL FAILED: this line says nothing" : "", complete ? "" : "  time ran out"].join("");
  terminal.print(
    `${name} ids ${percent(vocabularyTop1)}   text ${percent(textTokens)}   BLEU ${(bleu === null ? "-" : bleu.toFixed(2)).padStart(4)}   ${seconds.toFixed(1).padStart(6)} s   control ${percent(control)}${remarks}`,
  );
}
