/**
 * What an encrypted ONNX file says about itself in public: its `metadata_props`.
 * @module
 */
import type { OnnxModel } from "../../checkpoint/onnx.ts";
import { UnseenError } from "../../errors.ts";
import { parsePublicInterface, type PublicInterface } from "../interface.ts";
import { parseManifest, type Manifest } from "../manifest.ts";
import type { InputMode } from "./cut.ts";

/** Characters of `unseen.interface` (CWE-770). */
const MAXIMUM_INTERFACE = 4 << 20;
const MODES: readonly InputMode[] = ["clear", "client-stem", "patches"];

/** What a sealed file says. */
export interface Seal {
  readonly manifest: Manifest;
  readonly publicInterface: PublicInterface;
  readonly input: InputMode;
  /** Tokens of every sequence, where their order is secret. */
  readonly secretOrder: number | null;
}

/** The metadata of an encrypted model, in full. */
export function sealMetadata(
  manifest: Manifest,
  publicInterface: PublicInterface,
  input: InputMode,
  secretOrder: number | null,
): Map<string, string> {
  return new Map([
    ["unseen.scheme", manifest.scheme],
    ["unseen.version", String(manifest.version)],
    ["unseen.fingerprint", manifest.fingerprint],
    ["unseen.strength", manifest.strength],
    ["unseen.family", manifest.family],
    ["unseen.vocabulary_size", String(manifest.vocabularySize)],
    ["unseen.interface", JSON.stringify(publicInterface)],
    ["unseen.input", input],
    ...(secretOrder === null ? [] : ([["unseen.secret_order", String(secretOrder)]] as const)),
  ]);
}

/** Whether a file says that it is encrypted. */
export function isSealed(model: OnnxModel): boolean {
  return model.metadata.has("unseen.scheme");
}

/** Reads and checks what {@link sealMetadata} wrote. Throws `NOT_ENCRYPTED`, `CHECKPOINT_MALFORMED`. */
export function openSeal(model: OnnxModel): Seal {
  if (!isSealed(model))
    throw new UnseenError("NOT_ENCRYPTED", `${model.path} is not an encrypted model.`, { hint: "Use `unseen encrypt`." });
  const field = (name: string): string | null => model.metadata.get(`unseen.${name}`) ?? null;
  const manifest = parseManifest({
    scheme: field("scheme"),
    version: Number(field("version")),
    fingerprint: field("fingerprint"),
    strength: field("strength"),
    family: field("family"),
    vocabularySize: Number(field("vocabulary_size")),
  }) as Manifest;
  const input = MODES.find((mode) => mode === (field("input") ?? "clear"));
  if (!input) throw malformed("unseen.input");
  const order = field("secret_order");
  if (order !== null && !/^[1-9]\d{0,6}$/.test(order)) throw malformed("unseen.secret_order");
  return {
    manifest,
    publicInterface: parsePublicInterface(parseJson(field("interface"))),
    input,
    secretOrder: order === null ? null : Number(order),
  };
}

function parseJson(text: string | null): Parameters<typeof parsePublicInterface>[0] {
  if (text === null || text.length > MAXIMUM_INTERFACE) throw malformed("unseen.interface");
  try {
    return JSON.parse(text) as Parameters<typeof parsePublicInterface>[0];
  } catch {
    throw malformed("unseen.interface");
  }
}

function malformed(field: string): UnseenError {
  return new UnseenError("CHECKPOINT_MALFORMED", `${field} is not as this version writes it.`, { hint: "Encrypt the model again." });
}
