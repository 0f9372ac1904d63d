//! A parameter of the network as it is used: with what an adapter adds to it, in whatever form it is
//! stored.

use super::spec::DecoderSpec;
use crate::kernels::{
    self, Elements, LayerWeight, add_bias, fused, linear, nf4_linear, offset_rms_norm, shifted,
};
use crate::weights::Stored;
use candle_core::Tensor;

/// A parameter, with what is added to it where it is used.
pub(super) struct Weight {
    pub(super) stored: Stored,
    /// Of an adapter.
    pub(super) low_rank: Option<LowRank>,
    /// To every element.
    pub(super) offset: f32,
}

/// scale B A, which is added to the weight of a linear layer.
pub(in crate::model) struct LowRank {
    /// (rank, in)
    pub(in crate::model) a: Tensor,
    /// (out, rank)
    pub(in crate::model) b: Tensor,
    pub(in crate::model) scale: f64,
}

impl Weight {
    /// The scale of a norm.
    pub(super) fn of_norm(spec: &DecoderSpec, stored: Stored) -> Self {
        Self { stored, low_rank: None, offset: spec.norm_offset }
    }

    /// The norm of x (..., d) that this is the scale of.
    pub(super) fn norm(&self, x: &Tensor, eps: f64) -> candle_core::Result<Tensor> {
        offset_rms_norm(x, self.stored.plain()?, eps, self.offset)
    }

    /// The elements as they are used, where [`Self::is_fused`].
    pub(super) fn elements(&self) -> candle_core::Result<WeightElements<'_>> {
        let mut own = self.stored.elements()?;
        if self.offset != 0.0 {
            own = shifted(&own, self.offset).into_owned().into();
        }
        let low_rank = match &self.low_rank {
            Some(LowRank { a, b, scale }) => Some((Elements::of(a)?, Elements::of(b)?, *scale)),
            None => None,
        };
        Ok(WeightElements { own, low_rank })
    }

    /// Whether it is `f32` on the CPU, with what an adapter adds.
    pub(super) fn is_fused(&self) -> bool {
        let is_fused = |low_rank: &LowRank| fused(&[&low_rank.a, &low_rank.b]);
        self.stored.is_fused() && self.low_rank.as_ref().is_none_or(is_fused)
    }

    /// Whether it is a tensor to which nothing is added.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.stored, Stored::Plain(_)) && self.low_rank.is_none()
    }

    /// Rows of a matrix that [`Self::is_plain`].
    pub(super) fn rows(&self) -> usize {
        self.stored.followed().dims().first().copied().unwrap_or(0)
    }

    /// Everything that gradients may follow: the weight's own tensor first, then A and B of an
    /// adapter.
    pub(super) fn followed(&self) -> impl Iterator<Item = &Tensor> {
        let of_adapter = self.low_rank.iter().flat_map(|low_rank| [&low_rank.a, &low_rank.b]);
        std::iter::once(self.stored.followed()).chain(of_adapter)
    }

    /// x W^T, or x W^T + (scale x A^T) B^T, and the bias: (n, out) for x (n, in).
    pub(super) fn apply(&self, x: &Tensor, bias: Option<&Self>) -> candle_core::Result<Tensor> {
        let mut y = match &self.stored {
            Stored::Plain(tensor) => linear(x, tensor)?,
            Stored::Nf4(matrix) => nf4_linear(x, matrix)?,
        };
        if let Some(bias) = bias {
            y = add_bias(&y, bias.stored.plain()?)?;
        }
        match &self.low_rank {
            None => Ok(y),
            // The product with A is the small one, so it is what is scaled.
            Some(LowRank { a, b, scale }) => y + linear(&(linear(x, a)? * *scale)?, b)?,
        }
    }
}

/// The elements of a [`Weight`], readable as long as this lives.
pub(super) struct WeightElements<'a> {
    own: Elements<'a>,
    /// A, B and their scale.
    low_rank: Option<(Elements<'a>, Elements<'a>, f64)>,
}

impl WeightElements<'_> {
    /// As the fused operations take them.
    pub(super) fn borrow(&self) -> LayerWeight<'_> {
        let low_rank = self.low_rank.as_ref();
        LayerWeight {
            elements: &self.own,
            low_rank: low_rank.map(|(a, b, scale)| kernels::LowRank { a, b, scale: *scale as f32 }),
        }
    }
}
