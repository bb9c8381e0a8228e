/**
 * The final structure of an axis, once the whole graph has been read: a tree of leaves in a normal form, so that two axes that
 * hold the same coordinates list the same leaves in the same order.
 * @module
 */
import type { Space } from "./space.ts";

/** A space as it has turned out to be. */
export type Tree =
  | { readonly kind: "leaf"; readonly space: Space; readonly size: number }
  | { readonly kind: "product"; readonly parts: readonly Tree[]; readonly size: number }
  | { readonly kind: "sum"; readonly parts: readonly Tree[]; readonly size: number };

/** The normal form: no nesting of equal kinds, no trivial parts, and a sum as the first factor distributed over the rest. */
export function treeOf(space: Space): Tree {
  const { form, root } = space;
  if (form.kind === "leaf" || form.kind === "frozen") return { kind: "leaf", space: root, size: root.size };
  const parts = form.parts.map(treeOf);
  return form.kind === "sum" ? sumOf(parts) : productOf(parts);
}

/** The leaves of a tree, in order; the same space may occur several times. */
export function leavesOf(tree: Tree): readonly Space[] {
  return tree.kind === "leaf" ? [tree.space] : tree.parts.flatMap(leavesOf);
}

/** Leaves that a product may have once its sums are multiplied out (CWE-400): k sums of two parts have 2^k. */
const SPREAD_LIMIT = 4096;

/** The leaves of a product with every sum in it multiplied out, also those behind other factors; leaves of size 1 vanish. Null for too many. */
export function spreadLeaves(factors: readonly Tree[]): readonly Tree[] | null {
  const leaves: Tree[] = [];
  const visit = (parts: readonly Tree[]): boolean => {
    const [first, ...rest] = parts.filter(({ size }) => size !== 1);
    if (!first) return true;
    switch (first.kind) {
      case "leaf":
        return leaves.push(first) <= SPREAD_LIMIT && visit(rest);
      case "product":
        return visit([...first.parts, ...rest]);
      case "sum":
        return first.parts.every((part) => visit([part, ...rest]));
    }
  };
  return visit(factors) ? leaves : null;
}

function sumOf(parts: readonly Tree[]): Tree {
  const flat = parts.flatMap((part) => (part.kind === "sum" ? part.parts : part.size === 0 ? [] : [part]));
  if (flat.length === 1) return flat[0] as Tree;
  return { kind: "sum", parts: flat, size: flat.reduce((sum, { size }) => sum + size, 0) };
}

function productOf(parts: readonly Tree[]): Tree {
  const flat = parts.flatMap((part) => (part.kind === "product" ? part.parts : part.size === 1 ? [] : [part]));
  const [first, ...rest] = flat;
  if (!first) return parts[0] as Tree;
  if (rest.length === 0) return first;
  // [a | b] × c, row-major, is [a × c | b × c].
  if (first.kind === "sum") return sumOf(first.parts.map((part) => productOf([part, ...rest])));
  return { kind: "product", parts: flat, size: flat.reduce((product, { size }) => product * size, 1) };
}
