//! Products of small row-major matrices that stay in the cache, for use inside of a kernel.
//!
//! Numbers of rows are multiples of [`ROWS`], numbers of columns multiples of 16: whoever calls
//! pads with zeros. Every element is summed over the inner dimension in order, whatever its
//! neighbours are.

use pulp::Simd;
use std::ops::Range;

/// Rows of a tile of a product.
pub(super) const ROWS: usize = 4;

/// A row-major matrix: element (i, j) is at i * stride + j of `data`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) data: &'a [f32],
    pub(super) stride: usize,
}

/// A row-major matrix to write to.
pub(super) struct MatrixMut<'a> {
    pub(super) data: &'a mut [f32],
    pub(super) stride: usize,
}

/// out = a b for one tile's rows and some columns, whose bounds are multiples of 16: out ([`ROWS`],
/// n), a ([`ROWS`], inner), b (inner, n).
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
pub(super) fn product<S: Simd>(
    simd: S,
    out: MatrixMut,
    a: Matrix,
    b: Matrix,
    inner: usize,
    columns: Range<usize>,
) {
    let rows: [&[f32]; ROWS] = std::array::from_fn(|r| &a.data[r * a.stride..][..inner]);
    let a = |k: usize| [rows[0][k], rows[1][k], rows[2][k], rows[3][k]];
    let b = Matrix { data: &b.data[..inner * b.stride], stride: b.stride };
    let mut column = columns.start;
    while column < columns.end {
        if column + 2 * S::F32_LANES <= columns.end {
            tile::<S, 2, false>(simd, out.data, out.stride, a, b, column);
            column += 2 * S::F32_LANES;
        } else {
            tile::<S, 1, false>(simd, out.data, out.stride, a, b, column);
            column += S::F32_LANES;
        }
    }
}

/// out += a^T b: out (rows, n), a (inner, rows), b (inner, n).
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
pub(super) fn add_transposed_product<S: Simd>(
    simd: S,
    out: MatrixMut,
    a: Matrix,
    b: Matrix,
    inner: usize,
    rows: usize,
    n: usize,
) {
    let b = Matrix { data: &b.data[..inner * b.stride], stride: b.stride };
    for row in (0..rows).step_by(ROWS) {
        let a = |k: usize| {
            let a = &a.data[k * a.stride + row..][..ROWS];
            [a[0], a[1], a[2], a[3]]
        };
        let out_rows = &mut out.data[row * out.stride..];
        let mut column = 0;
        while column < n {
            if column + 2 * S::F32_LANES <= n {
                tile::<S, 2, true>(simd, out_rows, out.stride, a, b, column);
                column += 2 * S::F32_LANES;
            } else {
                tile::<S, 1, true>(simd, out_rows, out.stride, a, b, column);
                column += S::F32_LANES;
            }
        }
    }
}

/// out = (with `ADD`: +=) sum over k of the outer product of a(k) and row k of `b`, for the `B`
/// vectors of columns from `first` on.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn tile<S: Simd, const B: usize, const ADD: bool>(
    simd: S,
    out: &mut [f32],
    stride: usize,
    a: impl Fn(usize) -> [f32; ROWS],
    b: Matrix,
    first: usize,
) {
    let columns = first..first + B * S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); B]; ROWS];
    if ADD {
        for (r, sums) in sums.iter_mut().enumerate() {
            let out = S::as_simd_f32s(&out[r * stride..][columns.clone()]).0;
            sums.copy_from_slice(&out[..B]);
        }
    }
    for (k, b) in b.data.chunks_exact(b.stride).enumerate() {
        let b = S::as_simd_f32s(&b[columns.clone()]).0;
        let a = a(k);
        for r in 0..ROWS {
            let a = simd.splat_f32s(a[r]);
            for j in 0..B {
                sums[r][j] = simd.mul_add_e_f32s(a, b[j], sums[r][j]);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        S::as_mut_simd_f32s(&mut out[r * stride..][columns.clone()]).0.copy_from_slice(sums);
    }
}
