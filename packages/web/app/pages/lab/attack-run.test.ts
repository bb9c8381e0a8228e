import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttackResultRow, DefencePointRow } from "../../../src/protocol/lab.ts";
import { controlState, curvesOf, defenceFigures, mostRecovered, saysSomething } from "./attack-run.ts";
import { guessBase } from "./guess-base.ts";

const ran: AttackResultRow = {
  name: "known-ridge",
  title: "",
  tier: "T3",
  knowledge: "",
  vocabularyTop1: 0.02,
  textTokens: null,
  seconds: 1,
  control: 1,
  controlSetting: { setting: "", judged: "vocabularyTop1", least: 0.9 },
  keys: 1,
  curve: null,
  remark: null,
  complete: true,
  notRun: null,
};

test("a low figure means something only where the control held", () => {
  assert.equal(controlState(ran), "held");
  assert.equal(saysSomething(ran), true);
  assert.equal(controlState({ ...ran, control: 0.5 }), "failed");
  assert.equal(saysSomething({ ...ran, control: 0.5 }), false);
  assert.equal(saysSomething({ ...ran, control: 0.5, vocabularyTop1: 0.4 }), true);
  assert.equal(controlState({ ...ran, control: null }), "missing");
  assert.equal(controlState({ ...ran, controlSetting: null }), "none");
});

test("an attack that was not run recovered nothing that could be shown", () => {
  assert.equal(mostRecovered({ ...ran, notRun: "no text" }), null);
  assert.equal(mostRecovered({ ...ran, textTokens: 0.7 }), 0.7);
});

test("curves over the same advantage share a figure; texts have their own", () => {
  const curve = { of: "known pairs", points: [{ x: 10, vocabularyTop1: 0.1, textTokens: 0.3 }, { x: 20, vocabularyTop1: 0.2, textTokens: null }] }; // prettier-ignore
  const figures = curvesOf([{ ...ran, curve }, { ...ran, name: "other", curve: { ...curve, points: curve.points.map((point) => ({ ...point, textTokens: null })) } }, ran]); // prettier-ignore
  assert.deepEqual(
    figures.map(({ of, what, series }) => [of, what, series.map(({ name, points }) => `${name} ${points.length}`)]),
    [
      ["known pairs", "vocabulary", ["known-ridge 2", "other 2"]],
      ["known pairs", "text", ["known-ridge 1"]],
    ],
  );
});

test("a defence is drawn against what is left of the model, or against its dial where the model stays exact", () => {
  const point = (defence: string, x: number, top1: number | null, vocabularyTop1: number, textTokens: number | null): DefencePointRow => ({
    defence,
    x,
    fidelity: top1 === null ? null : { meanKl: 0.1, top1 },
    recovery: { attack: { vocabularyTop1, textTokens } },
    cost: 1,
  });
  const [noise, decoys] = defenceFigures([
    point("weight-noise", 0.1, 0.99, 1, null),
    point("weight-noise", 0.5, 0.6, 0.2, null),
    point("decoys", 1, null, 0.1, 0.4),
    point("decoys", 3, null, 0.1, 0.2),
  ]);
  assert.deepEqual([noise!.across, noise!.what, noise!.series[0]!.points], ["fidelity", "vocabulary", [{ x: 0.6, y: 0.2 }, { x: 0.99, y: 1 }]]); // prettier-ignore
  assert.deepEqual([decoys!.across, decoys!.what, decoys!.series[0]!.points], ["dial", "text", [{ x: 1, y: 0.4 }, { x: 3, y: 0.2 }]]); // prettier-ignore
});

test("the base is guessed by name, then by family, and not at all where neither says", () => {
  const plain = (name: string, family: string) => ({ name, family, path: `/${name}`, bytes: 1, bundled: false });
  const models = [plain("story", "llama"), plain("story-llama", "llama"), plain("bert", "bert")];
  assert.equal(guessBase({ name: "story-llama-unseen", family: "llama" }, models)?.name, "story-llama");
  assert.equal(guessBase({ name: "mine", family: "bert" }, models)?.name, "bert");
  assert.equal(guessBase({ name: "mine", family: "llama" }, models), null);
});
