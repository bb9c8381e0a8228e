/**
 * What the attack lab claims: that it breaks what is breakable, finds nothing where nothing is, and gives the same numbers twice.
 * @module
 */
import { globSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { onActivations } from "@unseen/lab/attacks/activation-attacks.ts";
import { withBase } from "@unseen/lab/attacks/with-base.ts";
import { withoutBase } from "@unseen/lab/attacks/without-base.ts";
import { allDefences, measureDefences } from "@unseen/lab/defences/index.ts";
import type { AttackResult, Spread } from "@unseen/lab/result.ts";
import { sharedPath } from "../tests/shared.ts";
import { BUDGET_SECONDS, KEYS, measureSubject, STRENGTHS, subjects, type LabSubject } from "./lab-subjects.ts";
import { testsShow, type Finding, type Proof } from "./proof.ts";

type Note = (line: string) => void;

const file = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
/** Share of the tokens that can be told apart which an attack on an exact encryption of a public model must recover. */
const BREAKABLE = 0.99;
const MOVES_PER_SECOND = 10_000;

const parts: Readonly<Record<string, (note: Note) => AsyncGenerator<Finding>>> = {
  planted: tests("Each attack finds its planted weakness, does not find what is not there, and gives the same numbers twice", "attacks"),
  weights,
  activations,
  traffic,
  defences,
  quotes: tests("encrypt, the gateway and the documentation quote the lab, and no number of keys is called security", "quotes"),
};

export const lab: Proof = {
  name: "lab",
  title: "The attack lab",
  async *run(note, part) {
    if (part !== undefined && !Object.hasOwn(parts, part)) throw new RangeError(`lab has the parts ${Object.keys(parts).join(", ")}.`);
    for (const [name, findings] of Object.entries(parts)) if (part === undefined || part === name) yield* findings(note);
  },
};

function tests(claim: string, which: "attacks" | "quotes"): (note: Note) => AsyncGenerator<Finding> {
  return async function* () {
    const files =
      which === "attacks"
        ? globSync("packages/lab/src/{attacks,activations,language,defences}/**/*.test.ts", { cwd: file("") }).toSorted()
        : ["tests/worth.test.ts", "tests/docs.test.ts"];
    yield await testsShow(
      claim,
      files.map((path) => file(path)),
    );
  };
}

const telling = (note: Note) => (result: AttackResult) => note(`${result.name}: ${describe(result)}`);
const percent = (share: number | null): string => (share === null ? "-" : `${(100 * share).toFixed(1)} %`);

/** Of tokens and keys: what was recovered, how much it differs between keys, and what the control says. */
function describe(result: AttackResult): string {
  if (result.notRun !== null) return `not run: ${result.notRun}`;
  const {
    vocabularyTop1,
    vocabularyTop10,
    distinguishableTop1,
    special,
    textTokens,
    bleu,
    seconds,
    control,
    controlSetting,
    spread,
    keys,
  } = result;
  const parts = [
    vocabularyTop1 === null
      ? ""
      : `ids ${percent(vocabularyTop1)}${range(spread.vocabularyTop1)}, among ten ${percent(vocabularyTop10)}, of the distinguishable ${percent(distinguishableTop1)}`,
    special === null ? "" : `special ids ${percent(special)}`,
    textTokens === null ? "" : `text ${percent(textTokens)}${range(spread.textTokens)}, BLEU ${(bleu ?? 0).toFixed(3)}`,
    ...Object.entries(result.figures).map(([name, figure]) => `${name} ${Number(figure.toPrecision(3))}`),
    `${seconds.toFixed(1)} s, ${keys} keys`,
    control === null ? "" : `control ${percent(control)} (${controlSetting?.setting})`,
    result.complete ? "" : "time ran out",
  ];
  return parts.filter((part) => part !== "").join("; ");
}

function range(spread: Spread | null): string {
  return spread && spread.greatest - spread.least >= 0.0005 ? ` (${percent(spread.least)} to ${percent(spread.greatest)})` : "";
}

/** A result with the bar that its control sets, and one of its own where it must succeed. */
function finding(claim: string, result: AttackResult, must: number | null): Finding {
  const { control, controlSetting, distinguishableTop1, keys, notRun } = result;
  if (notRun !== null) return { claim, figure: describe(result), bar: "-", holds: null };
  const bars = [
    must === null ? "" : `of the distinguishable ${percent(must)}`,
    controlSetting ? `control ${percent(controlSetting.least)}` : "",
  ];
  const controlled = controlSetting === null || (control !== null && control >= controlSetting.least);
  const holds = controlled && keys >= KEYS && (must === null || (distinguishableTop1 ?? 0) >= must);
  return { claim, figure: describe(result), bar: bars.filter((bar) => bar !== "").join(", ") || "-", holds };
}

/** These must break an exact encryption of a public model, or the lab is defective. */
const MUST_BREAK = new Set(["functional-fingerprint", "vocabulary-matching", "matching-refined"]);

/** Of a vocabulary of 30,522, whose tokens are compared each with each, these alone; the others break it too and take hours. */
const OF_LARGE_VOCABULARIES = new Set(["row-norms", "sorted-rows", "vocabulary-matching", "functional-fingerprint"]);
const LARGE = 10_000;

/** A host with the weights and the public model. */
async function* weights(note: Note): AsyncGenerator<Finding> {
  const traffic = sharedPath("data/text/tinystories.txt");
  const limits = { recorded: 20_000, heldOut: 10_000, prior: 1000 };
  for (const subject of subjects())
    for (const strength of STRENGTHS) {
      note(`${subject.name}, ${strength}`);
      const attacks = subject.vocabulary > LARGE ? withBase.filter(({ name }) => OF_LARGE_VOCABULARIES.has(name)) : withBase;
      const report = await measureSubject(subject, strength, attacks, { traffic, limits, onResult: telling(note) });
      for (const result of report.attacks)
        yield finding(
          `${result.tier} ${result.name}: ${subject.name}, ${strength}`,
          result,
          MUST_BREAK.has(result.name) ? BREAKABLE : null,
        );
      const known = report.attacks.find(({ name }) => name === "known-ridge");
      if (known?.curve) yield monotone(`Known pairs against recovery: ${subject.name}, ${strength}`, known);
    }
}

/** What a host sees inside a model, or gives out. */
async function* activations(note: Note): AsyncGenerator<Finding> {
  const stories = sharedPath("data/text/tinystories.txt");
  const wiki = sharedPath("data/text/wikitext2-test.txt");
  const encoder = sharedPath("assets/sentence-encoder");
  if (!stories || !wiki || !encoder) return void (yield absent("Activations and vectors"));
  const limits = { recorded: 20_000, heldOut: 5000, prior: 40_000 };
  const decoders = [...subjects()].filter(({ vocabulary }) => vocabulary <= LARGE);
  for (const { subject, traffic } of [
    ...decoders.map((each) => ({ subject: each, traffic: stories })),
    { subject: { name: "sentence-encoder", source: encoder, vocabulary: 30_522 }, traffic: wiki },
  ]) {
    note(`${subject.name}, rotate`);
    const report = await measureSubject(subject, "rotate", onActivations, { traffic, limits, onResult: telling(note) });
    // Each of them is for one kind of model.
    for (const result of report.attacks)
      if (result.notRun === null) yield finding(`${result.tier} ${result.name}: ${subject.name}, rotate`, result, null);
  }
}

/** What somebody on the wire recorded, and what they have to compare with: null for other texts of the same file. */
const RECORDINGS = [
  { recorded: "tinystories", prior: null, only: null },
  { recorded: "tinystories", prior: "wikitext2-test", only: ["genetic", "token-frequency", "substitution", "known-pairs"] },
  { recorded: "wikitext2-test", prior: null, only: ["token-frequency", "substitution", "known-pairs"] },
  { recorded: "tinyshakespeare", prior: null, only: ["token-frequency", "substitution"] },
] as const;
/** Tokens that are recorded, where it is asked how much traffic tells. */
const AMOUNTS = [1000, 10_000, 30_000];

/** Somebody who sees ids alone. Neither weights nor strength matter to them. */
async function* traffic(note: Note): AsyncGenerator<Finding> {
  const [subject] = [...subjects()] as [LabSubject];
  for (const { recorded, prior, only } of RECORDINGS) {
    const files = { traffic: sharedPath(`data/text/${recorded}.txt`), prior: prior && sharedPath(`data/text/${prior}.txt`) };
    if (!files.traffic || (prior && !files.prior)) return void (yield absent("Attacks on traffic"));
    const who = `${recorded} recorded, the attacker has ${prior ?? "other texts of it"}`;
    note(who);
    const chosen = withoutBase.filter(({ name }) => only === null || (only as readonly string[]).includes(name));
    const limits = { recorded: 100_000, heldOut: 20_000, prior: 200_000 };
    const report = await measureSubject(subject, "permute", chosen, { ...files, limits, onResult: telling(note) });
    for (const result of report.attacks) yield finding(`${result.tier} ${result.name}: ${who}`, result, null);
    for (const result of report.attacks)
      if (result.curve) {
        const rising = monotone(`${result.curve.of} against recovery: ${result.name}, ${who}`, result);
        // With a text of another kind, what few known tokens suggest is as often wrong as right, and ranks stay wrong whatever is recorded.
        yield prior === null ? rising : { ...rising, bar: "-", holds: true };
      }
    if (only !== null) continue;
    yield* speeds(report.attacks);
    yield* amounts(subject, files.traffic, note);
    yield await repeats(subject, files.traffic, note);
  }
}

/** How much of unseen text is read by how much was recorded. */
async function* amounts(subject: LabSubject, recorded: string, note: Note): AsyncGenerator<Finding> {
  const chosen = withoutBase.filter(({ name }) => name === "substitution");
  for (const amount of AMOUNTS) {
    const limits = { recorded: amount, heldOut: 20_000, prior: 200_000 };
    const report = await measureSubject(subject, "permute", chosen, { traffic: recorded, limits, onResult: telling(note) });
    for (const result of report.attacks)
      yield {
        ...finding(`T0 ${result.name}: ${amount.toLocaleString("en")} tokens recorded`, result, null),
        bar: "-",
        holds: result.keys >= KEYS,
      };
  }
}

/**
 * Recovery along a curve, and whether it rises: of text where something is known; of the vocabulary where frequencies are all there
 * is, since the one or two commonest tokens, in whose order luck decides, are a tenth of every text.
 */
function monotone(claim: string, { curve, tier }: AttackResult): Finding {
  const points = curve?.points ?? [];
  const ofText = tier !== "T0";
  const shares = points.map(({ textTokens, vocabularyTop1 }) => (ofText ? textTokens : null) ?? vocabularyTop1);
  // A fall within this is the keys' luck.
  const luck = ofText ? 0.005 : 0.0005;
  const holds = points.length >= 3 && shares.every((share, i) => i === 0 || share >= (shares[i - 1] as number) - luck);
  const figure = points
    .map(({ x }, i) => `${x.toLocaleString("en")}: ${(100 * (shares[i] as number)).toFixed(ofText ? 1 : 2)} %`)
    .join(", ");
  return { claim: `${claim}, share of the ${ofText ? "text" : "vocabulary"}`, figure, bar: "rises", holds };
}

function* speeds(results: readonly AttackResult[]): Generator<Finding> {
  for (const { name, figures } of results) {
    const speed = figures["movesPerSecond"];
    if (speed === undefined) continue;
    yield { claim: `Moves a second on one core: ${name}`, figure: Math.round(speed).toLocaleString("en"), bar: MOVES_PER_SECOND.toLocaleString("en"), holds: speed >= MOVES_PER_SECOND }; // prettier-ignore
  }
}

/** The same seed twice; seconds and speeds are the machine's. */
async function repeats(subject: LabSubject, recorded: string, note: Note): Promise<Finding> {
  const attacks = [...withoutBase, ...withBase].filter(({ name }) => name !== "brute-force" && name !== "attention-invariants");
  const limits = { recorded: 5000, heldOut: 3000, prior: 10_000 };
  const run = async (): Promise<unknown[]> => {
    const report = await measureSubject(subject, "rotate", attacks, { traffic: recorded, limits, keys: 1, seed: 7 });
    return report.attacks.map((result) => ({ ...result, seconds: 0, figures: { ...result.figures, movesPerSecond: 0 } }));
  };
  note("the same seed, twice");
  const [one, other] = [await run(), await run()];
  const equal = one.filter((result, i) => JSON.stringify(result) === JSON.stringify(other[i])).length;
  return {
    claim: "The same seed gives the same numbers twice",
    figure: `${equal} of ${one.length} attacks`,
    bar: "all",
    holds: equal === one.length,
  };
}

/** Recovery against fidelity. */
async function* defences(note: Note): AsyncGenerator<Finding> {
  const text = sharedPath("data/text/tinystories.txt");
  const subject = [...subjects()].find(({ name }) => name === "stories260K");
  if (!text || !subject) return void (yield absent("Defences"));
  const points = await measureDefences({
    defences: allDefences.map(({ name }) => name),
    base: subject.source,
    strength: "rotate",
    tokenizer: await TextTokenizer.load(subject.source),
    files: { traffic: text, prior: null },
    limits: { recorded: 10_000, heldOut: 5000, prior: 20_000 },
    keys: KEYS,
    seed: 1,
    onPoint: ({ defence, x }) => note(`${defence} ${x}`),
    budgetSeconds: BUDGET_SECONDS,
  });
  for (const { defence, x, fidelity, recovery, cost, keys } of points) {
    const kept = fidelity
      ? `same next token ${percent(fidelity.top1)}, KL ${fidelity.meanKl.toPrecision(2)} nats`
      : `cost ${cost.toFixed(2)}`;
    const recovered = Object.entries(recovery).map(
      ([name, { vocabularyTop1, textTokens }]) => `${name} ids ${percent(vocabularyTop1)} text ${percent(textTokens)}`,
    );
    yield {
      claim: `${subject.name}: ${defence} ${x}`,
      figure: `${kept}; ${recovered.join(", ")}; ${keys} keys`,
      bar: "-",
      holds: keys >= KEYS,
    };
  }
}

function absent(claim: string): Finding {
  return { claim, figure: "the test data are not here", bar: "-", holds: null };
}
