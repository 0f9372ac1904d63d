//! One decoder layer, made of single operations.

use super::rope::rotary;
use super::spec::DecoderSpec;
use crate::error::Result;
use crate::kernels::{
    LayerParts, Rotary, add_bias, linear, nf4_linear, rms_norm, rotary_embedding, swiglu,
};
use crate::weights::Stored;
use candle_core::Tensor;
use std::sync::Arc;

/// Keys and values of one layer's tokens: each (tokens, `kv_heads`, `head_dim`).
pub(super) type KeysValues = (Tensor, Tensor);

/// A parameter of a layer, with what an adapter adds to it.
pub(super) struct Weight {
    stored: Stored,
    low_rank: Option<LowRank>,
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
    /// x W^T, or x W^T + (scale x A^T) B^T, and the bias: (n, out) for x (n, in).
    fn apply(&self, x: &Tensor, bias: Option<&Self>) -> candle_core::Result<Tensor> {
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

/// What every layer needs to know.
pub(super) struct Shape {
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) eps: f64,
    pub(super) rotary: Rotary,
}

impl Shape {
    pub(super) fn of(spec: &DecoderSpec) -> Self {
        Self {
            heads: spec.num_attention_heads,
            kv_heads: spec.num_key_value_heads,
            head_dim: spec.head_dim,
            eps: spec.rms_norm_eps,
            rotary: rotary(
                spec.head_dim,
                spec.max_position_embeddings,
                spec.rope_theta,
                spec.rope_scaling.as_ref(),
            ),
        }
    }
}

/// One decoder layer.
pub(super) struct Layer(LayerParts<Weight>);

impl Layer {
    /// The layer of that number, over the parameters that `get` finds by name, with what `low_rank`
    /// adds to its linear layers.
    pub(super) fn build(
        spec: &DecoderSpec,
        index: usize,
        get: &dyn Fn(&str) -> Result<Stored>,
        low_rank: &dyn Fn(&str) -> Result<Option<LowRank>>,
    ) -> Result<Self> {
        let parts = spec.layer_parts(index).try_map(|part| {
            let low_rank = part.module().map(low_rank).transpose()?.flatten();
            Ok::<_, crate::error::Error>(Weight { stored: get(&part.name)?, low_rank })
        })?;
        Ok(Self(parts))
    }

    /// Whether nothing is added to its weights.
    pub(super) fn is_plain(&self) -> bool {
        self.plain().is_some()
    }

    /// The weights, where nothing is added to them.
    pub(super) fn plain(&self) -> Option<LayerParts<&Stored>> {
        let plain = |weight: &Weight| weight.low_rank.is_none();
        let is_plain = self.0.as_ref().into_vec().into_iter().all(plain);
        is_plain.then(|| self.0.as_ref().map(|weight| &weight.stored))
    }

    /// x + attention(x), then + mlp. `attend` turns queries (tokens, heads, `head_dim`) and this
    /// layer's new keys and values into (tokens, heads * `head_dim`).
    pub(super) fn forward(
        &self,
        x: &Tensor, // (tokens, hidden)
        positions: &Arc<[u32]>,
        shape: &Shape,
        attend: impl FnOnce(&Tensor, KeysValues) -> candle_core::Result<Tensor>,
    ) -> candle_core::Result<Tensor> {
        let (parts, tokens) = (&self.0, x.dim(0)?);
        let norm = |x: &Tensor, weight: &Weight| rms_norm(x, weight.stored.plain()?, shape.eps);
        let normed = norm(x, &parts.attention_norm)?;
        let project = |weight: &Weight, bias: &Option<Weight>, heads: usize| {
            let y = weight.apply(&normed, bias.as_ref())?;
            y.reshape((tokens, heads, shape.head_dim))
        };
        let place = |x: Tensor, weight: &Option<Weight>| {
            let x = weight.as_ref().map_or_else(|| Ok(x.clone()), |weight| norm(&x, weight))?;
            rotary_embedding(&x, positions, &shape.rotary)
        };

        let q = project(&parts.q_proj, &parts.q_bias, shape.heads)?;
        let k = project(&parts.k_proj, &parts.k_bias, shape.kv_heads)?;
        let v = project(&parts.v_proj, &parts.v_bias, shape.kv_heads)?;
        let (q, k) = (place(q, &parts.q_norm)?, place(k, &parts.k_norm)?);
        let x = (x + parts.o_proj.apply(&attend(&q, (k, v))?, None)?)?;

        let normed = norm(&x, &parts.mlp_norm)?;
        let (gate, up) =
            (parts.gate_proj.apply(&normed, None)?, parts.up_proj.apply(&normed, None)?);
        x + parts.down_proj.apply(&swiglu(&gate, &up)?, None)?
    }
}
