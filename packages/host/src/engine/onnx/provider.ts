/**
 * Where ONNX Runtime may compute. Its own module, so that the command line knows the names without loading an engine.
 * @module
 */

/** Execution providers of ONNX Runtime; each build has some of them. */
export const PROVIDERS = ["cpu", "cuda", "tensorrt", "webgpu", "dml", "coreml"] as const;
export type Provider = (typeof PROVIDERS)[number];
