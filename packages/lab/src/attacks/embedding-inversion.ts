/**
 * Attacks on a vector database whose vectors an encrypted encoder made: they keep their angles, so that the database can compare them,
 * and an attacker with the public encoder looks for the map between the two. The ids that the host saw are not used.
 *
 * The last stream of a post-norm encoder is permuted, with one sign for all coordinates (docs/reference/groups.md).
 * @module
 */
import { blueprintOf } from "@unseen/core/blueprint/families/index.ts";
import { alignClouds, alignPairs } from "../activations/alignment.ts";
import { bertLikeTower } from "../activations/sentence-vectors.ts";
import { FEWEST_VECTORS, firstRows, nearestTexts, openDatabase, shortened, type VectorDatabase, type VectorsEffort } from "../activations/vector-database.ts"; // prettier-ignore
import { worthOf } from "../activations/vector-worth.ts";
import type { Attack, Control, Evidence, Outcome } from "../attack.ts";
import type { Matrix } from "../numeric/matrix.ts";

const EFFORT: VectorsEffort = { vectors: 400, candidates: 800, tokens: 48 };
/** Known pairs of text and vector. */
const PAIRS = [1, 10, 100];
/** Tokens of the shortest text that is worth knowing. */
const SHORTEST = 4;

function missing({ encrypted, base, traffic, prior }: Evidence): string | null {
  if (!encrypted || !base) return "it needs the encrypted model and the public one";
  for (const { kind, model } of [encrypted, base]) {
    if (kind !== "encoder" || !model) return "it reads the vectors of encoders";
    if (!bertLikeTower(model)) return "it runs encoders of texts in the manner of BERT alone";
  }
  if (encrypted.hidden !== base.hidden) return "the two models have vectors of different widths";
  if (traffic.length < FEWEST_VECTORS || prior.length < FEWEST_VECTORS) return `it needs ${FEWEST_VECTORS} recorded and as many public texts`; // prettier-ignore
  return traffic.some(({ length }) => length === 0) ? "a recorded text is empty" : null;
}

/** Without any pair: from how the vectors are spread. */
export function embeddingInversion(effort: VectorsEffort = EFFORT): Attack {
  return {
    name: "embedding-inversion",
    title: "Finds the map of encrypted text vectors from their spread alone, then looks for their texts and tokens.",
    tier: "T2",
    knowledge: "vectors of recorded texts, the public encoder and public texts of the same kind; no ids",
    source: "graph matching by graduated assignment (Gold and Rangarajan 1996), principal axes; inversion by Fisher's discriminant",
    missing,
    async run(evidence, { proceed }) {
      const fitting = fit(effort, evidence);
      const database = await openDatabase(evidence, fitting, proceed);
      if (!database) return OUT_OF_TIME;
      const map = alignClouds(database.vectors, database.candidates);
      return outcome(evidence, fitting, database, new Map([["", map]]));
    },
    control: CONTROL,
  };
}

/** With texts that the attacker had embedded. */
export function embeddingInversionWithPairs(effort: VectorsEffort = { ...EFFORT, vectors: 200, candidates: 400 }): Attack {
  return {
    name: "embedding-inversion-pairs",
    title: "Finds the map of encrypted text vectors from known pairs of text and vector, then looks for their texts and tokens.",
    tier: "T3",
    knowledge: `vectors of recorded texts, the public encoder, public texts, and ${PAIRS.join(", ")} texts whose vectors are known; no ids`,
    source: "orthogonal Procrustes (Schönemann 1966), linear assignment; inversion by Fisher's discriminant",
    missing: (evidence) => missing(evidence) ?? (knownTexts(evidence, effort).length === 0 ? "no text is known" : null),
    async run(evidence, { proceed }) {
      const fitting = fit(effort, evidence);
      const database = await openDatabase(evidence, fitting, proceed);
      if (!database) return OUT_OF_TIME;
      const known = knownTexts(evidence, fitting);
      const encrypted = await database.encrypted.of(known.map(({ cipher }) => cipher));
      const plain = await database.base.of(known.map(({ plain }) => plain));
      const counts = PAIRS.filter((count) => count <= known.length);
      const maps = counts.map((count) => [`With${count}Known`, alignPairs(firstRows(encrypted, count), firstRows(plain, count))] as const);
      return outcome(evidence, fitting, database, new Map(maps));
    },
    control: CONTROL,
  };
}

const CONTROL: Control = {
  setting: "the recorded texts among the public ones",
  least: 0.9,
  judged: "textTokens",
  arrange: (evidence, { plainTraffic }) => ({ ...evidence, prior: [...plainTraffic.slice(0, EFFORT.vectors), ...evidence.prior] }),
};

/** No more tokens than the model takes. */
function fit(effort: VectorsEffort, { base }: Evidence): VectorsEffort {
  const { maximumPositions } = blueprintOf(base?.model?.config ?? {}).architecture;
  return { ...effort, tokens: Math.min(effort.tokens, maximumPositions) };
}

const OUT_OF_TIME: Outcome = { guess: null, remark: "The time was up before the vectors were computed." };

/** The last map tells what each text is taken for; what all of them are worth is counted later. */
function outcome(evidence: Evidence, effort: VectorsEffort, database: VectorDatabase, maps: ReadonlyMap<string, Matrix>): Outcome {
  return {
    guess: null,
    texts: nearestTexts(database, [...maps.values()].at(-1) as Matrix, evidence.traffic, effort),
    figures: { vectors: database.vectors.rows, candidates: database.candidates.rows },
    measure: ({ plainTraffic }) =>
      worthOf(
        database,
        maps,
        plainTraffic.slice(0, database.vectors.rows).map((ids) => shortened(ids, effort)),
      ),
  };
}

interface KnownText {
  readonly plain: Uint32Array;
  readonly cipher: Uint32Array;
}

/** Public texts as far as their tokens are known: what the attacker could have had embedded. */
function knownTexts({ known, prior, traffic }: Evidence, effort: VectorsEffort): KnownText[] {
  const ciphers = new Map(known.map(({ plain, cipher }) => [plain, cipher]));
  // What opens and ends every text is seen to.
  for (const place of [0, -1]) {
    const [plain, cipher] = [commonToken(prior, place), commonToken(traffic, place)];
    if (plain !== null && cipher !== null) ciphers.set(plain, cipher);
  }
  const texts: KnownText[] = [];
  for (const ids of prior) {
    if (texts.length === PAIRS.at(-1)) break;
    const plain = shortened(ids.filter((id) => ciphers.has(id)), effort); // prettier-ignore
    if (plain.length >= SHORTEST) texts.push({ plain, cipher: plain.map((id) => ciphers.get(id) as number) });
  }
  return texts;
}

/** The token that stands at a place of every text, or null. */
function commonToken(texts: readonly Uint32Array[], place: number): number | null {
  const id = texts[0]?.at(place) ?? null;
  return texts.every((text) => text.at(place) === id) ? id : null;
}
