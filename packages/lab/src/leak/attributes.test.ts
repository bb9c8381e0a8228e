import assert from "node:assert/strict";
import { test } from "node:test";
import { identify, pictureAttributes, readClasses, scoreAttribute } from "./attributes.ts";
import { randomNumbers } from "./heads.fixture.ts";
import { Components } from "./inverters/components.ts";

test("classes that features hold are read, of noise the commonest alone", () => {
  const count = 90;
  const classes = Int32Array.from({ length: count }, (_, row) => [2, 2, 2, 5, 7][row % 5]!);
  const noise = randomNumbers(count * 12, "features");
  const clean = Float32Array.from(noise, (value, at) => 0.1 * value + Number(classes[Math.floor(at / 12)] === (at % 12) + 1));
  const read = (features: Float32Array): Int32Array =>
    readClasses(new Components({ count, pictures: new Float32Array(0), clean, features }, 12), classes, features, count);
  assert.deepEqual(scoreAttribute("x", classes, read(clean)), { name: "x", recovered: 1, baseline: 0.6 });
  const blind = scoreAttribute("x", classes, read(Float32Array.from(noise, (value) => 1000 * value)));
  assert.ok(Math.abs(blind.recovered - 0.6) < 0.1, `${blind.recovered}`);
});

test("what a picture shows", () => {
  const shape = { channels: 1, height: 2, width: 2 };
  const pictures = Float32Array.of(0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0, 0.9, 0.9, 0.9, 0.8);
  const shown = Object.fromEntries(pictureAttributes(shape, pictures).map(({ name, of }) => [name.split(",")[0]!, [...of(pictures)]]));
  assert.deepEqual(shown, {
    "brighter than the median": [0, 0, 0, 0, 1],
    "more contrast than the median": [0, 0, 0, 0, 0],
    "left side brighter": [0, 1, 0, 0, 1],
    "upper half brighter": [0, 0, 0, 1, 1],
  });
});

test("a drawn picture is that which it is nearest to", () => {
  const shape = { channels: 1, height: 1, width: 2 };
  assert.deepEqual([...identify(Float32Array.of(0, 0, 1, 1, 0, 1), Float32Array.of(0.1, 0.2, 0.2, 0.7, 0.9, 0.8), shape)], [0, 2, 1]);
});
