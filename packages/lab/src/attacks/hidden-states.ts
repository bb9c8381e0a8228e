/**
 * Attacks on what a host sees between the layers of a decoder, without looking at the ids: the states of recorded texts, in
 * coordinates that the key has turned. A host in split inference sees no more than this, nor does somebody with a dump of its memory.
 *
 * The map that turns the stream is orthogonal in every exact scheme (docs/reference/groups.md), so lengths and inner products of
 * states are those of the public model.
 * @module
 */
import { decoderOf } from "@unseen/core/blueprint/families/index.ts";
import type { Model } from "@unseen/core/blueprint/model.ts";
import { IncrementalForward } from "../activations/incremental-forward.ts";
import { asRead, invariantsOf } from "../activations/invariants.ts";
import { nearestTokens, type NearestToken } from "../activations/nearest-token.ts";
import { OPENING_MISFIT, Proposals } from "../activations/proposals.ts";
import { TokenSearch } from "../activations/token-search.ts";
import type { Attack, Context, Control, Evidence, Outcome } from "../attack.ts";
import { matrix, rowOf, takeRows, type Matrix } from "../numeric/matrix.ts";

/** How much is attacked. */
export interface HiddenStatesEffort {
  /** Recorded texts, from the first on. */
  readonly texts: number;
  /** Positions of each. */
  readonly tokens: number;
  /** Texts pursued at once while it is not clear which is right. */
  readonly width: number;
}

const SEARCH: HiddenStatesEffort = { texts: 4, tokens: 24, width: 4 };
const NEIGHBOURS: HiddenStatesEffort = { texts: 20, tokens: 24, width: 1 };

/** Weights that are held in memory, 8 bytes each (CWE-789). */
const MAXIMUM_WEIGHTS = 2 ** 28;

/** The states behind the middle layer: late enough for attention to have mixed positions. */
const layersOf = (model: Model): number => Math.ceil(decoderOf(model.config).architecture.layers.length / 2);

function openHalf(model: Model, { tokens }: HiddenStatesEffort): IncrementalForward {
  return new IncrementalForward(model, { layers: layersOf(model), positions: tokens });
}

/** What the host computed anyway: `(t, d)` for each text, behind the middle layer. */
function* recordedStates({ encrypted, traffic }: Evidence, effort: HiddenStatesEffort): Generator<Matrix> {
  const run = openHalf(encrypted?.model as Model, effort);
  const tokens = Math.min(effort.tokens, run.architecture.maximumPositions);
  for (const ids of traffic.slice(0, effort.texts))
    yield asRead(run.states(ids.subarray(0, tokens)).at(-1) as Matrix, run.architecture.norm.kind);
}

function missing({ encrypted, base, traffic }: Evidence): string | null {
  if (!encrypted || !base) return "it needs the encrypted model and the public one";
  for (const { kind, model, name } of [encrypted, base]) {
    if (kind !== "decoder" || !model) return "it reads the states of decoders";
    const { architecture: a } = decoderOf(model.config);
    if (a.layers.some(({ experts }) => experts)) return `${name} is a mixture of experts, which is not run here`;
    const ofLayer = a.hidden * (2 * (a.heads + a.kvHeads) * a.headSize + 3 * a.neurons);
    if (layersOf(model) * ofLayer + a.vocabulary * a.hidden > MAXIMUM_WEIGHTS)
      return `half of ${name} has more than ${MAXIMUM_WEIGHTS} weights, which would be held in memory`;
  }
  if (encrypted.layers !== base.layers) return "the two models have different numbers of layers";
  if (traffic.length === 0) return "nothing was recorded";
  return traffic.some(({ length }) => length === 0) ? "a recorded text is empty" : null;
}

const exact = (evidence: Evidence, encrypted: Evidence["encrypted"]): Evidence => ({
  ...evidence,
  encrypted: encrypted ?? evidence.encrypted,
});

/** Reads texts token by token: the discrete search. */
export function hiddenStateSearch(effort: HiddenStatesEffort = SEARCH): Attack {
  return {
    name: "hidden-state-search",
    title: "Reads texts from hidden states, trying every next token on the public model.",
    tier: "T2",
    knowledge: "hidden states of recorded texts behind the middle layer, and the public model; no ids",
    source: "ISA as a discrete k-way search (independent port of arXiv 2603.01499); hidden-state VMA against PermLLM and STIP",
    missing,
    async run(evidence, { proceed }) {
      const base = openHalf(evidence.base?.model as Model, effort);
      const { vocabulary } = base.architecture;
      const search = new TokenSearch(base, new Proposals(evidence.prior, vocabulary), effort.width);
      const count = Math.min(effort.texts, evidence.traffic.length);
      const texts: Int32Array[] = [];
      let cost = 0;
      for (const recorded of recordedStates(evidence, effort)) {
        const { ids, misfit } = await search.read(recorded, (done) => proceed((texts.length + done) / count));
        texts.push(ids);
        cost += ids.length * misfit ** 2;
        if (ids.length < recorded.rows) break; // the time is up
      }
      const tokens = texts.reduce((sum, { length }) => sum + length, 0);
      return {
        guess: null,
        texts,
        figures: {
          tokens,
          triedShare: share(search.tried, tokens * vocabulary),
          misfit: Math.sqrt(share(cost, tokens)),
        },
      };
    },
    control: {
      setting: "the exact encryption",
      least: 0.9,
      judged: "textTokens",
      arrange: (evidence, { exact: model }) => exact(evidence, model),
    },
  };
}

/** Takes each state for the nearest single token's: its baseline. */
export function hiddenStateNeighbours(effort: HiddenStatesEffort = NEIGHBOURS): Attack {
  return {
    name: "hidden-state-neighbours",
    title: "Takes each hidden state for that of the public model's token with the nearest length and product with the first state.",
    tier: "T2",
    knowledge: "hidden states of recorded texts behind the middle layer, and the public model; no ids",
    source: "VMA, hidden-state form (against PermLLM, STIP and Centaur), without its prefix",
    missing,
    run: (evidence, context) => findNeighbours(evidence, context, effort),
    control: NEIGHBOUR_CONTROL,
  };
}

/** Nothing but the first state stands before the second, so there the nearest single token is the right one. */
const NEIGHBOUR_CONTROL: Control = {
  setting: "the exact encryption, texts of two tokens",
  least: 0.9,
  judged: "textTokens",
  arrange: (evidence, { exact: model }) => exact({ ...evidence, traffic: evidence.traffic.map((ids) => ids.subarray(0, 2)) }, model),
};

async function findNeighbours(evidence: Evidence, { proceed }: Context, effort: HiddenStatesEffort): Promise<Outcome> {
  const run = openHalf(evidence.base?.model as Model, effort);
  const { vocabulary, hidden, norm } = run.architecture;
  const recorded = [...recordedStates(evidence, effort)];
  const all = Uint32Array.from({ length: vocabulary }, (_, id) => id);
  const none = matrix(0, hidden);

  const first = recorded.map((states) => invariantsOf(rowOf(states, 0), none));
  const start = { prefix: run.empty, states: none };
  const openings = Uint32Array.from(new Proposals(evidence.prior, vocabulary).openings);
  const expected = await nearestTokens(run, start, openings, first, proceed);
  const any = await nearestTokens(run, start, all, first, proceed);
  const opened = expected.map((token, text) => (token.misfit < OPENING_MISFIT ? token : (any[text] as NearestToken)).id);

  const texts = recorded.map((states, text) => new Int32Array(states.rows).fill(-1).fill(opened[text] as number, 0, 1));
  for (const opening of new Set(opened)) {
    if (opening < 0) continue;
    const step = run.step(run.empty, [opening]);
    const beginning = { prefix: step.extend(0), states: asRead(step.states.at(-1) as Matrix, norm.kind) };
    const places = recorded.flatMap((states, text) =>
      opened[text] === opening ? Array.from({ length: states.rows - 1 }, (_, before) => ({ text, place: before + 1 })) : [],
    );
    const seen = places.map(({ text, place }) => {
      const states = recorded[text] as Matrix;
      return invariantsOf(rowOf(states, place), takeRows(states, [0]));
    });
    const found = await nearestTokens(run, beginning, all, seen, proceed);
    for (const [at, { text, place }] of places.entries()) (texts[text] as Int32Array)[place] = (found[at] as NearestToken).id;
  }
  return { guess: null, texts, figures: { tokens: recorded.reduce((sum, { rows }) => sum + rows, 0) } };
}

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
