// The SIMD kernel of matrix products, in AssemblyScript. Pointers are byte offsets. `npm run build:kernels` compiles this
// file into multiply.wasm.ts.

/**
 * One panel of a product of float64 matrices: `left` holds rows in groups of four, (rows / 4, inner, 4); `right` columns in
 * groups of four, (columns / 4, inner, 4); `result` is (rows, columns), row-major. Rows and columns are multiples of 4.
 */
export function multiplyPanel(result: usize, left: usize, right: usize, rows: u32, inner: u32, columns: u32): void {
  const group: usize = (inner as usize) << 5;
  const pitch: usize = (columns as usize) << 3;
  for (let j: u32 = 0; j < columns; j += 4) {
    const b = right + ((j as usize) >> 2) * group;
    for (let i: u32 = 0; i < rows; i += 4) {
      let l = left + ((i as usize) >> 2) * group;
      let r = b;
      let p0 = f64x2.splat(0), p1 = f64x2.splat(0), p2 = f64x2.splat(0), p3 = f64x2.splat(0);
      let q0 = f64x2.splat(0), q1 = f64x2.splat(0), q2 = f64x2.splat(0), q3 = f64x2.splat(0);
      for (let k: u32 = 0; k < inner; k++) {
        const u = v128.load(r);
        const v = v128.load(r, 16);
        const x0 = v128.load64_splat(l);
        const x1 = v128.load64_splat(l, 8);
        const x2 = v128.load64_splat(l, 16);
        const x3 = v128.load64_splat(l, 24);
        p0 = f64x2.add(p0, f64x2.mul(x0, u));
        q0 = f64x2.add(q0, f64x2.mul(x0, v));
        p1 = f64x2.add(p1, f64x2.mul(x1, u));
        q1 = f64x2.add(q1, f64x2.mul(x1, v));
        p2 = f64x2.add(p2, f64x2.mul(x2, u));
        q2 = f64x2.add(q2, f64x2.mul(x2, v));
        p3 = f64x2.add(p3, f64x2.mul(x3, u));
        q3 = f64x2.add(q3, f64x2.mul(x3, v));
        l += 32;
        r += 32;
      }
      const to = result + (i as usize) * pitch + ((j as usize) << 3);
      v128.store(to, p0);
      v128.store(to, q0, 16);
      v128.store(to + pitch, p1);
      v128.store(to + pitch, q1, 16);
      v128.store(to + 2 * pitch, p2);
      v128.store(to + 2 * pitch, q2, 16);
      v128.store(to + 3 * pitch, p3);
      v128.store(to + 3 * pitch, q3, 16);
    }
  }
}
