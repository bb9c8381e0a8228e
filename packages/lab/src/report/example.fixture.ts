/**
 * For tests: a report with every case that a page must show. The figures are made up, of plausible size.
 * @module
 */
import type { Tier } from "../attack.ts";
import { REPORT_VERSION, type DefencePoint, type LabReport } from "../lab-report.ts";
import type { AttackPoint, AttackResult, Spread } from "../result.ts";

/** A result in which nothing was recovered; what is given replaces its parts. */
export function exampleResult(name: string, tier: Tier, changes: Partial<AttackResult> = {}): AttackResult {
  return {
    name,
    title: "Does what it does.",
    tier,
    knowledge: "what it needs",
    source: "made up",
    vocabularyTop1: null,
    vocabularyTop10: null,
    distinguishableTop1: null,
    distinguishable: null,
    special: null,
    textTokens: null,
    bleu: null,
    seconds: 1,
    control: 1,
    controlSetting: { setting: "an easier setting", judged: "vocabularyTop1", least: 0.9 },
    keys: 5,
    spread: { vocabularyTop1: null, textTokens: null },
    curve: null,
    figures: {},
    remark: null,
    complete: true,
    notRun: null,
    ...changes,
  };
}

/** A result that was not run. */
export function exampleNotRun(name: string, tier: Tier, notRun: string, changes: Partial<AttackResult> = {}): AttackResult {
  return exampleResult(name, tier, { notRun, control: null, keys: 0, seconds: 0, ...changes });
}

/** A report of the given attacks. */
export function exampleReport(attacks: readonly AttackResult[], changes: Partial<LabReport> = {}): LabReport {
  return {
    version: REPORT_VERSION,
    created: "2026-11-28T17:04:09.120Z",
    model: {
      name: "story-llama-unseen",
      family: "llama",
      strength: "rotate",
      fingerprint: "5f0c1d9a7be24c63a1f2908e4d6b37c5",
      vocabulary: 4096,
      special: 3,
      base: "story-llama",
    },
    settings: { keys: 5, seed: 1, budgetSeconds: 60, recordedTokens: 200_000, heldOutTokens: 20_000, priorTokens: 400_000 },
    versions: { unseen: "0.1.0", node: "v26.2.0" },
    attacks,
    defences: [],
    ...changes,
  };
}

const spread = (least: number, mean: number, greatest: number): Spread => ({ least, mean, greatest });

/** Points of a curve: `[x, vocabulary, text]` each. */
const points = (...rows: readonly (readonly [number, number, number | null])[]): AttackPoint[] =>
  rows.map(([x, vocabularyTop1, textTokens]) => ({ x, vocabularyTop1, textTokens }));

const KNOWN = "a host's view, and pairs of plain and cipher ids";

/** Every case: curves at T0 and T3, a broken T2, a failed control, one that ran out of time, some not run, defences of both kinds. */
export const example: LabReport = exampleReport(
  [
    exampleResult("frequency-ranks", "T0", {
      title: "Matches ids by the ranks of their frequencies.",
      knowledge: "recorded ids, and texts in the same language",
      source: "Al-Kindi, about 850; for tokens: arXiv 2603.01499, TFMA",
      vocabularyTop1: 0.0117,
      vocabularyTop10: 0.0874,
      distinguishableTop1: 0.0117,
      distinguishable: 1,
      special: 0.3333,
      textTokens: 0.1873,
      bleu: 0.0004,
      seconds: 0.034,
      control: 0.9621,
      controlSetting: { setting: "the traffic's own text as prior", judged: "textTokens", least: 0.9 },
      spread: { vocabularyTop1: spread(0.0109, 0.0117, 0.0124), textTokens: spread(0.1701, 0.1873, 0.2044) },
      curve: {
        of: "recorded tokens",
        points: points([100, 0.0005, 0.0312], [1000, 0.0021, 0.0874], [10_000, 0.0059, 0.1421], [100_000, 0.0105, 0.1766], [200_000, 0.0117, 0.1873]), // prettier-ignore
      },
      figures: { distinctIds: 3012, rightAmongTop300: 0.22 },
    }),
    exampleResult("bigram-climb", "T0", {
      title: "Improves a guess by exchanging ids as long as pairs of neighbours become likelier.",
      knowledge: "recorded ids, and texts in the same language",
      source: "Jakobsen, A fast method for cryptanalysis of substitution ciphers, Cryptologia 19, 1995",
      vocabularyTop1: 0.0863,
      vocabularyTop10: 0.1502,
      distinguishableTop1: 0.0863,
      distinguishable: 1,
      special: 1,
      textTokens: 0.5614,
      bleu: 0.2178,
      seconds: 60,
      control: 0.9714,
      controlSetting: { setting: "the traffic's own text as prior", judged: "textTokens", least: 0.9 },
      spread: { vocabularyTop1: spread(0.0711, 0.0863, 0.0982), textTokens: spread(0.4907, 0.5614, 0.6203) },
      curve: {
        of: "recorded tokens",
        points: points([100, 0.0004, 0.0287], [1000, 0.0033, 0.1109], [10_000, 0.0214, 0.3127], [100_000, 0.0702, 0.5233], [200_000, 0.0863, 0.5614]), // prettier-ignore
      },
      remark: "The search had not come to rest under 4 of 5 keys.",
      complete: false,
    }),
    exampleResult("shadow-alignment", "T1", {
      title: "Aligns the encrypted embeddings with those of another model of the language.",
      knowledge: "the encrypted weights, and some other public model",
      source: "Conneau et al., Word translation without parallel data, ICLR 2018",
      vocabularyTop1: 0.0002,
      vocabularyTop10: 0.0024,
      distinguishableTop1: 0.0002,
      distinguishable: 1,
      special: 0,
      textTokens: 0.0001,
      bleu: 0,
      seconds: 41.3,
      control: 0.6127,
      controlSetting: { setting: "the public original as that other model", judged: "vocabularyTop1", least: 0.9 },
      spread: { vocabularyTop1: spread(0, 0.0002, 0.0005), textTokens: spread(0, 0.0001, 0.0004) },
    }),
    exampleResult("gram-match", "T2", {
      title: "Matches rows of the embedding by their inner products, which rotations leave alone.",
      knowledge: "the encrypted weights, and the public original",
      source: "OᵀO = I; arXiv 2603.01499, section on invariants",
      vocabularyTop1: 1,
      vocabularyTop10: 1,
      distinguishableTop1: 1,
      distinguishable: 1,
      special: 1,
      textTokens: 1,
      bleu: 1,
      seconds: 3.87,
      control: 1,
      controlSetting: { setting: "the same model without noise, in float32", judged: "vocabularyTop1", least: 0.99 },
      spread: { vocabularyTop1: spread(1, 1, 1), textTokens: spread(1, 1, 1) },
      figures: { meanMargin: 0.3127 },
    }),
    exampleResult("functional-fingerprint", "T2", {
      title: "Compares sorted next-token distributions of one-token prompts.",
      knowledge: "the encrypted weights, and the public original",
      source: "docs/threat-model.md, Why exactness is the leak",
      vocabularyTop1: 0.9307,
      vocabularyTop10: 0.9814,
      distinguishableTop1: 0.9997,
      distinguishable: 0.931,
      special: 1,
      textTokens: 0.9998,
      bleu: 0.9993,
      seconds: 33.4,
      control: 0.9999,
      controlSetting: { setting: "the exact encryption in float32", judged: "distinguishableTop1", least: 0.99 },
      keys: 3,
      spread: { vocabularyTop1: spread(0.9302, 0.9307, 0.931), textTokens: spread(0.9997, 0.9998, 1) },
    }),
    exampleNotRun("sorted-rows", "T2", "rotations change the numbers of each row, so there is nothing to sort", {
      title: "Sorts the numbers of each embedding row.",
      knowledge: "the encrypted weights, and the public original",
    }),
    exampleResult("ridge-from-pairs", "T3", {
      title: "Fits a linear map to known pairs and reads the rest with it.",
      knowledge: KNOWN,
      source: "Hoerl and Kennard, Ridge regression, 1970",
      vocabularyTop1: 0.9926,
      vocabularyTop10: 0.9988,
      distinguishableTop1: 0.9926,
      distinguishable: 1,
      special: 0.6667,
      textTokens: 0.9981,
      bleu: 0.9912,
      seconds: 12.4,
      control: 1,
      controlSetting: { setting: "all ids known", judged: "vocabularyTop1", least: 0.99 },
      spread: { vocabularyTop1: spread(0.9902, 0.9926, 0.9951), textTokens: spread(0.9974, 0.9981, 0.999) },
      curve: {
        of: "known pairs",
        points: points([0, 0.0002, 0.0004], [20, 0.0112, 0.0611], [50, 0.0734, 0.2417], [100, 0.3917, 0.6204], [200, 0.8841, 0.9512], [500, 0.9811, 0.9934], [1000, 0.9926, 0.9981]), // prettier-ignore
      },
    }),
    exampleResult("procrustes-from-pairs", "T3", {
      title: "Finds the rotation that takes known plain rows to known cipher rows.",
      knowledge: KNOWN,
      source: "Schönemann, A generalized solution of the orthogonal Procrustes problem, Psychometrika 31, 1966",
      vocabularyTop1: 1,
      vocabularyTop10: 1,
      distinguishableTop1: 1,
      distinguishable: 1,
      special: 1,
      textTokens: 1,
      bleu: 1,
      seconds: 8.06,
      control: 1,
      controlSetting: { setting: "all ids known", judged: "vocabularyTop1", least: 0.99 },
      spread: { vocabularyTop1: spread(1, 1, 1), textTokens: spread(1, 1, 1) },
      curve: {
        of: "known pairs",
        points: points([0, 0.0002, 0.0003], [20, 0.0407, 0.1544], [50, 0.4138, 0.7021], [100, 0.9217, 0.9874], [200, 1, 1], [500, 1, 1], [1000, 1, 1]), // prettier-ignore
      },
    }),
    exampleNotRun("language-model-judge", "T3", "it sends guesses to a service of others, so it runs only when asked for by name", {
      title: "Lets a language model judge which reading makes sense.",
      knowledge: "recorded ids, and a large language model",
      controlSetting: null,
    }),
  ],
  {
    defences: [
      ...[
        [0, 0, 1, 1, 1, 1],
        [0.01, 0.0021, 0.9712, 1, 0.9984, 1],
        [0.05, 0.0784, 0.8127, 0.9127, 0.9411, 0.9996],
        [0.1, 0.3129, 0.6644, 0.5506, 0.7802, 0.9981],
        [0.3, 1.874, 0.2907, 0.0418, 0.1713, 0.9307],
        [1, 5.61, 0.0412, 0.0007, 0.0034, 0.2211],
      ].map(([x = 0, meanKl = 0, top1 = 0, gram = 0, fingerprint = 0, pairs = 0]): DefencePoint => ({
        defence: "weight-noise",
        x,
        fidelity: { meanKl, top1 },
        recovery: {
          "gram-match": { vocabularyTop1: gram, textTokens: Math.min(1, gram * 1.03) },
          "functional-fingerprint": { vocabularyTop1: fingerprint, textTokens: Math.min(1, fingerprint * 1.05) },
          "procrustes-from-pairs": { vocabularyTop1: pairs, textTokens: null },
        },
        keys: 3,
        cost: 1,
      })),
      ...[
        [1, 1, 0.0117, 0.1873, 0.0863, 0.5614],
        [4, 1.021, 0.0094, 0.0921, 0.0411, 0.2904],
        [16, 1.083, 0.0041, 0.0307, 0.0099, 0.0714],
        [64, 1.324, 0.0012, 0.0088, 0.0021, 0.0142],
      ].map(([x = 0, cost = 1, ranks = 0, ranksText = 0, climb = 0, climbText = 0]): DefencePoint => ({
        defence: "homophones",
        x,
        fidelity: null,
        recovery: {
          "frequency-ranks": { vocabularyTop1: ranks, textTokens: ranksText },
          "bigram-climb": { vocabularyTop1: climb, textTokens: climbText },
        },
        keys: 5,
        cost,
      })),
    ],
  },
);
