//! A checked wrapper around the `gemm` crate for slices.

use gemm::Parallelism;

/// A matrix view: row and column strides into a slice.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// A row-major matrix of `columns` columns.
    pub(super) fn new(data: &'a [f32], columns: usize) -> Self {
        let rows = data.len() / columns.max(1);
        assert_eq!(
            rows * columns,
            data.len(),
            "a matrix of {columns} columns cannot have {} elements",
            data.len()
        );
        Self { data, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// The transpose, without a copy.
    pub(super) fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// The `gemm` crate sums in another order for a single row and for results of at most this many
/// elements.
const SMALL_RESULT: usize = 256;

/// out = a b, or out += a b where `accumulate`. `out` is row-major (`a.rows`, `b.columns`).
///
/// Where `a` is row-major each row of a b is the same to the last bit whatever other rows `a` has:
/// rows of zeros keep few rows off the special paths of `gemm`. Otherwise a sampled token could
/// depend, in one case of many thousands, on which prompts are prefilled beside its own. The
/// general path copies all of b first, which is much for few rows: decoding does without
/// ([`super::lanes`]).
pub(super) fn matmul(out: &mut [f32], a: View<'_>, b: View<'_>, accumulate: bool) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    assert_eq!(b.rows, k, "inner dimensions differ");
    assert_eq!(out.len(), m * n, "the output has the wrong size");
    if m * n == 0 {
        return;
    }
    let rows = (SMALL_RESULT / n + 1).max(2);
    if m < rows && a.column_stride == 1 && !accumulate {
        let mut padded = vec![0.0; rows * k];
        padded[..m * k].copy_from_slice(a.data);
        let mut product = vec![0.0; rows * n];
        matmul(&mut product, View::new(&padded, k), b, false);
        out.copy_from_slice(&product[..m * n]);
        return;
    }
    let threads = rayon::current_num_threads();
    let parallelism = if threads > 1 { Parallelism::Rayon(threads) } else { Parallelism::None };
    // SAFETY: `View` ties rows, columns and strides to a slice that holds rows x columns elements,
    // in one order or the other, so every address that `gemm` forms from them is inside it; `out`
    // was checked above and is not aliased, being `&mut`.
    #[allow(unsafe_code, reason = "the gemm crate takes pointers; the bounds are checked here")]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            accumulate,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_plain_and_transposed_views_are_right() {
        let a: Vec<f32> = (0..6).map(|i| i as f32).collect(); // (2, 3)
        let b: Vec<f32> = (0..12).map(|i| i as f32 - 4.0).collect(); // (3, 4)
        let mut out = vec![1.0; 8];
        matmul(&mut out, View::new(&a, 3), View::new(&b, 4), false);
        assert_eq!(out, [8.0, 11.0, 14.0, 17.0, 8.0, 20.0, 32.0, 44.0]);
        matmul(&mut out, View::new(&a, 3), View::new(&b, 4), true);
        assert_eq!(out, [16.0, 22.0, 28.0, 34.0, 16.0, 40.0, 64.0, 88.0]);
        let mut gram = vec![0.0; 9];
        matmul(&mut gram, View::new(&a, 3).t(), View::new(&a, 3), false);
        assert_eq!(gram, [9.0, 12.0, 15.0, 12.0, 17.0, 22.0, 15.0, 22.0, 29.0]);
    }

    #[test]
    fn a_row_of_the_result_is_the_same_to_the_last_bit_whatever_other_rows_there_are() {
        // The narrow ones are those of adapters of small rank.
        let narrow = [1, 2, 3, 16].into_iter().flat_map(|rank| [(96, rank), (rank, 96)]);
        let wide = [(32, 8), (32, 48), (128, 384), (384, 128), (700, 90), (3000, 200)];
        for (inner, columns) in narrow.chain(wide) {
            let number = |i: usize| ((i * 7919 % 1013) as f32 - 506.0) / 507.0;
            let a: Vec<f32> = (0..70 * inner).map(number).collect();
            let b: Vec<f32> = (0..columns * inner).map(|i| number(i * i % 65_537)).collect();
            let product = |rows: usize| {
                let mut out = vec![0.0; rows * columns];
                matmul(
                    &mut out,
                    View::new(&a[..rows * inner], inner),
                    View::new(&b, inner).t(),
                    false,
                );
                out
            };
            let whole = product(70);
            for rows in [1, 2, 3, 5, 16, 33, 69] {
                assert!(
                    product(rows) == whole[..rows * columns],
                    "{rows} rows of {inner} by {columns}"
                );
            }
        }
    }
}
