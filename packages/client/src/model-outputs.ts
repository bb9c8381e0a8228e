/**
 * `outputs.json` of a bundle: outputs that recipes alone do not undo. They leave a norm whose gain and bias stand here and nowhere
 * beside the weights, or their space has a group that recipes cannot name.
 * @module
 */
import type { ModelOutput } from "@unseen/core/blueprint/output.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";

/** Outputs of one model, and coordinates of one of them (CWE-770, CWE-789). */
const MAXIMUM_OUTPUTS = 64;
const MAXIMUM_SIZE = 1 << 24;
const MAXIMUM_GAINS = 1 << 17;

const size = z.int().min(1).max(MAXIMUM_SIZE);
const numbers = z.array(z.number()).max(MAXIMUM_GAINS);
const space = z
  .strictObject({
    id: z.string().min(1).max(512),
    size,
    group: z.discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("permutation"), fixed: z.array(z.int().min(0)).max(1024) }),
      z.strictObject({ kind: z.literal("stream"), norm: z.enum(["rms", "layer"]), foldable: z.boolean() }),
    ]),
  })
  .refine(({ size, group }) => group.kind !== "permutation" || group.fixed.every((id) => id < size), { path: ["group", "fixed"] });
const norm = z.strictObject({ gain: numbers, bias: numbers, offset: z.number() });
const schema = z
  .array(
    z
      .strictObject({ name: z.string().min(1).max(512), space, norm: norm.nullable() })
      .refine(({ space, norm }) => !norm || (norm.gain.length === space.size && norm.bias.length === space.size), { path: ["norm"] }),
  )
  .max(MAXIMUM_OUTPUTS);

/** Reads the text of the file. @throws UnseenError BUNDLE_INVALID naming the field that is not as it should be. */
export function parseModelOutputs(content: string): readonly ModelOutput[] {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    throw invalid("contents", "JSON");
  }
  const result = schema.safeParse(value);
  if (!result.success) throw invalid(result.error.issues[0]?.path.join(".") || "contents", "outputs as this version writes them");
  const names = result.data.map(({ name }) => name);
  if (new Set(names).size !== names.length) throw invalid("name", "every output once");
  return result.data;
}

function invalid(field: string, expected: string): UnseenError {
  return new UnseenError("BUNDLE_INVALID", `outputs.json: ${field}: expected ${expected}, got something else.`, {
    hint: "Encrypt the model again, or restore the bundle from a backup.",
  });
}
