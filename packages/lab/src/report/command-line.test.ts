import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { commandLine } from "./command-line.ts";
import { example, exampleReport } from "./example.fixture.ts";

const of = (name: string, base: string | null = null): string =>
  commandLine(exampleReport([], { model: { ...example.model, name, base } }));

describe("the command that makes a report again", () => {
  test("has the settings", () => {
    assert.equal(
      commandLine(example),
      "unseen attack story-llama-unseen --base story-llama --keys 5 --seed 1 --budget 60 --defences --json",
    );
    assert.equal(of("m.gguf"), "unseen attack m.gguf --keys 5 --seed 1 --budget 60 --json");
  });

  test("a name is one word of the shell, and no option", () => {
    assert.match(of("my model"), /^unseen attack 'my model' --keys/);
    assert.match(of("$(rm -rf ~)`x`"), /^unseen attack '\$\(rm -rf ~\)`x`' --keys/);
    assert.match(of("it's"), /^unseen attack 'it'\\''s' --keys/);
    assert.match(of("a\nrm -rf ~"), /^unseen attack 'a rm -rf ~' --keys/);
    assert.match(of("--help"), /^unseen attack \.\/--help --keys/);
    assert.match(of("x", "; ls"), / --base '; ls' --keys/);
  });
});
