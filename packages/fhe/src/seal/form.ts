/**
 * The exact form of serialised ciphertexts and keys, checked byte by byte before SEAL reads them.
 *
 * SEAL 4.1 aborts on some changed headers and loses memory on each refused load, after which its instance is dead for everyone
 * (CWE-502, CWE-787). For known parameters a header is always the same: so it is compared with one made here, and every
 * coefficient with its prime. What passes is a well-formed ciphertext, if perhaps one of nonsense.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";

/** One part of a form. */
type Part =
  /** These bytes and no others. */
  | { readonly kind: "fixed"; readonly bytes: Uint8Array }
  /** A polynomial in residues: for each prime (degree) unsigned 64-bit numbers below it; little-endian. */
  | { readonly kind: "polynomial"; readonly degree: number; readonly primes: readonly bigint[]; readonly nonZero: boolean }
  /** Any bytes: the seed that the second polynomial is drawn from. */
  | { readonly kind: "seed"; readonly bytes: number };

/** What a serialised object must look like. */
export interface Form {
  /** What messages call it. */
  readonly name: string;
  readonly parts: readonly Part[];
  /** Length in bytes. */
  readonly bytes: number;
}

/** SEAL's own header, parms id, NTT flag, sizes, scale, correction factor; then header and length of the coefficients. */
const CIPHERTEXT_HEADER = 113;
/** SEAL's header and the kind of generator, before 64 bytes of seed. */
const SEED_HEADER = 17;
const SEED = 64;
/** SEAL's header, whose second half is the length of all. */
const HEADER = 16;
const LENGTH_AT = 8;
/** SEAL's header, parms id, two lengths. */
const RELINEARISATION_HEADER = 64;
const PARMS_ID = 32;
const COUNT = 8;

function form(name: string, parts: readonly Part[]): Form {
  const bytes = parts.reduce((sum, part) => sum + lengthOf(part), 0);
  return { name, parts, bytes };
}

function lengthOf(part: Part): number {
  if (part.kind === "polynomial") return part.degree * part.primes.length * 8;
  return part.kind === "fixed" ? part.bytes.length : part.bytes;
}

/**
 * The parts of a ciphertext whose second polynomial is a seed.
 *
 * @param own one that was made here with the same parameters, at the same level and scale
 */
function seededParts(own: Uint8Array, degree: number, primes: readonly bigint[]): Part[] {
  const seedAt = CIPHERTEXT_HEADER + degree * primes.length * 8;
  return [
    { kind: "fixed", bytes: own.slice(0, CIPHERTEXT_HEADER) },
    { kind: "polynomial", degree, primes, nonZero: false },
    { kind: "fixed", bytes: own.slice(seedAt, seedAt + SEED_HEADER) },
    { kind: "seed", bytes: SEED },
  ];
}

/** A fresh symmetric ciphertext: the second polynomial as a seed. `own` was made here by the same parameters. */
export function seededForm(name: string, own: Uint8Array, degree: number, primes: readonly bigint[]): Form {
  return agree(form(name, seededParts(own, degree, primes)), own);
}

/**
 * A ciphertext of two polynomials, as evaluation returns them. A second polynomial of zeros is refused: anyone could read such
 * a ciphertext, and it would say nothing about the input.
 *
 * @param own one that was made here by the same parameters, at the same level and scale
 */
export function fullForm(name: string, own: Uint8Array, degree: number, primes: readonly bigint[]): Form {
  const parts: Part[] = [
    { kind: "fixed", bytes: own.slice(0, CIPHERTEXT_HEADER) },
    { kind: "polynomial", degree, primes, nonZero: false },
    { kind: "polynomial", degree, primes, nonZero: true },
  ];
  return agree(form(name, parts), own);
}

/** A seeded relinearisation key. `own` was made here by the same parameters; `primes` has the key's prime too. */
export function relinearisationForm(own: Uint8Array, degree: number, primes: readonly bigint[]): Form {
  const parts: Part[] = [{ kind: "fixed", bytes: own.slice(0, RELINEARISATION_HEADER) }, ...switchingParts(own, degree, primes)];
  return agree(form("the relinearisation key", parts), own);
}

/**
 * Seeded rotation keys for exactly these steps. SEAL lists them by Galois element, with a zero for each that is absent.
 *
 * @param own a relinearisation key that was made here: single keys look the same in both
 */
export function rotationForm(own: Uint8Array, degree: number, primes: readonly bigint[], steps: readonly number[]): Form {
  const present = new Set(steps.map((step) => galoisIndex(step, degree)));
  const single = switchingParts(own, degree, primes);
  const parts: Part[] = [];
  let fixed: Uint8Array[] = [own.slice(0, HEADER + PARMS_ID), count(degree)];
  for (let index = 0; index < degree; index += 1) {
    fixed.push(count(present.has(index) ? primes.length - 1 : 0));
    if (!present.has(index)) continue;
    parts.push({ kind: "fixed", bytes: Buffer.concat(fixed) }, ...single);
    fixed = [];
  }
  parts.push({ kind: "fixed", bytes: Buffer.concat(fixed) });
  const made = form("the rotation keys", parts);
  const header = parts[0];
  if (header?.kind === "fixed") header.bytes.set(count(made.bytes), LENGTH_AT);
  return made;
}

/** One key switches one polynomial: a seeded ciphertext for each prime but the last. */
function switchingParts(own: Uint8Array, degree: number, primes: readonly bigint[]): Part[] {
  const parts = seededParts(own.subarray(RELINEARISATION_HEADER), degree, primes);
  return primes.slice(0, -1).flatMap(() => parts);
}

/** Where SEAL keeps the key of a rotation: the element 3^step mod 2 N is odd, its index half of it. */
function galoisIndex(step: number, degree: number): number {
  const exponent = step < 0 ? step + degree / 2 : step;
  let element = 1;
  for (let power = 0; power < exponent; power += 1) element = (element * 3) % (2 * degree);
  return (element - 1) / 2;
}

function count(value: number): Uint8Array {
  const bytes = Buffer.alloc(COUNT);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** A form that refuses what it was made from would refuse everything. */
function agree(made: Form, own: Uint8Array): Form {
  checkForm(made, own);
  return made;
}

/**
 * Checks serialised bytes against their form; about a millisecond per ciphertext.
 *
 * @throws UnseenError CIPHERTEXT_INVALID naming the first byte that differs
 */
export function checkForm({ name, parts, bytes: expected }: Form, bytes: Uint8Array): void {
  if (bytes.length !== expected) throw refuse(`${name} must have ${expected} bytes, not ${bytes.length}`);
  let offset = 0;
  for (const part of parts) {
    const end = offset + lengthOf(part);
    const section = bytes.subarray(offset, end);
    if (part.kind === "fixed") checkFixed(name, part.bytes, section, offset);
    if (part.kind === "polynomial") checkPolynomial(name, part, section, offset);
    offset = end;
  }
}

function checkFixed(name: string, expected: Uint8Array, section: Uint8Array, offset: number): void {
  if (Buffer.compare(expected, section) === 0) return;
  const at = expected.findIndex((byte, index) => byte !== section[index]);
  throw refuse(`${name} differs from the form of its parameters at byte ${offset + at}`);
}

function checkPolynomial(name: string, part: Part & { kind: "polynomial" }, section: Uint8Array, offset: number): void {
  // a copy, because the numbers do not lie on a multiple of four
  const words = new Uint32Array(section.slice().buffer);
  let any = 0;
  let index = 0;
  for (const prime of part.primes) {
    const high = Number(prime >> 32n);
    const low = Number(prime & 0xffff_ffffn);
    const end = index + part.degree * 2;
    for (; index < end; index += 2) {
      const lower = words[index] ?? 0;
      const upper = words[index + 1] ?? 0;
      any |= lower | upper;
      if (upper > high || (upper === high && lower >= low))
        throw refuse(`${name} has a coefficient that its prime does not allow, at byte ${offset + index * 4}`);
    }
  }
  if (part.nonZero && any === 0) throw refuse(`${name} is transparent: its second polynomial is zero`);
}

function refuse(problem: string): UnseenError {
  return new UnseenError("CIPHERTEXT_INVALID", `${problem}.`, { hint: "Encrypt again with the parameters and the program of the job." });
}
