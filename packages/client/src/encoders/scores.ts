/**
 * What becomes of a model's numbers once they are plain again.
 * @module
 */

/** Probabilities of exclusive classes; of a single logit the probability of yes. */
export function probabilities(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  if (values.length === 1) return [1 / (1 + Math.exp(-values[0]!))];
  const most = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - most));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** The index of the largest number, the first of equals. */
export function largest(values: readonly number[]): number {
  return values.reduce((best, value, index) => (value > values[best]! ? index : best), 0);
}

/** Brings a vector to length 1, in place; zero stays zero. */
export function normalise(vector: Float64Array): void {
  const length = Math.sqrt(dot(vector, vector));
  if (length > 0) for (let i = 0; i < vector.length; i++) vector[i] = vector[i]! / length;
}

/** The cosine of the angle between two vectors; 0 where one is zero. */
export function cosine(one: Float64Array, other: Float64Array): number {
  const lengths = Math.sqrt(dot(one, one) * dot(other, other));
  return lengths > 0 ? dot(one, other) / lengths : 0;
}

function dot(one: Float64Array, other: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < one.length; i++) sum += one[i]! * other[i]!;
  return sum;
}
