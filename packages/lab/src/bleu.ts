/**
 * BLEU: how much of a text's wording was recovered.
 * @module
 */

const LONGEST = 4;

/**
 * Corpus BLEU-4 of recovered token ids against the true ones, 0..1. Texts are paired and equally long, so the brevity
 * penalty is 1; -1 stands for an unknown token and matches nothing. 0 where no 4-gram is right: not smoothed.
 *
 * Source: Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", ACL 2002.
 */
export function bleu(recovered: readonly ArrayLike<number>[], texts: readonly ArrayLike<number>[]): number {
  let logarithm = 0;
  let orders = 0;
  for (let order = 1; order <= LONGEST; order += 1) {
    let matched = 0;
    let total = 0;
    for (const [index, text] of texts.entries()) {
      const counts = ngramCounts(text, order);
      for (const [gram, count] of ngramCounts(recovered[index] as ArrayLike<number>, order)) {
        matched += Math.min(count, counts.get(gram) ?? 0);
        total += count;
      }
    }
    if (total === 0) continue; // all texts are shorter
    if (matched === 0) return 0;
    logarithm += Math.log(matched / total);
    orders += 1;
  }
  return orders === 0 ? 0 : Math.exp(logarithm / orders);
}

function ngramCounts(ids: ArrayLike<number>, order: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let start = 0; start + order <= ids.length; start += 1) {
    let gram = "";
    for (let k = start; k < start + order; k += 1) gram += `${ids[k] === -1 ? `?${k}` : ids[k]},`;
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  return counts;
}
