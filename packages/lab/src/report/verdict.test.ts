import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { AttackResult } from "../result.ts";
import { example, exampleNotRun, exampleReport, exampleResult } from "./example.fixture.ts";
import { verdictOf } from "./verdict.ts";

const said = (...attacks: readonly AttackResult[]): string => verdictOf(exampleReport(attacks)).sentence;
const failed = { control: 0.2, controlSetting: { setting: "easier", judged: "vocabularyTop1", least: 0.9 } };

describe("the verdict", () => {
  test("names the attacker, the share and the time", () => {
    assert.equal(
      said(exampleResult("gram", "T2", { vocabularyTop1: 1, textTokens: 1, seconds: 3.87 })),
      "A host that has the public model recovers 100 % of the vocabulary in 4 s.",
    );
    assert.equal(
      said(exampleResult("climb", "T0", { vocabularyTop1: 0.1, textTokens: 0.93, seconds: 600 })),
      "Someone who sees only the ids, on the wire or in a log, reads 93 % of the tokens of a text in 10 min.",
    );
  });

  test("the most successful attack of a tier speaks for it, of equals the fastest", () => {
    const slow = exampleResult("slow", "T2", { vocabularyTop1: 1, seconds: 50 });
    const fast = exampleResult("fast", "T2", { vocabularyTop1: 1, seconds: 2 });
    const partial = exampleResult("partial", "T2", { vocabularyTop1: 0.95, seconds: 0.5 });
    assert.match(said(partial, slow, fast), /recovers 100 % of the vocabulary in 2 s\.$/);
  });

  test("of equally bad tiers the one that needs least comes first", () => {
    const known = exampleResult("pairs", "T3", { vocabularyTop1: 1 });
    const host = exampleResult("gram", "T2", { vocabularyTop1: 0.97 });
    assert.match(said(known, host), /^A host that has the public model recovers 97 % /);
  });

  test("a worse success leads, a lesser one of somebody who has less is told too", () => {
    const sentence = said(
      exampleResult("climb", "T0", { vocabularyTop1: 0.02, textTokens: 0.21, seconds: 40 }),
      exampleResult("gram", "T2", { vocabularyTop1: 1, seconds: 4 }),
    );
    assert.equal(
      sentence,
      "A host that has the public model recovers 100 % of the vocabulary in 4 s; someone who sees only the ids, on the wire or in a log, reads 21 % of the tokens of a text in 40 s.",
    );
  });

  test("nearly all is not all", () => {
    assert.match(said(exampleResult("gram", "T2", { vocabularyTop1: 0.99999 })), /recovers more than 99\.9 % of/);
  });

  test("without a success it says how much, and promises nothing", () => {
    const { sentence, limits } = verdictOf(
      exampleReport([
        exampleResult("ranks", "T0", { vocabularyTop1: 0.0101, textTokens: 0.05 }),
        exampleResult("gram", "T2", { vocabularyTop1: 0.02, spread: { vocabularyTop1: { least: 0, mean: 0.02, greatest: 0.0712 }, textTokens: null } }), // prettier-ignore
      ]),
    );
    assert.equal(
      sentence,
      "No attack in this run recovered more than 7.2 % of the vocabulary or 5 % of the tokens of a text: these attacks, these budgets.",
    );
    assert.match(limits.join(" "), /more time, may recover more/);
  });

  test("a point of a curve counts too", () => {
    const curve = { of: "pairs", points: [{ x: 1, vocabularyTop1: 0.08, textTokens: null }] };
    assert.match(said(exampleResult("pairs", "T2", { vocabularyTop1: 0.05, curve })), /more than 8 % of the vocabulary:/);
  });

  test("without a figure at T2 it says so in the same breath", () => {
    assert.match(
      said(exampleResult("ranks", "T0", { vocabularyTop1: 0.01 }), exampleNotRun("gram", "T2", "there is no base")),
      /these attacks, these budgets, and none at T2, the tier to assume for an open model\.$/,
    );
    assert.match(
      said(exampleResult("ranks", "T0", { vocabularyTop1: 0.01 }), exampleResult("gram", "T2", { vocabularyTop1: 0, ...failed })),
      /none at T2/,
    );
  });

  test("a low figure says nothing where the control failed or could not be run", () => {
    const nothing = "This run says nothing about the model: no attack succeeded where it must, so none is known to work.";
    assert.equal(said(exampleResult("gram", "T2", { vocabularyTop1: 0, ...failed })), nothing);
    assert.equal(said(exampleResult("gram", "T2", { vocabularyTop1: 0, control: null })), nothing);
    assert.equal(said(exampleResult("guess", "T2", { vocabularyTop1: 0, control: null, controlSetting: null })), nothing);
  });

  test("what was recovered was recovered, whatever the control says", () => {
    const found = exampleResult("gram", "T2", { vocabularyTop1: 0.8, ...failed });
    assert.doesNotMatch(verdictOf(exampleReport([found])).limits.join(" "), /control/);
    assert.match(said(found), /recovers 80 %/);
  });

  test("no attack, or none that was run, says nothing", () => {
    assert.equal(said(), "This run says nothing about the model: there was no attack.");
    assert.equal(said(exampleNotRun("gram", "T2", "there is no base")), "This run says nothing about the model: no attack was run.");
  });

  test("what was not found out stands beside it", () => {
    assert.deepEqual(verdictOf(example).limits, [
      "Means over 5 keys, with at most 1 min for each attack and key.",
      "2 attacks were not run.",
      "The control of 1 attack failed: its row says nothing.",
      "Time ran out in 1 attack: a longer run may recover more.",
    ]);
  });
});
