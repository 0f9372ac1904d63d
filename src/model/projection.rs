//! A linear layer, with a low-rank addition where an adapter has one.

use crate::kernels::linear;
use candle_core::{Result, Tensor};

/// y = x W^T, or x W^T + (scale x A^T) B^T.
pub(super) struct Projection {
    weight: Tensor, // (out, in)
    low_rank: Option<LowRank>,
}

/// scale B A, which is added to a weight.
pub(super) struct LowRank {
    /// (rank, in)
    pub(super) a: Tensor,
    /// (out, rank)
    pub(super) b: Tensor,
    pub(super) scale: f64,
}

impl Projection {
    pub(super) fn new(weight: Tensor, low_rank: Option<LowRank>) -> Self {
        Self { weight, low_rank }
    }

    /// The weight (out, in), where nothing is added to it.
    pub(super) fn plain(&self) -> Option<&Tensor> {
        self.low_rank.is_none().then_some(&self.weight)
    }

    /// (n, out) of x (n, in).
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let y = linear(x, &self.weight)?;
        match &self.low_rank {
            None => Ok(y),
            // The product with A is the small one, so it is what is scaled.
            Some(LowRank { a, b, scale }) => y + linear(&(linear(x, a)? * *scale)?, b)?,
        }
    }
}
