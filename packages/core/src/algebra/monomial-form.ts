/**
 * Recognises elements that only move and scale coordinates, whatever they are made of, so that weights can be copied, not computed.
 * @module
 */
import { Blocks } from "./blocks.ts";
import { Chain } from "./chain.ts";
import { DirectSum } from "./direct-sum.ts";
import type { Element } from "./element.ts";
import { Monomial } from "./monomial.ts";
import { Rotary } from "./rotary.ts";

/** The same map as a {@link Monomial}, or null where it mixes coordinates. */
export function monomialForm(element: Element): Monomial | null {
  if (element instanceof Monomial) return element;
  if (element instanceof Blocks) return fromBlocks(element);
  if (element instanceof Rotary) return fromRotary(element);
  if (element instanceof DirectSum) return fromDirectSum(element);
  if (element instanceof Chain) return fromChain(element);
  return null;
}

function fromBlocks(blocks: Blocks): Monomial | null {
  const order = new Uint32Array(blocks.size);
  const scale = new Float64Array(blocks.size).fill(1);
  for (const [k, element] of blocks.elements.entries()) {
    const form = monomialForm(element);
    if (form === null) return null;
    for (let j = 0; j < blocks.block; j++) order[k * blocks.block + j] = blocks.order[k]! * blocks.block + form.order[j]!;
    if (form.scale) scale.set(form.scale, k * blocks.block);
  }
  return new Monomial(order, withoutOnes(scale));
}

function fromRotary(rotary: Rotary): Monomial | null {
  if (rotary.imaginary.some((value) => value !== 0)) return null;
  const form = rotary.rest === null ? null : monomialForm(rotary.rest);
  if (rotary.rest !== null && form === null) return null;
  const order = Monomial.identity(rotary.size).order;
  const scale = new Float64Array(rotary.size).fill(1);
  const pairs = rotary.real.length;
  for (let p = 0; p < pairs; p++) {
    scale[rotary.layout === "half" ? p : 2 * p] = rotary.real[p]!;
    scale[rotary.layout === "half" ? p + pairs : 2 * p + 1] = rotary.real[p]!;
  }
  form?.order.forEach((from, j) => (order[rotary.rotaryDimensions + j] = rotary.rotaryDimensions + from));
  if (form?.scale) scale.set(form.scale, rotary.rotaryDimensions);
  return new Monomial(order, withoutOnes(scale));
}

function fromDirectSum(sum: DirectSum): Monomial | null {
  const order = Monomial.identity(sum.size).order;
  const scale = new Float64Array(sum.size).fill(1);
  let start = 0;
  for (const { size, element } of sum.parts) {
    const form = element === null ? null : monomialForm(element);
    if (element !== null && form === null) return null;
    form?.order.forEach((from, j) => (order[start + j] = start + from));
    if (form?.scale) scale.set(form.scale, start);
    start += size;
  }
  return new Monomial(order, withoutOnes(scale));
}

function fromChain(chain: Chain): Monomial | null {
  let product: Element = Monomial.identity(chain.size);
  for (const element of chain.elements) {
    const form = monomialForm(element);
    if (form === null) return null;
    product = product.compose(form);
  }
  return product instanceof Monomial ? product : null;
}

function withoutOnes(scale: Float64Array): Float64Array | null {
  return scale.every((value) => value === 1) ? null : scale;
}
