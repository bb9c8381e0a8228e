// The kernels of a share server, in AssemblyScript. Pointers are byte offsets. `npm run build:kernels` compiles this file into
// kernels.wasm.ts.
//
// Modulo 2^32 a share is x = low + 65536 * high with both limbs signed 16-bit, and
// sum w * x = (sum w * low) + 65536 * (sum w * high), each sum modulo 2^32: so the instruction that multiplies eight pairs of
// 16-bit numbers and adds neighbours does the work, twice (|w * limb| <= 2^22, no pair of them overflows).

/** Splits `count` rows of `width` numbers (u32, close together) into limbs: (count, 2, stride) i16, zeros behind the width. */
export function split(limbs: usize, rows: usize, count: u32, width: u32, stride: u32): void {
  const limbBytes = (stride as usize) << 1;
  for (let row: u32 = 0; row < count; row++) {
    for (let i: u32 = 0; i < stride; i++) {
      const at = limbs + ((i as usize) << 1);
      let x: i32 = 0;
      if (i < width) {
        x = load<i32>(rows);
        rows += 4;
      }
      const low = (x << 16) >> 16;
      store<i16>(at, low as i16);
      store<i16>(at + limbBytes, ((x - low) >> 16) as i16);
    }
    limbs += limbBytes << 1;
  }
}

@inline
function whole(low: v128, high: v128): i32 {
  const sum = i32x4.add(low, i32x4.shl(high, 16));
  return i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3);
}

/**
 * Products modulo 2^32: `weights` (out, stride) int8 with zeros behind the width, `limbs` (count, 2, stride) i16, `result`
 * (count, out) u32. The stride is a multiple of 8. `block` rows of weights stay in the cache while all rows pass.
 */
export function multiply(result: usize, weights: usize, limbs: usize, out: u32, stride: u32, count: u32, block: u32): void {
  const pitch = stride as usize;
  const limbBytes = pitch << 1;
  const rowBytes = pitch << 2;
  const resultBytes = (out as usize) << 2;
  for (let start: u32 = 0; start < out; start += block) {
    const end = min(start + block, out);
    let row: u32 = 0;
    for (; row + 4 <= count; row += 4) {
      const x = limbs + (row as usize) * rowBytes;
      for (let o = start; o < end; o++) {
        fourRows(result + (row as usize) * resultBytes + ((o as usize) << 2), resultBytes, weights + (o as usize) * pitch, x, limbBytes);
      }
    }
    for (; row < count; row++) {
      const x = limbs + (row as usize) * rowBytes;
      const to = result + (row as usize) * resultBytes;
      let o = start;
      for (; o + 4 <= end; o += 4) fourWeights(to + ((o as usize) << 2), weights + (o as usize) * pitch, pitch, x);
      for (; o < end; o++) one(to + ((o as usize) << 2), weights + (o as usize) * pitch, pitch, x);
    }
  }
}

/** One row of weights, four rows of limbs. */
@inline
function fourRows(to: usize, resultBytes: usize, weights: usize, x0: usize, limbBytes: usize): void {
  const x1 = x0 + (limbBytes << 1);
  const x2 = x1 + (limbBytes << 1);
  const x3 = x2 + (limbBytes << 1);
  let l0 = i32x4.splat(0), l1 = i32x4.splat(0), l2 = i32x4.splat(0), l3 = i32x4.splat(0);
  let h0 = i32x4.splat(0), h1 = i32x4.splat(0), h2 = i32x4.splat(0), h3 = i32x4.splat(0);
  for (let k: usize = 0; k < limbBytes; k += 16) {
    const w = v128.load_ext<i8>(weights + (k >> 1));
    l0 = i32x4.add(l0, i32x4.dot_i16x8_s(w, v128.load(x0 + k)));
    h0 = i32x4.add(h0, i32x4.dot_i16x8_s(w, v128.load(x0 + limbBytes + k)));
    l1 = i32x4.add(l1, i32x4.dot_i16x8_s(w, v128.load(x1 + k)));
    h1 = i32x4.add(h1, i32x4.dot_i16x8_s(w, v128.load(x1 + limbBytes + k)));
    l2 = i32x4.add(l2, i32x4.dot_i16x8_s(w, v128.load(x2 + k)));
    h2 = i32x4.add(h2, i32x4.dot_i16x8_s(w, v128.load(x2 + limbBytes + k)));
    l3 = i32x4.add(l3, i32x4.dot_i16x8_s(w, v128.load(x3 + k)));
    h3 = i32x4.add(h3, i32x4.dot_i16x8_s(w, v128.load(x3 + limbBytes + k)));
  }
  store<i32>(to, whole(l0, h0));
  store<i32>(to + resultBytes, whole(l1, h1));
  store<i32>(to + 2 * resultBytes, whole(l2, h2));
  store<i32>(to + 3 * resultBytes, whole(l3, h3));
}

/** Four rows of weights, one row of limbs. */
@inline
function fourWeights(to: usize, w0: usize, pitch: usize, x: usize): void {
  const w1 = w0 + pitch;
  const w2 = w1 + pitch;
  const w3 = w2 + pitch;
  const high = x + (pitch << 1);
  let l0 = i32x4.splat(0), l1 = i32x4.splat(0), l2 = i32x4.splat(0), l3 = i32x4.splat(0);
  let h0 = i32x4.splat(0), h1 = i32x4.splat(0), h2 = i32x4.splat(0), h3 = i32x4.splat(0);
  for (let k: usize = 0; k < pitch; k += 8) {
    const l = v128.load(x + (k << 1));
    const h = v128.load(high + (k << 1));
    const a = v128.load_ext<i8>(w0 + k);
    const b = v128.load_ext<i8>(w1 + k);
    const c = v128.load_ext<i8>(w2 + k);
    const d = v128.load_ext<i8>(w3 + k);
    l0 = i32x4.add(l0, i32x4.dot_i16x8_s(a, l));
    h0 = i32x4.add(h0, i32x4.dot_i16x8_s(a, h));
    l1 = i32x4.add(l1, i32x4.dot_i16x8_s(b, l));
    h1 = i32x4.add(h1, i32x4.dot_i16x8_s(b, h));
    l2 = i32x4.add(l2, i32x4.dot_i16x8_s(c, l));
    h2 = i32x4.add(h2, i32x4.dot_i16x8_s(c, h));
    l3 = i32x4.add(l3, i32x4.dot_i16x8_s(d, l));
    h3 = i32x4.add(h3, i32x4.dot_i16x8_s(d, h));
  }
  store<i32>(to, whole(l0, h0));
  store<i32>(to + 4, whole(l1, h1));
  store<i32>(to + 8, whole(l2, h2));
  store<i32>(to + 12, whole(l3, h3));
}

@inline
function one(to: usize, weights: usize, pitch: usize, x: usize): void {
  let low = i32x4.splat(0), high = i32x4.splat(0);
  for (let k: usize = 0; k < pitch; k += 8) {
    const w = v128.load_ext<i8>(weights + k);
    low = i32x4.add(low, i32x4.dot_i16x8_s(w, v128.load(x + (k << 1))));
    high = i32x4.add(high, i32x4.dot_i16x8_s(w, v128.load(x + ((pitch + k) << 1))));
  }
  store<i32>(to, whole(low, high));
}

/** Exact products of the shares as numbers in [0, 2^32): `rows` (count, width) u32, `result` (count, out) i64. For audits. */
export function multiplyExact(result: usize, weights: usize, rows: usize, out: u32, stride: u32, width: u32, count: u32): void {
  const pitch = stride as usize;
  for (let row: u32 = 0; row < count; row++) {
    const x = rows + (((row as usize) * (width as usize)) << 2);
    let w = weights;
    let o: u32 = 0;
    for (; o + 4 <= out; o += 4) {
      let s0: i64 = 0, s1: i64 = 0, s2: i64 = 0, s3: i64 = 0;
      for (let k: usize = 0; k < (width as usize); k++) {
        const share = load<u32>(x + (k << 2)) as i64;
        const at = w + k;
        s0 += (load<i8>(at) as i64) * share;
        s1 += (load<i8>(at + pitch) as i64) * share;
        s2 += (load<i8>(at + 2 * pitch) as i64) * share;
        s3 += (load<i8>(at + 3 * pitch) as i64) * share;
      }
      store<i64>(result, s0);
      store<i64>(result, s1, 8);
      store<i64>(result, s2, 16);
      store<i64>(result, s3, 24);
      result += 32;
      w += 4 * pitch;
    }
    for (; o < out; o++) {
      let sum: i64 = 0;
      for (let k: usize = 0; k < (width as usize); k++) sum += (load<i8>(w + k) as i64) * (load<u32>(x + (k << 2)) as i64);
      store<i64>(result, sum);
      result += 8;
      w += pitch;
    }
  }
}
