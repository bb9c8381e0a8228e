// The kernel of the integrity check, in AssemblyScript: arithmetic modulo the Mersenne prime p = 2^61 - 1. Pointers are byte
// offsets; a vector has at most 2^20 numbers, for which every sum below stays in 64 bits. `npm run build:kernels` compiles this
// file into field.wasm.ts.

const P: u64 = (1 << 61) - 1;
const LOW: u64 = (1 << 31) - 1;

// ---- one number ---------------------------------------------------------------------------------------------------------

/** a + b; both below p. */
@inline
function add(a: u64, b: u64): u64 {
  const sum = a + b;
  return sum >= P ? sum - P : sum;
}

/** a · b; both below p. 2^61 = 1, so 2^62 = 2 and the middle terms, times 2^31, fold at their 30th bit. */
@inline
function multiply(a: u64, b: u64): u64 {
  const a1 = a >> 31, a0 = a & LOW, b1 = b >> 31, b0 = b & LOW;
  const middle = a1 * b0 + a0 * b1; // below 2^62
  const sum = 2 * a1 * b1 + (middle >> 30) + ((middle & ((1 << 30) - 1)) << 31) + a0 * b0; // below 2^63 + 2^32
  const folded = (sum & P) + (sum >> 61);
  return folded >= P ? folded - P : folded;
}

/** A signed number modulo p. */
@inline
function residue(value: i64): u64 {
  const rest = value % (P as i64);
  return rest < 0 ? (rest + (P as i64)) as u64 : rest as u64;
}

/** low + middle · 2^31 + high · 2^62. */
@inline
function combine(low: i64, middle: i64, high: i64): u64 {
  return add(add(residue(low), multiply(residue(middle), 1 << 31)), multiply(residue(high), 2));
}

// ---- vectors ------------------------------------------------------------------------------------------------------------

/** vector (u64 below p) · numbers (i32). */
function dotSigned(vector: usize, numbers: usize, size: u32): u64 {
  let low: i64 = 0, middle: i64 = 0, high: i64 = 0;
  for (let i: usize = 0; i < (size as usize); i++) {
    const a = load<u64>(vector + (i << 3));
    const x = load<i32>(numbers + (i << 2)) as i64;
    const p = ((a & LOW) as i64) * x;
    const q = ((a >> 31) as i64) * x;
    low += p & (LOW as i64);
    middle += (p >> 31) + (q & (LOW as i64));
    high += q >> 31;
  }
  return combine(low, middle, high);
}

/** vector (u64 below p) · numbers (u32). */
function dotUnsigned(vector: usize, numbers: usize, size: u32): u64 {
  let low: i64 = 0, middle: i64 = 0, high: i64 = 0;
  for (let i: usize = 0; i < (size as usize); i++) {
    const a = load<u64>(vector + (i << 3));
    const x = load<u32>(numbers + (i << 2)) as i64;
    const p = ((a & LOW) as i64) * x;
    const q = ((a >> 31) as i64) * x;
    low += p & (LOW as i64);
    middle += (p >> 31) + (q & (LOW as i64));
    high += q >> 31;
  }
  return combine(low, middle, high);
}

/** vector (u64 below p) · numbers (i64). */
function dotWide(vector: usize, numbers: usize, size: u32): u64 {
  let sum: u64 = 0;
  for (let i: usize = 0; i < (size as usize); i++) {
    sum = add(sum, multiply(load<u64>(vector + (i << 3)), residue(load<i64>(numbers + (i << 3)))));
  }
  return sum;
}

// ---- the check ----------------------------------------------------------------------------------------------------------

/** Whether v · y = u · x, for x and y of i32. */
export function holds(v: usize, y: usize, out: u32, u: usize, x: usize, inputs: u32): bool {
  return dotSigned(v, y, out) == dotSigned(u, x, inputs);
}

/** Whether v · y = u · x, for x of u32 and y of i64. */
export function holdsExactly(v: usize, y: usize, out: u32, u: usize, x: usize, inputs: u32): bool {
  return dotWide(v, y, out) == dotUnsigned(u, x, inputs);
}

// ---- preparation --------------------------------------------------------------------------------------------------------

/** Adds `factor` (below p) times a row of int8 to sums of its low 31 and its high 30 bits (i64 each). */
export function addRow(low: usize, high: usize, row: usize, size: u32, factor: u64): void {
  const l = (factor & LOW) as i64, h = (factor >> 31) as i64;
  const lows = i32x4.splat(l as i32), highs = i32x4.splat(h as i32);
  const whole = (size & ~7) as usize;
  let i: usize = 0;
  for (; i < whole; i += 8) {
    const w = v128.load_ext<i8>(row + i);
    const first = i32x4.extend_low_i16x8_s(w), second = i32x4.extend_high_i16x8_s(w);
    const to = low + (i << 3), up = high + (i << 3);
    v128.store(to, i64x2.add(v128.load(to), i64x2.extmul_low_i32x4_s(first, lows)));
    v128.store(to, i64x2.add(v128.load(to, 16), i64x2.extmul_high_i32x4_s(first, lows)), 16);
    v128.store(to, i64x2.add(v128.load(to, 32), i64x2.extmul_low_i32x4_s(second, lows)), 32);
    v128.store(to, i64x2.add(v128.load(to, 48), i64x2.extmul_high_i32x4_s(second, lows)), 48);
    v128.store(up, i64x2.add(v128.load(up), i64x2.extmul_low_i32x4_s(first, highs)));
    v128.store(up, i64x2.add(v128.load(up, 16), i64x2.extmul_high_i32x4_s(first, highs)), 16);
    v128.store(up, i64x2.add(v128.load(up, 32), i64x2.extmul_low_i32x4_s(second, highs)), 32);
    v128.store(up, i64x2.add(v128.load(up, 48), i64x2.extmul_high_i32x4_s(second, highs)), 48);
  }
  for (; i < (size as usize); i++) {
    const w = load<i8>(row + i) as i64;
    store<i64>(low + (i << 3), load<i64>(low + (i << 3)) + w * l);
    store<i64>(high + (i << 3), load<i64>(high + (i << 3)) + w * h);
  }
}

/** Turns the sums of `addRow` into numbers modulo p, in place of the low ones. */
export function reduceSums(low: usize, high: usize, size: u32): void {
  for (let i: usize = 0; i < (size as usize); i++) {
    const at = low + (i << 3);
    store<u64>(at, combine(load<i64>(at), load<i64>(high + (i << 3)), 0));
  }
}
