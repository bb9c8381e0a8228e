import assert from "node:assert/strict";
import { test } from "node:test";
import { RandomStream } from "../algebra/random.ts";
import type { JsonObject } from "./config.ts";
import { divideOutputs, encoderInterface } from "./encoder-interface.ts";
import { blueprintOf } from "./families/index.ts";
import type { EncoderBlueprint } from "./family.ts";
import { parseClientInterface } from "./interface.ts";
import type { ModelOutput } from "./output.ts";
import { elementOf } from "./recipe.ts";
import { Elements, type Strength } from "./spaces.ts";

const secret = Uint8Array.from({ length: 32 }, (_, index) => index + 9);
const SIZES = { hidden_size: 32, intermediate_size: 40, num_hidden_layers: 1, num_attention_heads: 4 } as const satisfies JsonObject;
const TEXT = { vocab_size: 64, max_position_embeddings: 40, ...SIZES } as const satisfies JsonObject;
const IMAGE = { image_size: 12, patch_size: 4, num_channels: 3, ...SIZES } as const satisfies JsonObject;
const blueprint = (family: string, architecture: string, config: JsonObject): EncoderBlueprint => {
  const read = blueprintOf({ model_type: family, architectures: [architecture], ...config });
  assert.ok(read.kind === "encoder");
  return read;
};
const labels = Object.fromEntries(Array.from({ length: 3 }, (_, index) => [String(index), `class ${index}`]));
const cases = {
  bert: blueprint("bert", "BertModel", TEXT),
  classes: blueprint("bert", "BertForSequenceClassification", { ...TEXT, id2label: labels }),
  tokens: blueprint("bert", "BertForTokenClassification", { ...TEXT, id2label: labels }),
  masked: blueprint("bert", "BertForMaskedLM", TEXT),
  roberta: blueprint("roberta", "RobertaForMaskedLM", { ...TEXT, pad_token_id: 1 }),
  vit: blueprint("vit", "ViTModel", IMAGE),
  pictures: blueprint("vit", "ViTForImageClassification", { ...IMAGE, id2label: labels }),
  clip: blueprint("clip", "CLIPModel", { projection_dim: 24, text_config: { ...TEXT, eos_token_id: 63 }, vision_config: IMAGE }),
} as const;
const outputsOf = ({ outputs }: EncoderBlueprint): ModelOutput[] => outputs.map(({ name, space }) => ({ name, space, norm: null }));
const usage = { labels: null, pooling: null, embeds: false, normalise: true, maximumLength: 16, image: null } as const;

for (const strength of ["permute", "rotate"] as const satisfies Strength[]) {
  test(`${strength}: a recipe in the bundle is the element that encrypted the output`, () => {
    const elements = new Elements({ secret, strength }, "half");
    const random = new RandomStream(secret);
    let compared = 0;
    for (const [name, each] of Object.entries(cases)) {
      const outputs = outputsOf(each);
      const { recipes, others } = divideOutputs(outputs, each.architecture.head, strength);
      assert.deepEqual([...recipes, ...others].map((output) => output.name).toSorted(), outputs.map((output) => output.name).toSorted());
      for (const recipe of recipes) {
        const { space } = outputs.find((output) => output.name === recipe.name)!;
        const plain = Float64Array.from({ length: space.size }, () => random.gaussian());
        const [expected, actual] = [Float64Array.from(plain), Float64Array.from(plain)];
        elements.of(space)!.apply(expected, 1);
        elementOf(recipe.axes.at(-1)!, secret)!.apply(actual, 1);
        assert.deepEqual(actual, expected, `${name} ${recipe.name}`);
        assert.notDeepEqual(actual, plain);
        compared += 1;
      }
    }
    assert.equal(compared, 9);
  });
}

test("what recipes cannot say stands apart: a stream behind a norm, ids that keep their number, a folded norm", () => {
  const names = (key: keyof typeof cases): string[] =>
    divideOutputs(outputsOf(cases[key]), cases[key].architecture.head, "rotate").others.map(({ name }) => name);
  assert.deepEqual(names("vit"), ["last_hidden_state"]);
  assert.deepEqual(names("roberta"), ["logits"]);
  assert.deepEqual(names("clip"), []);
  const norm = { gain: Array<number>(24).fill(1), bias: Array<number>(24).fill(0), offset: 1 };
  const folded = outputsOf(cases.clip).map((output) => ({ ...output, norm }));
  assert.equal(divideOutputs(folded, "projection", "rotate").others.length, 2);
});

test("inputs, task and rank of outputs are those of the family, and survive the file", () => {
  const described = Object.fromEntries(
    Object.entries(cases).map(([name, each]) => {
      const ends = encoderInterface(each, outputsOf(each), "rotate", usage);
      assert.deepEqual(parseClientInterface(JSON.parse(JSON.stringify(ends))), ends);
      const outputs = ends.outputs.map((output) => `${output.name}:${output.axes.length}`).join(" ");
      return [name, [ends.inputs.map((input) => input.name).join(" "), outputs, ends.task, ends.maximumLength]];
    }),
  );
  const texts = "input_ids attention_mask token_type_ids";
  assert.deepEqual(described, {
    bert: [texts, "last_hidden_state:3 pooler_output:2", "embedding", 16],
    classes: [texts, "logits:2", "classification", 16],
    tokens: [texts, "logits:3", "classification", 16],
    masked: [texts, "logits:3", "other", 16],
    roberta: [texts, "", "other", 16],
    vit: ["pixel_values", "pooler_output:2", "embedding", null],
    pictures: ["pixel_values", "logits:2", "classification", null],
    clip: ["input_ids attention_mask pixel_values", "text_embeds:2 image_embeds:2", "embedding", 16],
  });
  const [ids] = encoderInterface(cases.roberta, [], "rotate", usage).inputs;
  assert.deepEqual(ids, { name: "input_ids", kind: "ids", label: "vocabulary.fixing.1", size: 64 });
});
