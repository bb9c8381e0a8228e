/**
 * How fast the lab attacks on one core: moves of a search over a vocabulary of 4,096, and products of large matrices.
 * @module
 */
import { climb } from "@unseen/lab/language/climb.ts";
import { BigramModel } from "@unseen/lab/language/ngrams.ts";
import { propagate } from "@unseen/lab/language/propagation.ts";
import { Proposals } from "@unseen/lab/language/proposals.ts";
import { SearchState } from "@unseen/lab/language/search-state.ts";
import { Traffic } from "@unseen/lab/language/traffic.ts";
import { ToyLanguage } from "@unseen/lab/language.fixture.ts";
import { matrix } from "@unseen/lab/numeric/matrix.ts";
import { multiplyTransposed } from "@unseen/lab/numeric/multiply.ts";
import { seeded } from "@unseen/lab/seed.ts";
import { median, seconds, type Figure } from "./measure.ts";

const VOCABULARY = 4096;
const LENGTH = 200;
const MOVES = 50_000;
const ROUNDS = 3;

const always = async (): Promise<boolean> => true;

/** Median of several runs. */
async function repeatedly(run: () => Promise<number>): Promise<number> {
  const results: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) results.push(await run());
  return median(results);
}

export async function lab(): Promise<Figure[]> {
  const language = new ToyLanguage(VOCABULARY, 1);
  const model = new BigramModel(language.texts(400_000 / LENGTH, LENGTH, 1), VOCABULARY);
  const figures: Figure[] = [];
  for (const tokens of [20_000, 100_000]) {
    const traffic = new Traffic(language.texts(tokens / LENGTH, LENGTH, 2), VOCABULARY);
    const movesPerSecond = await repeatedly(async () => {
      const random = seeded(1, "bench");
      const state = new SearchState(traffic, model, model.order);
      const source = new Proposals(state, random, model);
      const climbed = await climb(state, source, { moves: MOVES, hot: 0, cold: 0 }, random, always);
      return climbed.moves / climbed.seconds;
    });
    const goal = tokens === 20_000 ? { goal: ">= 10000" } : {};
    figures.push({ name: `hill climbing, V = 4096, ${tokens / 1000}k tokens recorded`, value: movesPerSecond, unit: "moves/s", ...goal });
    const none = new Int32Array(VOCABULARY).fill(-1);
    const common = none.map((_, symbol) => (symbol < 20 ? (model.order[symbol] as number) : -1));
    const reading = await repeatedly(() => seconds(() => propagate(traffic, model, none, common, always)));
    figures.push({ name: `propagation from 20 guesses, ${tokens / 1000}k tokens recorded`, value: reading, unit: "s" });
  }
  const random = seeded(1, "matrices");
  const size = 1024;
  const [a, b] = [1, 2].map(() =>
    matrix(
      size,
      size,
      Float64Array.from({ length: size ** 2 }, () => random.gaussian()),
    ),
  );
  const product = await repeatedly(() => seconds(() => multiplyTransposed(a!, b!)));
  figures.push({ name: "product of two 1024 x 1024 matrices, float64", value: (2 * size ** 3) / product / 1e9, unit: "GFlop/s" });
  return figures;
}
