/**
 * As much of DER (ITU-T X.690) as the extension of a platform's certificate needs.
 * @module
 */

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const ENUMERATED = 0x0a;

/** Fields in order. */
export function sequence(...fields: readonly Uint8Array[]): Buffer {
  return tagged(SEQUENCE, Buffer.concat(fields));
}

/** An integer from 0 to 65,535. */
export function integer(value: number): Buffer {
  const bytes = value > 0x7fff ? [0, value >> 8, value & 255] : value > 0x7f ? [value >> 8, value & 255] : [value];
  return tagged(INTEGER, Uint8Array.from(bytes));
}

/** One of a list, below 128. */
export function enumerated(value: number): Buffer {
  return tagged(ENUMERATED, Uint8Array.of(value));
}

/** Bytes as they are. */
export function octets(bytes: Uint8Array): Buffer {
  return tagged(OCTET_STRING, bytes);
}

/** An object identifier, such as "1.2.840". */
export function identifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return tagged(OBJECT_IDENTIFIER, Uint8Array.from([first * 40 + second, ...rest].flatMap(base128)));
}

/** Seven bits a byte, the highest bit set on all but the last. */
function base128(value: number): number[] {
  const digits = [value & 127];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) digits.unshift((rest & 127) | 128);
  return digits;
}

function tagged(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const header = length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 255];
  return Buffer.concat([Uint8Array.from(header), content]);
}
