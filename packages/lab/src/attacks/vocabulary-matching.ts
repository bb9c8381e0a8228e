/**
 * The vocabulary-matching attack: every product of weights in which keys cancel describes each token, and all descriptions
 * together name it.
 * @module
 */
import type { Attack, Context } from "../attack.ts";
import { rowOf, type Matrix } from "../numeric/matrix.ts";
import { classesOfRows, type Neighbours } from "../numeric/nearest.ts";
import { mapped } from "../weights/batched.ts";
import type { LayerMatrices } from "../weights/weights.ts";
import { joinColumns, standardised } from "./features.ts";
import { hasNeurons, hasTableView, layerViews, sketchOf, tablesOfModel, tableViews, type Tables, type View } from "./matching-views.ts";
import { guessOf, isClear, mutualMatches, nearestPlain, type Match } from "./pairing.ts";
import { SKETCH_WIDTH } from "./sorted-sketch.ts";
import { roundingBetween } from "./storage-rounding.ts";
import { exactEncryption, missingBlocks, twoModels, type TwoModels } from "./two-models.ts";

/** Blocks that are looked at, spread over the whole depth. */
const MAXIMUM_LAYERS = 8;
/** Numbers that the features of one model may have; a gigabyte. */
const MAXIMUM_NUMBERS = 2 ** 27;
/** Share of the surest pairs from which the noise of each feature is measured. */
const SURE_SHARE = 1 / 3;

export const vocabularyMatching: Attack = {
  name: "vocabulary-matching",
  title: "Pairs tokens by sorted rows of products of weight matrices, all views and layers together.",
  tier: "T2",
  knowledge: "encrypted weights, public model",
  source: "AloePri, arXiv 2603.01499; Hidden No More, arXiv 2505.18332",
  missing(evidence) {
    const reason = missingBlocks(evidence);
    const { base } = evidence;
    if (reason !== null || !base || hasNeurons(base) || hasTableView(base)) return reason;
    return "its blocks are mixtures of experts, and its vocabulary is too large to be multiplied with itself";
  },
  async run(evidence, context) {
    const models = twoModels(evidence);
    const { neighbours, features, views } = await matchVocabularies(models, context, [0, 0.8]);
    return {
      guess: guessOf(neighbours),
      classes: classesOfRows(features, roundingBetween(models)),
      figures: { views },
      ...(views === 0 ? { remark: "The blocks of the two models have different shapes, so there is nothing to compare." } : {}),
    };
  },
  control: exactEncryption(0.95),
};

/** What the attack finds, for attacks that start from there. */
export interface VocabularyMatch {
  readonly neighbours: Neighbours;
  /** (V, features) of the public model. */
  readonly features: Matrix;
  /** Surest first. */
  readonly matches: readonly Match[];
  readonly views: number;
}

/**
 * Matches the vocabularies of two models whose `missing` is null: by the first block alone where that is enough, else by all.
 * Views are joined into one row a token and not asked for votes, because a token may be found by all of them together that none
 * finds alone.
 *
 * @param span the part of the whole attack that this is, as shares 0..1
 */
export async function matchVocabularies(
  models: TwoModels,
  context: Context,
  [start, end]: readonly [number, number],
): Promise<VocabularyMatch> {
  const at = (share: number): number => start + (end - start) * share;
  const views = new Views(models);
  if (views.layers > 0) {
    views.addLayer(0);
    const look = await match(views, context, [at(0.1), at(0.2)], null);
    if (isClear(look.matches, models.base.vocabulary)) return look;
  }
  views.addTables();
  for (let index = 1; index < views.layers; index += 1) {
    if (!(await context.proceed(at(0.2 + (0.4 * index) / views.layers)))) break;
    views.addLayer(index);
  }
  const { matches } = await match(views, context, [at(0.6), at(0.8)], null);
  return match(views, context, [at(0.8), end], matches.slice(0, Math.ceil(matches.length * SURE_SHARE)));
}

/** Sorted rows of products of both models, standardised each on its own. */
class Views {
  /** Blocks that can be added. */
  readonly layers: number;
  readonly vocabulary: number;
  readonly encrypted: Matrix[] = [];
  readonly base: Matrix[] = [];
  readonly #models: TwoModels;
  readonly #tables: { readonly encrypted: Tables; readonly base: Tables };

  constructor(models: TwoModels) {
    const affordable = Math.max(1, Math.floor(MAXIMUM_NUMBERS / (models.base.vocabulary * 3 * SKETCH_WIDTH)));
    this.layers = hasNeurons(models.base) && hasNeurons(models.encrypted) ? Math.min(models.base.layers, MAXIMUM_LAYERS, affordable) : 0;
    this.vocabulary = models.base.vocabulary;
    this.#models = models;
    this.#tables = { encrypted: tablesOfModel(models.encrypted), base: tablesOfModel(models.base) };
  }

  addTables(): void {
    this.#add(tableViews(this.#tables.encrypted), tableViews(this.#tables.base));
  }

  /** The views of one of `layers` blocks that lie evenly in the whole depth. */
  addLayer(index: number): void {
    const layer = Math.floor((index * this.#models.base.layers) / this.layers);
    const of = (side: keyof TwoModels): View[] => layerViews(this.#tables[side], this.#models[side].layer(layer) as LayerMatrices);
    this.#add(of("encrypted"), of("base"));
  }

  /** Models of different shapes may have some views in common, or none. */
  #add(encrypted: readonly View[], base: readonly View[]): void {
    if (encrypted.length !== base.length) return;
    for (const [index, view] of base.entries()) {
      const [theirs, ours] = [encrypted[index] as View, view];
      if (theirs.readers.rows !== ours.readers.rows) continue;
      this.encrypted.push(standardised(sketchOf(theirs)));
      this.base.push(standardised(sketchOf(ours)));
    }
  }
}

/** Pairs tokens by all views; where there are sure pairs, with each feature in units of its noise between them. */
async function match(
  views: Views,
  context: Context,
  span: readonly [number, number],
  sure: readonly Match[] | null,
): Promise<VocabularyMatch> {
  const [encrypted, base] = [joinColumns(views.encrypted, views.vocabulary), joinColumns(views.base, views.vocabulary)];
  const scale = sure && precision(encrypted, base, sure);
  const neighbours = await nearestPlain(
    scale ? weighted(encrypted, scale) : encrypted,
    scale ? weighted(base, scale) : base,
    context,
    span,
  );
  return { neighbours, features: base, matches: mutualMatches(neighbours), views: views.base.length };
}

/** One over the deviation of each feature between paired rows: what noise has spoilt counts less. */
function precision(encrypted: Matrix, base: Matrix, pairs: readonly Match[]): Float64Array {
  const squares = new Float64Array(base.columns);
  for (const { cipher, plain } of pairs) {
    const [a, b] = [rowOf(encrypted, cipher), rowOf(base, plain)];
    for (let k = 0; k < squares.length; k += 1) squares[k]! += ((a[k] as number) - (b[k] as number)) ** 2 / pairs.length;
  }
  return squares.map((square) => 1 / Math.sqrt(square + 1e-12));
}

function weighted(features: Matrix, scale: Float64Array): Matrix {
  return mapped(features, (value, at) => value * (scale[at % features.columns] as number));
}
