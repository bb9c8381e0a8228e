/**
 * The models that come with the package.
 * @module
 */
import { fileURLToPath } from "node:url";

const bundled = (path: string): string => fileURLToPath(new URL(`../models/${path}`, import.meta.url));

/** Directory of a small model that writes stories. */
export const BUNDLED_MODEL = bundled("story-llama");

/** File of a small model that reads chest X-rays. */
export const BUNDLED_PICTURE_MODEL = bundled("xray-cnn/model.onnx");
