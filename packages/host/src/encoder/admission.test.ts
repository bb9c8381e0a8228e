import assert from "node:assert/strict";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { encodeOnnx, onnxNode } from "@unseen/core/checkpoint/onnx-encode.ts";
import { UnseenError, type ErrorCode } from "@unseen/core/errors.ts";
import { admitModel } from "../admit.ts";
import { startHost } from "../serve.ts";
import { TINY_ONNX_VOCABULARY, writeTinyEncoder, type TinyEncoderOptions } from "../tiny-onnx.fixture.ts";
import { path } from "./serve.fixture.ts";

describe("admission", () => {
  const refuses = (promise: Promise<unknown>, code: ErrorCode): Promise<void> =>
    assert.rejects(promise, (error) => UnseenError.isInstance(error) && error.code === code && !error.line.includes("\n"));

  test("a plain file is refused unless asked for, a directory of one file is that file", async () => {
    mkdirSync(path("plain"));
    writeTinyEncoder(join(path("plain"), "model.onnx"));
    await refuses(admitModel(path("plain")), "NOT_ENCRYPTED");
    const admitted = await admitModel(path("plain"), { plain: true });
    assert.deepEqual([admitted.path, admitted.kind, admitted.manifest], [join(path("plain"), "model.onnx"), "onnx", null]);
    const { inputs, pooling } = admitted.ends!.interface;
    assert.deepEqual(inputs.map(({ kind, vocabularySize }) => [kind, vocabularySize]), [["ids", TINY_ONNX_VOCABULARY], ["mask", undefined]]); // prettier-ignore
    assert.equal(pooling, null);
  });

  test("an interface that does not fit its graph is refused", async () => {
    const refusesInterface = (difference_: TinyEncoderOptions["encrypted"]): Promise<void> => {
      writeTinyEncoder(path("odd.onnx"), { encrypted: difference_! });
      return refuses(admitModel(path("odd.onnx")), "CHECKPOINT_MALFORMED");
    };
    await refusesInterface({ inputs: [] });
    await refusesInterface({ outputs: [] });
    await refusesInterface({ outputs: [{ name: "other", shape: ["batch"], isometric: true }] });
    await refusesInterface({ task: "magic" as never });
    await refusesInterface({ maximumLength: -1 });
  });

  test("damaged files, leftovers and models that the engine refuses are named", async () => {
    writeFileSync(path("noise.onnx"), Buffer.from("this is no model at all"));
    await assert.rejects(
      admitModel(path("noise.onnx"), { plain: true }),
      (error) => UnseenError.isInstance(error) && error.code.startsWith("CHECKPOINT_"),
    );
    writeTinyEncoder(path("encoder.onnx"), { output: "tokens", hasSegments: true, encrypted: {} });
    mkdirSync(path("left.partial"));
    cpSync(path("encoder.onnx"), join(path("left.partial"), "model.onnx"));
    await refuses(admitModel(join(path("left.partial"), "model.onnx")), "CHECKPOINT_INCOMPLETE");
    const shape = ["batch", 2];
    const ends = { inputs: [{ name: "in", type: "float32", shape }], outputs: [{ name: "out", type: "float32", shape }] } as const;
    writeFileSync(path("unknown.onnx"), encodeOnnx({ nodes: [onnxNode("NoSuchOperator", ["in"], ["out"])], ...ends }));
    await refuses(startHost({ model: path("unknown.onnx"), port: 0, plain: true }), "CHECKPOINT_MALFORMED");
    await refuses(startHost({ model: path("encoder.onnx"), port: 0, provider: "dml" }), "USAGE");
    await refuses(startHost({ model: path("encoder.onnx"), port: 0, provider: "tensorrt" }), "USAGE");
  });
});
