/**
 * The control of attacks that look at single rows of tables: they are out of reach by design where a key rotates the stream, or
 * where storing rotated weights rounds away what little they look at, so the user's own encryption cannot show that they work.
 * @module
 */
import { permutation } from "@unseen/core/algebra/random.ts";
import type { Control, OwnerKnowledge } from "../attack.ts";
import { matrix, type Matrix } from "../numeric/matrix.ts";
import { seeded } from "../seed.ts";
import type { Weights } from "../weights/weights.ts";

/** The public tables under the key's order of tokens and a signed permutation of the stream, which round nothing. */
export const reorderedTables: Control = {
  setting: "the public tables, rows and columns in another order, with signs",
  // Tokens that were never trained may have equal rows.
  least: 0.9,
  judged: "vocabularyTop1",
  arrange: (evidence, owner) => (evidence.base ? { ...evidence, encrypted: reordered(evidence.base, owner) } : evidence),
};

function reordered(base: Weights, { permutation: cipherOf }: OwnerKnowledge): Weights {
  const random = seeded(0, "reordered tables");
  const places = permutation(random, base.hidden);
  const signs = Array.from({ length: base.hidden }, () => random.sign());
  const change = (table: Matrix): Matrix => {
    const out = matrix(table.rows, table.columns);
    for (let plain = 0; plain < table.rows; plain += 1)
      for (let k = 0; k < table.columns; k += 1)
        out.values[(cipherOf[plain] as number) * table.columns + (places[k] as number)] =
          (table.values[plain * table.columns + k] as number) * (signs[k] as number);
    return out;
  };
  return {
    ...base,
    embedding: () => change(base.embedding()),
    head() {
      const head = base.head();
      return head && change(head);
    },
  };
}
