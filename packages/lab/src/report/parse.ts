/**
 * Reads a stored report. The file is taken for hostile: it may come from anybody who shows what they measured.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";
import { REPORT_VERSION, type LabReport } from "../lab-report.ts";
import { visible } from "./escape.ts";

/** Characters of a report (CWE-770): twenty attacks and five defences take fifty thousand. */
const MAXIMUM_REPORT = 4 * 1024 * 1024;
/** Entries of a report (CWE-770): the page has tables with a cell for each attack at each point. */
const MAXIMUM_ATTACKS = 100;
/** Points of all curves together. */
const MAXIMUM_POINTS = 2000;
const MAXIMUM_DEFENCE_POINTS = 500;
/** Figures of one attack. */
const MAXIMUM_FIGURES = 100;
const MAXIMUM_NAME = 200;
const MAXIMUM_TEXT = 4000;
const HINT = "Run `unseen attack --json` again with this version.";

const share = z.number().min(0).max(1);
const amount = z.number().min(0);
const count = z.int().min(0);
const name = z.string().min(1).max(MAXIMUM_NAME);
const text = z.string().max(MAXIMUM_TEXT);
const spread = z.strictObject({ least: share, mean: share, greatest: share }).nullable();

/** An object whose keys are names, at most `most` of them. */
function named<Value extends z.ZodType>(value: Value, most: number): z.ZodRecord<z.ZodString, Value> {
  return z.record(name, value).refine((record) => Object.keys(record).length <= most, { params: { expected: `at most ${most} entries` } });
}

const attack = z.strictObject({
  name,
  title: text,
  tier: z.enum(["T0", "T1", "T2", "T3", "T4", "T5"]),
  knowledge: text,
  source: text,
  vocabularyTop1: share.nullable(),
  vocabularyTop10: share.nullable(),
  distinguishableTop1: share.nullable(),
  distinguishable: share.nullable(),
  special: share.nullable(),
  textTokens: share.nullable(),
  bleu: share.nullable(),
  seconds: amount,
  control: share.nullable(),
  controlSetting: z.strictObject({ setting: text, judged: name, least: share }).nullable(),
  keys: count,
  spread: z.strictObject({ vocabularyTop1: spread, textTokens: spread }),
  curve: z
    .strictObject({
      of: name,
      points: z.array(z.strictObject({ x: z.number(), vocabularyTop1: share, textTokens: share.nullable() })),
    })
    .nullable(),
  figures: named(z.number(), MAXIMUM_FIGURES),
  remark: text.nullable(),
  complete: z.boolean(),
  notRun: text.nullable(),
});

const defencePoint = z.strictObject({
  defence: name,
  x: z.number(),
  fidelity: z.strictObject({ meanKl: z.number(), top1: share }).nullable(),
  recovery: named(z.strictObject({ vocabularyTop1: share, textTokens: share.nullable() }), MAXIMUM_ATTACKS),
  cutShort: z.array(name).max(MAXIMUM_ATTACKS).optional(),
  keys: count,
  cost: amount,
});

const reportSchema: z.ZodType<LabReport> = z.strictObject({
  version: z.literal(REPORT_VERSION),
  created: z.iso.datetime({ offset: true }),
  model: z.strictObject({
    name,
    family: name,
    strength: z.enum(["permute", "rotate"]),
    fingerprint: name,
    vocabulary: count,
    special: count,
    base: name.nullable(),
  }),
  settings: z.strictObject({
    keys: count,
    seed: z.int(),
    budgetSeconds: amount,
    recordedTokens: count,
    heldOutTokens: count,
    priorTokens: count,
  }),
  versions: z.strictObject({ unseen: name, node: name }),
  attacks: z
    .array(attack)
    .max(MAXIMUM_ATTACKS)
    .refine((attacks) => new Set(attacks.map((each) => each.name)).size === attacks.length, {
      params: { expected: "a name of its own for each attack" },
    })
    .refine((attacks) => attacks.reduce((sum, { curve }) => sum + (curve?.points.length ?? 0), 0) <= MAXIMUM_POINTS, {
      params: { expected: `at most ${MAXIMUM_POINTS} points of curves` },
    }),
  defences: z
    .array(defencePoint)
    .max(MAXIMUM_DEFENCE_POINTS)
    .refine((points) => new Set(points.flatMap(({ recovery }) => Object.keys(recovery))).size <= MAXIMUM_ATTACKS, {
      params: { expected: `at most ${MAXIMUM_ATTACKS} attacks` },
    }),
});

/**
 * Parses the JSON of a report and checks all of it.
 *
 * @throws UnseenError `REQUEST_TOO_LARGE`; `REQUEST_INVALID` naming the first wrong field
 */
export function parseReport(json: string): LabReport {
  if (json.length > MAXIMUM_REPORT)
    throw new UnseenError("REQUEST_TOO_LARGE", `the report: expected at most ${MAXIMUM_REPORT} characters, got ${json.length}.`, {
      hint: HINT,
    });
  const value = parseJson(json);
  if (typeof value !== "object" || value === null) throw wrong("the report", "an object", value);
  // The version comes first: of a later one, every other difference is expected.
  const { version } = value as { readonly version?: unknown };
  if (version !== REPORT_VERSION) throw wrong("version", String(REPORT_VERSION), version);
  const result = reportSchema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw issue ? wrong(pathOf(issue.path), expected(issue), at(value, issue)) : wrong("the report", "another form", value);
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new UnseenError("REQUEST_INVALID", "the report: expected JSON, got something else.", { hint: HINT, cause });
  }
}

function wrong(path: string, wanted: string, got: unknown): UnseenError {
  return new UnseenError("REQUEST_INVALID", `${path}: expected ${wanted}, got ${said(got)}.`, { hint: HINT });
}

/** `attacks[2].curve.points[0].x` */
function pathOf(path: readonly PropertyKey[]): string {
  const parts = path.map((part, index) => (typeof part === "number" ? `[${part}]` : `${index === 0 ? "" : "."}${shortened(String(part))}`));
  return parts.join("") || "the report";
}

function expected(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.expected === "int" ? "a whole number" : `${/^[aeiou]/.test(issue.expected) ? "an" : "a"} ${issue.expected}`;
    case "invalid_value":
      return issue.values.map(String).join(" or ");
    case "too_small":
      return `at least ${issue.minimum} ${unitOf(issue.origin)}`.trimEnd();
    case "too_big":
      return `at most ${issue.maximum} ${unitOf(issue.origin)}`.trimEnd();
    case "invalid_format":
      return "a time as in ISO 8601";
    case "invalid_key":
      return `names of 1 to ${MAXIMUM_NAME} characters`;
    case "unrecognized_keys":
      return `no field ${issue.keys.map((key) => JSON.stringify(shortened(key))).join(", ").slice(0, MAXIMUM_NAME)}`; // prettier-ignore
    case "custom":
      return String(issue.params?.["expected"] ?? "another value");
    default:
      return "another value";
  }
}

function unitOf(origin: string): string {
  return origin === "string" ? "characters" : origin === "array" ? "entries" : "";
}

/** What stands at an issue's path; of a wrong key the key itself. */
function at(value: unknown, { code, path }: z.core.$ZodIssue): unknown {
  if (code === "invalid_key") return path.at(-1);
  return path.reduce<unknown>((inner, part) => {
    const holder = inner as Readonly<Record<PropertyKey, unknown>> | null | undefined;
    return holder !== null && holder !== undefined && Object.hasOwn(holder, part) ? holder[part] : undefined;
  }, value);
}

/** A value in a few words, on one line and without anything that a terminal obeys (CWE-150). */
function said(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "string") return value.length > 40 ? `${value.length} characters` : JSON.stringify(visible(value));
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

const shortened = (key: string): string => visible(key.length > 60 ? `${key.slice(0, 60)}…` : key).replace(/\s/g, " ");
