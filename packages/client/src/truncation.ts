/**
 * How many tokens of a text, or of a pair of texts, an encoder gets to read.
 * @module
 */

/**
 * The lengths of two texts after cutting the longer one first, as `truncation="longest_first"` of the reference tokenizers does.
 *
 * @param total - Tokens of the whole sequence.
 * @param added - How many of them are special tokens.
 * @see https://github.com/huggingface/tokenizers, `truncate_encodings`
 */
export function cutLongestFirst(lengths: readonly [number, number], total: number, added: number): readonly [number, number] {
  const maximum = Math.max(0, total - added);
  // The reference cuts each text by itself first, which decides who gets the odd token.
  const [first, second] = [Math.min(lengths[0], total), Math.min(lengths[1], total)];
  if (first + second <= maximum) return [first, second];
  const shorter = Math.min(first, second);
  const rest = shorter > maximum ? shorter : Math.max(shorter, maximum - shorter);
  const half = Math.floor(maximum / 2);
  const [short, long] = shorter + rest > maximum ? [half, half + (maximum % 2)] : [shorter, rest];
  return first <= second ? [short, long] : [long, short];
}
