// The SIMD kernels of the panels, in AssemblyScript. Pointers are byte offsets; panels are (size, width) float64, row-major.
// Widths must be even. `npm run build:kernels` compiles this file into kernels.wasm.ts.

// ---- panels -------------------------------------------------------------------------------------------------------------

/** Result row j = scale[j] · argument row order[j]; scale = 0 means no scales. */
export function gatherRows(result: usize, argument: usize, order: usize, scale: usize, size: u32, width: u32): void {
  const bytes: usize = (width as usize) << 3;
  for (let j: u32 = 0; j < size; j++) {
    const from = argument + (load<u32>(order + ((j as usize) << 2)) as usize) * bytes;
    const to = result + (j as usize) * bytes;
    if (scale == 0) {
      for (let b: usize = 0; b < bytes; b += 16) v128.store(to + b, v128.load(from + b));
    } else {
      const s = f64x2.splat(load<f64>(scale + ((j as usize) << 3)));
      for (let b: usize = 0; b < bytes; b += 16) v128.store(to + b, f64x2.mul(v128.load(from + b), s));
    }
  }
}

/** Row i times scale[i]. */
export function scaleRows(panel: usize, scale: usize, size: u32, width: u32): void {
  const bytes: usize = (width as usize) << 3;
  let at = panel;
  for (let i: u32 = 0; i < size; i++) {
    const s = f64x2.splat(load<f64>(scale + ((i as usize) << 3)));
    const end = at + bytes;
    for (; at < end; at += 16) v128.store(at, f64x2.mul(v128.load(at), s));
  }
}

/** sum[c] = sum over i of weights[i] · panel[i][c]; weights = 0 means all ones. */
export function weightedSum(sum: usize, panel: usize, weights: usize, size: u32, width: u32): void {
  const bytes: usize = (width as usize) << 3;
  memory.fill(sum, 0, bytes);
  for (let i: u32 = 0; i < size; i++) {
    const row = panel + (i as usize) * bytes;
    const w = f64x2.splat(weights == 0 ? 1.0 : load<f64>(weights + ((i as usize) << 3)));
    for (let b: usize = 0; b < bytes; b += 16) v128.store(sum + b, f64x2.add(v128.load(sum + b), f64x2.mul(w, v128.load(row + b))));
  }
}

/** panel[i][c] += factor · weights[i] · amount[c]; weights = 0 means all ones. */
export function addOuter(panel: usize, weights: usize, amount: usize, factor: f64, size: u32, width: u32): void {
  const bytes: usize = (width as usize) << 3;
  for (let i: u32 = 0; i < size; i++) {
    const row = panel + (i as usize) * bytes;
    const w = f64x2.splat(weights == 0 ? factor : factor * load<f64>(weights + ((i as usize) << 3)));
    for (let b: usize = 0; b < bytes; b += 16) v128.store(row + b, f64x2.add(v128.load(row + b), f64x2.mul(w, v128.load(amount + b))));
  }
}

/** Column c times factors[c], for 8 columns of a panel whose rows lie `pitch` bytes apart. */
export function scaleVectors(panel: usize, pitch: usize, factors: usize, size: u32): void {
  const a = v128.load(factors), b = v128.load(factors, 16), c = v128.load(factors, 32), d = v128.load(factors, 48);
  for (let i: u32 = 0; i < size; i++) {
    v128.store(panel, f64x2.mul(a, v128.load(panel)));
    v128.store(panel, f64x2.mul(b, v128.load(panel, 16)), 16);
    v128.store(panel, f64x2.mul(c, v128.load(panel, 32)), 32);
    v128.store(panel, f64x2.mul(d, v128.load(panel, 48)), 48);
    panel += pitch;
  }
}

/** Transposes 8 columns of a panel, `size` even, into 8 rows of numbers; rows lie `resultPitch` and `pitch` bytes apart. */
export function transposePanel(result: usize, resultPitch: usize, panel: usize, pitch: usize, size: u32): void {
  for (let c: usize = 0; c < (size as usize); c += 2) {
    const at = panel + c * pitch;
    let to = result + (c << 3);
    for (let r: usize = 0; r < 64; r += 16) {
      const a = v128.load(at + r);
      const b = v128.load(at + r + pitch);
      v128.store(to, low64(a, b));
      to += resultPitch;
      v128.store(to, high64(a, b));
      to += resultPitch;
    }
  }
}

/** Complex factors on row pairs (first + p·step, second + p·step), steps in rows. */
export function rotatePairs(panel: usize, width: u32, pairs: u32, second: u32, step: u32, real: usize, imaginary: usize): void {
  const bytes: usize = (width as usize) << 3;
  for (let p: u32 = 0; p < pairs; p++) {
    const x = panel + (p as usize) * (step as usize) * bytes;
    const y = x + (second as usize) * bytes;
    const a = f64x2.splat(load<f64>(real + ((p as usize) << 3)));
    const b = f64x2.splat(load<f64>(imaginary + ((p as usize) << 3)));
    for (let at: usize = 0; at < bytes; at += 16) {
      const u = v128.load(x + at);
      const v = v128.load(y + at);
      v128.store(x + at, f64x2.sub(f64x2.mul(a, u), f64x2.mul(b, v)));
      v128.store(y + at, f64x2.add(f64x2.mul(b, u), f64x2.mul(a, v)));
    }
  }
}

/** For each of `count` consecutive panels: result row j = sum over i of matrix[i][j] · argument row i. */
export function multiplyDense(result: usize, argument: usize, matrix: usize, size: u32, width: u32, count: u32): void {
  const bytes = (size as usize) * ((width as usize) << 3);
  for (let k: usize = 0; k < (count as usize); k++) multiplyPanel(result + k * bytes, argument + k * bytes, matrix, size, width);
}

/** Four columns and four results at a time: eight accumulators that stay in registers. */
function multiplyPanel(result: usize, argument: usize, matrix: usize, size: u32, width: u32): void {
  const bytes: usize = (width as usize) << 3;
  const stride: usize = (size as usize) << 3;
  let c: usize = 0;
  for (; c + 32 <= bytes; c += 32) {
    let j: u32 = 0;
    for (; j + 4 <= size; j += 4) {
      let a0 = f64x2.splat(0), a1 = f64x2.splat(0), a2 = f64x2.splat(0), a3 = f64x2.splat(0);
      let b0 = f64x2.splat(0), b1 = f64x2.splat(0), b2 = f64x2.splat(0), b3 = f64x2.splat(0);
      let t = matrix + ((j as usize) << 3);
      let row = argument + c;
      for (let i: u32 = 0; i < size; i++) {
        const u = v128.load(row);
        const v = v128.load(row, 16);
        const t0 = v128.load64_splat(t);
        const t1 = v128.load64_splat(t, 8);
        const t2 = v128.load64_splat(t, 16);
        const t3 = v128.load64_splat(t, 24);
        a0 = f64x2.add(a0, f64x2.mul(t0, u));
        b0 = f64x2.add(b0, f64x2.mul(t0, v));
        a1 = f64x2.add(a1, f64x2.mul(t1, u));
        b1 = f64x2.add(b1, f64x2.mul(t1, v));
        a2 = f64x2.add(a2, f64x2.mul(t2, u));
        b2 = f64x2.add(b2, f64x2.mul(t2, v));
        a3 = f64x2.add(a3, f64x2.mul(t3, u));
        b3 = f64x2.add(b3, f64x2.mul(t3, v));
        t += stride;
        row += bytes;
      }
      const to = result + (j as usize) * bytes + c;
      v128.store(to, a0);
      v128.store(to, b0, 16);
      v128.store(to + bytes, a1);
      v128.store(to + bytes, b1, 16);
      v128.store(to + 2 * bytes, a2);
      v128.store(to + 2 * bytes, b2, 16);
      v128.store(to + 3 * bytes, a3);
      v128.store(to + 3 * bytes, b3, 16);
    }
    for (; j < size; j++) {
      multiplyColumn(result, argument, matrix, size, bytes, j, c);
      multiplyColumn(result, argument, matrix, size, bytes, j, c + 16);
    }
  }
  for (; c < bytes; c += 16) for (let j: u32 = 0; j < size; j++) multiplyColumn(result, argument, matrix, size, bytes, j, c);
}

@inline
function multiplyColumn(result: usize, argument: usize, matrix: usize, size: u32, bytes: usize, j: u32, c: usize): void {
  let sum = f64x2.splat(0);
  let t = matrix + ((j as usize) << 3);
  let row = argument + c;
  for (let i: u32 = 0; i < size; i++) {
    sum = f64x2.add(sum, f64x2.mul(v128.load64_splat(t), v128.load(row)));
    t += (size as usize) << 3;
    row += bytes;
  }
  v128.store(result + (j as usize) * bytes + c, sum);
}

// ---- Walsh-Hadamard -------------------------------------------------------------------------------------------------------

const CACHED: usize = 16384; // half of a first-level cache

/** In-place Walsh-Hadamard transform of `size` = 2^k rows, times `factor`: radix 4, depth first so that the parts stay in cache. */
export function transformHadamard(panel: usize, size: u32, width: u32, factor: f64): void {
  const bytes: usize = (size as usize) * ((width as usize) << 3);
  transformPart(panel, bytes, (width as usize) << 3, factor);
}

function transformPart(part: usize, bytes: usize, row: usize, factor: f64): void {
  if (bytes <= CACHED || bytes < 4 * row) {
    transformCached(part, bytes, row, factor);
    return;
  }
  const quarter = bytes >> 2;
  butterfly4(part, quarter);
  transformPart(part, quarter, row, factor);
  transformPart(part + quarter, quarter, row, factor);
  transformPart(part + 2 * quarter, quarter, row, factor);
  transformPart(part + 3 * quarter, quarter, row, factor);
}

function transformCached(part: usize, bytes: usize, row: usize, factor: f64): void {
  let span = bytes; // bytes of the sub-transforms that remain
  while (span >= 4 * row) {
    const last = span == 4 * row;
    for (let start: usize = 0; start < bytes; start += span) {
      if (last) butterfly4Scaled(part + start, row, factor);
      else butterfly4(part + start, span >> 2);
    }
    if (last) return;
    span >>= 2;
  }
  // span is row (nothing left but the factor) or 2·row (one radix-2 stage)
  const s = f64x2.splat(factor);
  if (span == row) {
    for (let at: usize = part; at < part + bytes; at += 16) v128.store(at, f64x2.mul(s, v128.load(at)));
    return;
  }
  for (let start = part; start < part + bytes; start += span) {
    for (let at = start; at < start + row; at += 16) {
      const a = v128.load(at);
      const b = v128.load(at + row);
      v128.store(at, f64x2.mul(s, f64x2.add(a, b)));
      v128.store(at + row, f64x2.mul(s, f64x2.sub(a, b)));
    }
  }
}

@inline
function butterfly4(part: usize, quarter: usize): void {
  for (let at = part; at < part + quarter; at += 16) {
    const a = v128.load(at);
    const b = v128.load(at + quarter);
    const c = v128.load(at + 2 * quarter);
    const d = v128.load(at + 3 * quarter);
    const e = f64x2.add(a, b);
    const f = f64x2.sub(a, b);
    const g = f64x2.add(c, d);
    const h = f64x2.sub(c, d);
    v128.store(at, f64x2.add(e, g));
    v128.store(at + quarter, f64x2.add(f, h));
    v128.store(at + 2 * quarter, f64x2.sub(e, g));
    v128.store(at + 3 * quarter, f64x2.sub(f, h));
  }
}

@inline
function butterfly4Scaled(part: usize, quarter: usize, factor: f64): void {
  const s = f64x2.splat(factor);
  for (let at = part; at < part + quarter; at += 16) {
    const a = f64x2.mul(s, v128.load(at));
    const b = f64x2.mul(s, v128.load(at + quarter));
    const c = f64x2.mul(s, v128.load(at + 2 * quarter));
    const d = f64x2.mul(s, v128.load(at + 3 * quarter));
    const e = f64x2.add(a, b);
    const f = f64x2.sub(a, b);
    const g = f64x2.add(c, d);
    const h = f64x2.sub(c, d);
    v128.store(at, f64x2.add(e, g));
    v128.store(at + quarter, f64x2.add(f, h));
    v128.store(at + 2 * quarter, f64x2.sub(e, g));
    v128.store(at + 3 * quarter, f64x2.sub(f, h));
  }
}

// ---- stored numbers ---------------------------------------------------------------------------------------------------------
// Formats: 0 = F32, 1 = F16, 2 = BF16. Groups of eight numbers; every function says whether all of them were finite.

const F32: u32 = 0;
const F16: u32 = 1;

/** Decodes 8 rows of `columns` (a multiple of 8) stored numbers, `stride` bytes apart, into 8 columns of a panel whose rows lie `pitch` bytes apart. */
export function decodeTransposed(panel: usize, pitch: usize, tile: usize, stride: usize, columns: u32, format: u32): bool {
  let largest = i16x8.splat(0);
  if (format == F32) {
    for (let c: usize = 0; c < (columns as usize); c += 4) {
      const at = tile + (c << 2);
      const to = panel + c * pitch;
      largest = i16x8.max_u(largest, decodeTransposed4(to, pitch, at, stride));
      largest = i16x8.max_u(largest, decodeTransposed4(to + 32, pitch, at + 4 * stride, stride));
    }
    return i16x8.bitmask(i16x8.ge_u(largest, i16x8.splat(0x7f80))) == 0;
  }
  for (let c: usize = 0; c < (columns as usize); c += 8) {
    let at = tile + (c << 1);
    const a0 = v128.load(at);
    at += stride;
    const a1 = v128.load(at);
    at += stride;
    const a2 = v128.load(at);
    at += stride;
    const a3 = v128.load(at);
    at += stride;
    const a4 = v128.load(at);
    at += stride;
    const a5 = v128.load(at);
    at += stride;
    const a6 = v128.load(at);
    at += stride;
    const a7 = v128.load(at);
    largest = i16x8.max_u(largest, i16x8.max_u(i16x8.max_u(magnitude(a0), magnitude(a1)), i16x8.max_u(magnitude(a2), magnitude(a3))));
    largest = i16x8.max_u(largest, i16x8.max_u(i16x8.max_u(magnitude(a4), magnitude(a5)), i16x8.max_u(magnitude(a6), magnitude(a7))));
    // 8x8 transpose: interleave 16-bit, then 32-bit, then 64-bit lanes
    const b0 = low16(a0, a1), b1 = high16(a0, a1), b2 = low16(a2, a3), b3 = high16(a2, a3);
    const b4 = low16(a4, a5), b5 = high16(a4, a5), b6 = low16(a6, a7), b7 = high16(a6, a7);
    const c0 = low32(b0, b2), c1 = high32(b0, b2), c2 = low32(b1, b3), c3 = high32(b1, b3);
    const c4 = low32(b4, b6), c5 = high32(b4, b6), c6 = low32(b5, b7), c7 = high32(b5, b7);
    let to = panel + c * pitch;
    decode8(to, low64(c0, c4), format);
    to += pitch;
    decode8(to, high64(c0, c4), format);
    to += pitch;
    decode8(to, low64(c1, c5), format);
    to += pitch;
    decode8(to, high64(c1, c5), format);
    to += pitch;
    decode8(to, low64(c2, c6), format);
    to += pitch;
    decode8(to, high64(c2, c6), format);
    to += pitch;
    decode8(to, low64(c3, c7), format);
    to += pitch;
    decode8(to, high64(c3, c7), format);
  }
  return isFinite16(largest, format);
}

/** Four rows by four columns of F32 into four half panel rows; the high halves of the magnitudes. */
@inline
function decodeTransposed4(to: usize, pitch: usize, at: usize, stride: usize): v128 {
  const a0 = v128.load(at);
  const a1 = v128.load(at + stride);
  const a2 = v128.load(at + 2 * stride);
  const a3 = v128.load(at + 3 * stride);
  const b0 = low32(a0, a1), b1 = high32(a0, a1), b2 = low32(a2, a3), b3 = high32(a2, a3);
  const c0 = low64(b0, b2), c1 = high64(b0, b2), c2 = low64(b1, b3), c3 = high64(b1, b3);
  decode4(to, c0);
  decode4(to + pitch, c1);
  decode4(to + 2 * pitch, c2);
  decode4(to + 3 * pitch, c3);
  return i16x8.max_u(i16x8.max_u(high16Magnitude(a0), high16Magnitude(a1)), i16x8.max_u(high16Magnitude(a2), high16Magnitude(a3)));
}

/** Encodes a panel (columns, 8), columns a multiple of 8, into 8 rows of stored numbers `stride` bytes apart. */
export function encodeTransposed(tile: usize, stride: usize, panel: usize, columns: u32, format: u32): bool {
  let largest = i16x8.splat(0);
  if (format == F32) {
    for (let c: u32 = 0; c < columns; c += 4) {
      const to = tile + ((c as usize) << 2);
      const at = panel + ((c as usize) << 6);
      largest = i16x8.max_u(largest, encodeTransposed4(to, at, stride));
      largest = i16x8.max_u(largest, encodeTransposed4(to + 4 * stride, at + 32, stride));
    }
    return i16x8.bitmask(i16x8.ge_u(largest, i16x8.splat(0x7f80))) == 0;
  }
  for (let c: u32 = 0; c < columns; c += 8) {
    const at = panel + ((c as usize) << 6);
    const a0 = encode8(at, format);
    const a1 = encode8(at + 64, format);
    const a2 = encode8(at + 128, format);
    const a3 = encode8(at + 192, format);
    const a4 = encode8(at + 256, format);
    const a5 = encode8(at + 320, format);
    const a6 = encode8(at + 384, format);
    const a7 = encode8(at + 448, format);
    largest = i16x8.max_u(largest, i16x8.max_u(i16x8.max_u(magnitude(a0), magnitude(a1)), i16x8.max_u(magnitude(a2), magnitude(a3))));
    largest = i16x8.max_u(largest, i16x8.max_u(i16x8.max_u(magnitude(a4), magnitude(a5)), i16x8.max_u(magnitude(a6), magnitude(a7))));
    const b0 = low16(a0, a1), b1 = high16(a0, a1), b2 = low16(a2, a3), b3 = high16(a2, a3);
    const b4 = low16(a4, a5), b5 = high16(a4, a5), b6 = low16(a6, a7), b7 = high16(a6, a7);
    const c0 = low32(b0, b2), c1 = high32(b0, b2), c2 = low32(b1, b3), c3 = high32(b1, b3);
    const c4 = low32(b4, b6), c5 = high32(b4, b6), c6 = low32(b5, b7), c7 = high32(b5, b7);
    let to = tile + ((c as usize) << 1);
    v128.store(to, low64(c0, c4));
    to += stride;
    v128.store(to, high64(c0, c4));
    to += stride;
    v128.store(to, low64(c1, c5));
    to += stride;
    v128.store(to, high64(c1, c5));
    to += stride;
    v128.store(to, low64(c2, c6));
    to += stride;
    v128.store(to, high64(c2, c6));
    to += stride;
    v128.store(to, low64(c3, c7));
    to += stride;
    v128.store(to, high64(c3, c7));
  }
  return isFinite16(largest, format);
}

@inline
function encodeTransposed4(to: usize, at: usize, stride: usize): v128 {
  const a0 = encode4(at), a1 = encode4(at + 64), a2 = encode4(at + 128), a3 = encode4(at + 192);
  const b0 = low32(a0, a1), b1 = high32(a0, a1), b2 = low32(a2, a3), b3 = high32(a2, a3);
  v128.store(to, low64(b0, b2));
  v128.store(to + stride, high64(b0, b2));
  v128.store(to + 2 * stride, low64(b1, b3));
  v128.store(to + 3 * stride, high64(b1, b3));
  return i16x8.max_u(i16x8.max_u(high16Magnitude(a0), high16Magnitude(a1)), i16x8.max_u(high16Magnitude(a2), high16Magnitude(a3)));
}

/** Decodes `rows` times 8 stored numbers, `stride` bytes apart, into 8 columns of a panel whose rows lie `pitch` bytes apart. */
export function decodeColumns(panel: usize, pitch: usize, tile: usize, stride: usize, rows: u32, format: u32): bool {
  let largest = i16x8.splat(0);
  let at = tile;
  let to = panel;
  for (let r: u32 = 0; r < rows; r++) {
    const a = v128.load(at);
    if (format == F32) {
      const b = v128.load(at, 16);
      largest = i16x8.max_u(largest, i16x8.max_u(high16Magnitude(a), high16Magnitude(b)));
      decode4(to, a);
      decode4(to + 32, b);
    } else {
      largest = i16x8.max_u(largest, magnitude(a));
      decode8(to, a, format);
    }
    at += stride;
    to += pitch;
  }
  return format == F32 ? i16x8.bitmask(i16x8.ge_u(largest, i16x8.splat(0x7f80))) == 0 : isFinite16(largest, format);
}

/** Encodes 8 columns of a panel whose rows lie `pitch` bytes apart into `rows` times 8 stored numbers `stride` bytes apart. */
export function encodeColumns(tile: usize, stride: usize, panel: usize, pitch: usize, rows: u32, format: u32): bool {
  let largest = i16x8.splat(0);
  let to = tile;
  let at = panel;
  for (let r: u32 = 0; r < rows; r++) {
    if (format == F32) {
      const a = encode4(at);
      const b = encode4(at + 32);
      largest = i16x8.max_u(largest, i16x8.max_u(high16Magnitude(a), high16Magnitude(b)));
      v128.store(to, a);
      v128.store(to, b, 16);
    } else {
      const a = encode8(at, format);
      largest = i16x8.max_u(largest, magnitude(a));
      v128.store(to, a);
    }
    to += stride;
    at += pitch;
  }
  return format == F32 ? i16x8.bitmask(i16x8.ge_u(largest, i16x8.splat(0x7f80))) == 0 : isFinite16(largest, format);
}

@inline
function decode8(to: usize, stored: v128, format: u32): void {
  let low: v128;
  let high: v128;
  if (format == F16) {
    low = widenHalf(i32x4.extend_low_i16x8_u(stored));
    high = widenHalf(i32x4.extend_high_i16x8_u(stored));
  } else {
    const zero = i16x8.splat(0);
    low = low16(zero, stored);
    high = high16(zero, stored);
  }
  decode4(to, low);
  decode4(to + 32, high);
}

@inline
function decode4(to: usize, single: v128): void {
  v128.store(to, f64x2.promote_low_f32x4(single));
  v128.store(to, f64x2.promote_low_f32x4(high64(single, single)), 16);
}

/** F16 in 32-bit lanes -> F32: the bits moved into place are too small by 2^112, also for subnormals. */
@inline
function widenHalf(half: v128): v128 {
  const magnitude = i32x4.shl(v128.and(half, i32x4.splat(0x7fff)), 13);
  const sign = i32x4.shl(v128.and(half, i32x4.splat(0x8000)), 16);
  return v128.or(f32x4.mul(magnitude, f32x4.splat(reinterpret<f32>(0x77800000))), sign);
}

/** Four F64 -> F32, round to nearest even. */
@inline
function encode4(at: usize): v128 {
  return low64(f32x4.demote_f64x2_zero(v128.load(at)), f32x4.demote_f64x2_zero(v128.load(at, 16)));
}

/**
 * Eight F64 -> F16 or BF16, one rounding to nearest even. Rounding by way of F32 is the same unless F32 lands on a tie or the
 * result is a subnormal F16: those groups take the exact path.
 */
@inline
function encode8(at: usize, format: u32): v128 {
  const low = encode4(at);
  const high = encode4(at + 32);
  if (format == F16) {
    const tie = i32x4.splat(0x1000);
    const mask = i32x4.splat(0x1fff);
    const small = i32x4.splat(0x38800000); // 2^-14
    const largest = i32x4.splat(0x7fffffff);
    const lowMagnitude = v128.and(low, largest);
    const highMagnitude = v128.and(high, largest);
    const special = v128.or(
      v128.or(i32x4.eq(v128.and(low, mask), tie), i32x4.eq(v128.and(high, mask), tie)),
      v128.or(i32x4.lt_s(lowMagnitude, small), i32x4.lt_s(highMagnitude, small)),
    );
    if (v128.any_true(special)) return encodeExactly(at, 42, 15, 0x7c00, reinterpret<f64>(0x3f10000000000000), reinterpret<f64>(0x41b0000000000000));
    return i16x8.narrow_i32x4_u(narrowHalf(low, lowMagnitude), narrowHalf(high, highMagnitude));
  }
  const tie = i32x4.splat(0x8000);
  const mask = i32x4.splat(0xffff);
  if (v128.any_true(v128.or(i32x4.eq(v128.and(low, mask), tie), i32x4.eq(v128.and(high, mask), tie))))
    return encodeExactly(at, 45, 127, 0x7f80, reinterpret<f64>(0x3810000000000000), reinterpret<f64>(0x3ae0000000000000));
  return i16x8.narrow_i32x4_u(narrowBrain(low), narrowBrain(high));
}

@inline
function narrowBrain(single: v128): v128 {
  const even = v128.and(i32x4.shr_u(single, 16), i32x4.splat(1));
  return i32x4.shr_u(i32x4.add(single, i32x4.add(even, i32x4.splat(0x7fff))), 16);
}

@inline
function narrowHalf(single: v128, magnitude: v128): v128 {
  const even = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1));
  const rounded = i32x4.sub(i32x4.shr_u(i32x4.add(magnitude, i32x4.add(even, i32x4.splat(0xfff))), 13), i32x4.splat(112 << 10));
  const sign = v128.and(i32x4.shr_u(single, 16), i32x4.splat(0x8000));
  return v128.or(i32x4.min_s(rounded, i32x4.splat(0x7c00)), sign);
}

/**
 * Eight F64 -> 16-bit floats on their integer bits: `shift` = mantissa bits dropped, exponent bias `bias`, `infinity` its bits.
 * Below `smallest` (least normal) adding `magic`, whose last bit is the least subnormal, makes the adder round.
 */
function encodeExactly(at: usize, shift: u64, bias: u64, infinity: u64, smallest: f64, magic: f64): v128 {
  let low: u64 = 0;
  let high: u64 = 0;
  for (let i: u64 = 0; i < 8; i++) {
    const bits = load<u64>(at + ((i as usize) << 3));
    const sign: u64 = (bits >> 48) & 0x8000;
    const magnitude: u64 = bits & 0x7fffffffffffffff;
    const value = reinterpret<f64>(magnitude);
    let code: u64;
    if (magnitude >= 0x7ff0000000000000) code = infinity;
    else if (value < smallest) code = reinterpret<u64>(value + magic) - reinterpret<u64>(magic);
    else {
      const half: u64 = (1 << (shift - 1)) - 1;
      code = ((magnitude + half + ((magnitude >> shift) & 1)) >> shift) - ((1023 - bias) << (52 - shift));
      if (code > infinity) code = infinity;
    }
    code |= sign;
    if (i < 4) low |= code << (16 * i);
    else high |= code << (16 * (i - 4));
  }
  return i64x2.replace_lane(i64x2.splat(low), 1, high);
}

// ---- stored bits ------------------------------------------------------------------------------------------------------------

/** Whether all `bytes` (a multiple of 16) of stored numbers are finite. */
export function areFinite(at: usize, bytes: usize, format: u32): bool {
  let largest = i16x8.splat(0);
  const end = at + bytes;
  if (format == F32) {
    for (; at < end; at += 16) largest = i16x8.max_u(largest, high16Magnitude(v128.load(at)));
    return i16x8.bitmask(i16x8.ge_u(largest, i16x8.splat(0x7f80))) == 0;
  }
  for (; at < end; at += 16) largest = i16x8.max_u(largest, magnitude(v128.load(at)));
  return isFinite16(largest, format);
}

/** Exclusive-ors the sign bits of `bytes` (a multiple of 16) of stored numbers. */
export function flipSigns(at: usize, bytes: usize, format: u32): void {
  const mask = format == F32 ? i32x4.splat(0x80000000) : i16x8.splat(0x8000 as i16);
  const end = at + bytes;
  for (; at < end; at += 16) v128.store(at, v128.xor(v128.load(at), mask));
}

/** Copies `rows` rows of `bytes` (a multiple of 16) between strides. */
export function copyRows(result: usize, resultStride: usize, argument: usize, argumentStride: usize, rows: u32, bytes: usize): void {
  for (let r: u32 = 0; r < rows; r++) {
    for (let b: usize = 0; b < bytes; b += 16) v128.store(result + b, v128.load(argument + b));
    result += resultStride;
    argument += argumentStride;
  }
}

/**
 * Number j of each result row = the number at byte offsets[j] of the argument row (rows `stride` bytes apart), its bits
 * exclusive-ored with flips[j] (a sign bit, or 0). 16-bit numbers; two rows at a time share the reading of the offsets.
 */
export function gatherColumns16(result: usize, argument: usize, offsets: usize, flips: usize, rows: u32, columns: u32, stride: usize): void {
  const fours: usize = (columns as usize) & ~3;
  for (let r: u32 = 0; r < rows; r += 2) {
    const second: usize = r + 1 < rows ? stride : 0; // an odd last row is written twice
    for (let j: usize = 0; j < fours; j += 4) {
      const ab = load<u64>(offsets + (j << 2));
      const cd = load<u64>(offsets + (j << 2), 8);
      const a = argument + ((ab & 0xffffffff) as usize), b = argument + ((ab >> 32) as usize);
      const c = argument + ((cd & 0xffffffff) as usize), d = argument + ((cd >> 32) as usize);
      const flip = load<u64>(flips + (j << 1));
      const to = result + (j << 1);
      store<u64>(to, flip ^ joinFour(a, b, c, d));
      store<u64>(to + second, flip ^ joinFour(a + second, b + second, c + second, d + second));
    }
    for (let j: usize = fours; j < (columns as usize); j++) {
      const at = argument + (load<u32>(offsets + (j << 2)) as usize);
      store<u16>(result + (j << 1), load<u16>(at) ^ load<u16>(flips + (j << 1)));
      store<u16>(result + second + (j << 1), load<u16>(at + second) ^ load<u16>(flips + (j << 1)));
    }
    argument += 2 * stride;
    result += 2 * stride;
  }
}

@inline
function joinFour(a: usize, b: usize, c: usize, d: usize): u64 {
  return u64(load<u16>(a)) | (u64(load<u16>(b)) << 16) | (u64(load<u16>(c)) << 32) | (u64(load<u16>(d)) << 48);
}

/** As gatherColumns16, for 32-bit numbers. */
export function gatherColumns32(result: usize, argument: usize, offsets: usize, flips: usize, rows: u32, columns: u32, stride: usize): void {
  for (let r: u32 = 0; r < rows; r += 2) {
    const second: usize = r + 1 < rows ? stride : 0;
    for (let j: usize = 0; j < (columns as usize) << 2; j += 4) {
      const at = argument + (load<u32>(offsets + j) as usize);
      const flip = load<u32>(flips + j);
      store<u32>(result + j, load<u32>(at) ^ flip);
      store<u32>(result + second + j, load<u32>(at + second) ^ flip);
    }
    argument += 2 * stride;
    result += 2 * stride;
  }
}

// ---- lanes ------------------------------------------------------------------------------------------------------------------

@inline
function magnitude(stored: v128): v128 {
  return v128.and(stored, i16x8.splat(0x7fff));
}

/** The upper 16 bits of the magnitude of each F32, the lower lanes 0. */
@inline
function high16Magnitude(stored: v128): v128 {
  return v128.and(stored, i32x4.splat(0x7fff0000));
}

@inline
function isFinite16(largest: v128, format: u32): bool {
  const infinity = format == F16 ? i16x8.splat(0x7c00) : i16x8.splat(0x7f80);
  return i16x8.bitmask(i16x8.ge_u(largest, infinity)) == 0;
}

@inline
function low16(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

@inline
function high16(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

@inline
function low32(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 0, 4, 1, 5);
}

@inline
function high32(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 2, 6, 3, 7);
}

@inline
function low64(a: v128, b: v128): v128 {
  return v128.shuffle<i64>(a, b, 0, 2);
}

@inline
function high64(a: v128, b: v128): v128 {
  return v128.shuffle<i64>(a, b, 1, 3);
}
