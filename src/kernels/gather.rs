//! Rows of a matrix by index.

use super::cuda;
use candle_core::{Result, Tensor};

/// The rows `index` (n) of x (m, d), for indices below m: (n, d). Backward sums the gradients of rows that were taken repeatedly.
pub fn gather_rows(x: &Tensor, index: &[u32]) -> Result<Tensor> {
    if cuda::applies(&[x]) {
        return cuda::gather_rows(x, index);
    }
    x.index_select(&Tensor::from_slice(index, index.len(), x.device())?, 0)
}
