/** Numbers and ranges on the wire. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { throwsWith } from "./onnx.fixture.ts";
import { Rope, encodeVarints, joinParts } from "./protobuf-write.ts";
import { ByteSource, FieldBudget, MAXIMUM_FIELDS, Message, Slice, clamp, fields, signed } from "./protobuf.ts";

const all = (bytes: Uint8Array): Slice => new Slice(ByteSource.memory(bytes), 0, bytes.length);

test("any 64-bit numbers come back, clamped to what a double holds exactly", () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { minLength: 1 }), (values) => {
      const { source, end } = all(encodeVarints(values));
      let at = 0;
      for (const value of values) {
        at = source.varint(at, end);
        assert.equal(signed(source.low, source.high), value);
        const limit = BigInt(Number.MAX_SAFE_INTEGER);
        assert.equal(BigInt(clamp(source.low, source.high)), value > limit ? limit : value < -limit ? -limit : value);
      }
      assert.equal(at, end);
    }),
  );
});

test("numbers beyond 2^53 are refused where they must be exact", () => {
  const [field] = fields(all(joinParts(new Rope().varint(1, 2n ** 53n).parts)));
  throwsWith(() => field!.integer(), "CHECKPOINT_TOO_LARGE");
  assert.equal(field!.clamped(), Number.MAX_SAFE_INTEGER);
});

test("a rope of neighbours in a source is one range", () => {
  const source = ByteSource.memory(Uint8Array.from({ length: 100 }, (_, index) => index));
  const rope = new Rope()
    .add(new Slice(source, 0, 10))
    .add(new Slice(source, 10, 30))
    .add(Uint8Array.of(255))
    .add(new Slice(source, 40, 41));
  assert.equal(rope.parts.length, 3);
  assert.deepEqual(joinParts(rope.parts), Uint8Array.of(...Array.from({ length: 30 }, (_, index) => index), 255, 40));
});

test("a message of more fields than the limit is refused", () => {
  const bytes = new Uint8Array(2 * (MAXIMUM_FIELDS + 1)).fill(8);
  throwsWith(() => new Message(all(bytes), "the test", new FieldBudget()), "CHECKPOINT_TOO_LARGE", /fields/);
});
