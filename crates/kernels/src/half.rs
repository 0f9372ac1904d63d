//! Products with `bf16` matrices on the CPU, which has no fast ones: values are widened to `f32`
//! block by block, multiplied and summed in `f32`, and rounded once. candle would widen the whole
//! matrix first, which takes longer than the product where there are few rows.

use super::matmul::{View, matmul};
use candle_core::{DType, Result, Storage, Tensor, WithDType, bail};
use half::bf16;
use rayon::prelude::*;

/// Elements of a matrix that are widened at a time.
const BLOCK: usize = 1 << 21;

/// Whether the versions here apply to all of `tensors`.
pub(super) fn applies(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|tensor| tensor.device().is_cpu() && tensor.dtype() == DType::BF16)
}

/// Calls `f` with the elements of a `bf16` CPU tensor.
fn with_values<R>(tensor: &Tensor, f: impl FnOnce(&[bf16]) -> Result<R>) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(storage), Some((start, end))) => f(&storage.as_slice::<bf16>()?[start..end]),
        _ => bail!("a bf16 product needs tensors on the CPU"),
    }
}

fn widen(values: &[bf16]) -> Vec<f32> {
    values.par_iter().map(|value| value.to_f32()).collect()
}

fn wide(tensor: &Tensor) -> Result<Vec<f32>> {
    with_values(tensor, |values| Ok(widen(values)))
}

fn rounded(values: &[f32], rows: usize, columns: usize) -> Result<Tensor> {
    let values: Vec<bf16> = values.par_iter().map(|value| bf16::from_f32(*value)).collect();
    Tensor::from_vec(values, (rows, columns), &candle_core::Device::Cpu)
}

/// Calls `each` with the first row of every block of rows of a matrix (rows, columns), and the
/// block as `f32`.
fn blocks(matrix: &Tensor, mut each: impl FnMut(usize, &[f32])) -> Result<()> {
    let columns = matrix.dim(1)?;
    let rows = (BLOCK / columns.max(1)).max(1);
    with_values(matrix, |values| {
        for (index, block) in values.chunks(rows * columns).enumerate() {
            each(index * rows, &widen(block));
        }
        Ok(())
    })
}

/// x W^T: x (n, in), W (out, in), both `bf16`. Returns (n, out).
pub(super) fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    products(x, weight, bf16::from_f32)
}

/// [`linear`] without the rounding: (n, out) in `f32`.
pub(super) fn wide_linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    products(x, weight, |value| value)
}

/// x W^T, each element turned into what is kept of it by `of`.
fn products<T: WithDType>(
    x: &Tensor,
    weight: &Tensor,
    of: impl Fn(f32) -> T + Sync,
) -> Result<Tensor> {
    let ((n, inner), out) = (x.dims2()?, weight.dim(0)?);
    let x = wide(x)?;
    let mut y = vec![of(0.0); n * out];
    blocks(weight, |first, w| {
        let rows = w.len() / inner;
        let mut product = vec![0.0; n * rows];
        matmul(&mut product, View::new(&x, inner), View::new(w, inner).t(), false);
        y.par_chunks_mut(out).zip(product.par_chunks(rows)).for_each(|(y, product)| {
            for (y, value) in y[first..].iter_mut().zip(product) {
                *y = of(*value);
            }
        });
    })?;
    Tensor::from_vec(y, (n, out), weight.device())
}

/// g W: g (n, out) of any type, W (out, in) `bf16`. Returns (n, in), `bf16`.
pub(super) fn times(g: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let ((n, out), inner) = (g.dims2()?, weight.dim(1)?);
    let g: Vec<f32> = g.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    let mut sum = vec![0.0; n * inner];
    blocks(weight, |first, w| {
        let rows = w.len() / inner;
        let part: Vec<f32> =
            g.par_chunks(out).flat_map_iter(|g| g[first..first + rows].iter().copied()).collect();
        matmul(&mut sum, View::new(&part, rows), View::new(w, inner), true);
    })?;
    rounded(&sum, n, inner)
}

/// g^T x: g (n, out), x (n, in), both `bf16`. Returns (out, in), `bf16`.
pub(super) fn outer(g: &Tensor, x: &Tensor) -> Result<Tensor> {
    let ((_, out), inner) = (g.dims2()?, x.dim(1)?);
    let (g, x) = (wide(g)?, wide(x)?);
    let mut product = vec![0.0; out * inner];
    matmul(&mut product, View::new(&g, out).t(), View::new(&x, inner), false);
    rounded(&product, out, inner)
}

#[cfg(test)]
mod tests {
    use super::super::check::{difference, random};
    use super::*;

    #[test]
    fn products_are_those_of_f32_rounded_once() {
        // More rows than one block of the matrix.
        let columns = BLOCK / 3 + 1;
        for (n, out, inner) in [(3, 5, 4), (2, 7, columns)] {
            let half = |t: Tensor| t.to_dtype(DType::BF16).unwrap();
            let (x, w, g) = (
                half(random(&[n, inner], 1)),
                half(random(&[out, inner], 2)),
                half(random(&[n, out], 3)),
            );
            let full = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
            let (x32, w32, g32) = (full(&x), full(&w), full(&g));
            for (found, expected) in [
                (linear(&x, &w).unwrap(), x32.matmul(&w32.t().unwrap()).unwrap()),
                (times(&g, &w).unwrap(), g32.matmul(&w32).unwrap()),
                (outer(&g, &x).unwrap(), g32.t().unwrap().matmul(&x32).unwrap()),
            ] {
                assert_eq!(found.dims(), expected.dims());
                let largest =
                    expected.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
                assert!(difference(&full(&found), &expected) <= largest / 128.0);
            }
        }
    }
}
