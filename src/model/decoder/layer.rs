//! One decoder layer, made of single operations.

use super::joined::Joined;
use super::parts::Role;
use super::rope::rotary;
use super::spec::DecoderSpec;
use super::weight::{LowRank, Weight};
use crate::error::Result;
use crate::kernels::{
    Activation, HeadShaping, Heads, LayerCache, LayerParts, PromptGroups, Rotary, Scope, gated,
    gated_joined, grouped_attention, place_heads, rotary_embedding,
};
use crate::weights::Stored;
use candle_core::Tensor;
use std::sync::Arc;

/// Keys and values of one layer's tokens: each (tokens, `kv_heads`, `head_dim`).
pub(super) type KeysValues = (Tensor, Tensor);

/// What every layer needs to know.
pub(super) struct Shape {
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) eps: f64,
    pub(super) activation: Activation,
    /// Tables of the layers, then those of sliding ones where they have others.
    pub(super) rotaries: Vec<Rotary>,
}

impl Shape {
    pub(super) fn of(spec: &DecoderSpec) -> Self {
        let tables =
            |theta, scaling| rotary(spec.head_dim, spec.max_position_embeddings, theta, scaling);
        let of_sliding = spec.sliding.as_ref().and_then(|sliding| sliding.rope_theta);
        let mut rotaries = vec![tables(spec.rope_theta, spec.rope_scaling.as_ref())];
        rotaries.extend(of_sliding.map(|theta| tables(theta, None)));
        Self {
            heads: spec.num_attention_heads,
            kv_heads: spec.num_key_value_heads,
            head_dim: spec.head_dim,
            eps: spec.rms_norm_eps,
            activation: spec.activation,
            rotaries,
        }
    }

    /// Sizes of heads.
    pub(super) fn sizes(&self) -> Heads {
        Heads { heads: self.heads, kv_heads: self.kv_heads, head_dim: self.head_dim }
    }

    /// Fails where a position is beyond the model's.
    pub(super) fn check_positions(&self, positions: &[u32]) -> candle_core::Result<()> {
        self.rotaries.iter().try_for_each(|rotary| rotary.check_positions(positions))
    }

    /// The tables of a layer, where it rotates.
    pub(super) fn rotary(&self, sight: &Sight) -> Option<&Rotary> {
        sight.rotary.map(|index| &self.rotaries[index])
    }
}

/// What a layer sees, and by which positions.
pub(super) struct Sight {
    pub(super) scope: Scope,
    /// Which of [`Shape::rotaries`]; absent where queries and keys are not rotated.
    pub(super) rotary: Option<usize>,
}

impl Sight {
    /// That of the layer of that number.
    fn of(spec: &DecoderSpec, index: usize) -> Self {
        let sliding = spec.sliding.as_ref().filter(|sliding| sliding.layers.contains(&index));
        let scalar = spec.query_pre_attn_scalar.unwrap_or(spec.head_dim as f64);
        let is_other = sliding.is_some_and(|sliding| sliding.rope_theta.is_some());
        Self {
            scope: Scope { scalar, window: sliding.map(|sliding| sliding.window) },
            rotary: (!spec.unrotated.contains(&index)).then_some(usize::from(is_other)),
        }
    }
}

/// One decoder layer.
pub(super) struct Layer {
    parts: LayerParts<Weight>,
    pub(super) joined: Joined,
    pub(super) sight: Sight,
}

impl Layer {
    /// The layer of that number, over the parameters that `get` finds by name, with what `low_rank`
    /// adds to its linear layers. `together` finds weights of some names as one, where they are.
    pub(super) fn build(
        spec: &DecoderSpec,
        index: usize,
        get: &dyn Fn(&str) -> Result<Stored>,
        low_rank: &dyn Fn(&str) -> Result<Option<LowRank>>,
        together: &dyn Fn(&[String]) -> Option<Tensor>,
    ) -> Result<Self> {
        let names = spec.layer_parts(index);
        let parts = names.clone().try_map(|part| {
            let stored = get(&part.name)?;
            if part.role == Role::Norm {
                return Ok(Weight::of_norm(spec, stored));
            }
            let low_rank = part.module().map(low_rank).transpose()?.flatten();
            Ok::<_, crate::error::Error>(Weight { stored, low_rank, offset: 0.0 })
        })?;
        let joined = Joined::of(&names, &parts, together);
        Ok(Self { parts, joined, sight: Sight::of(spec, index) })
    }

    /// The weights.
    pub(super) fn weights(&self) -> LayerParts<&Weight> {
        self.parts.as_ref()
    }

    /// Whether any of its weights has to be decoded before it is used.
    pub(super) fn is_decoded(&self) -> bool {
        let is_decoded = |weight: &Weight| matches!(weight.stored, Stored::Nf4(_));
        self.weights().into_vec().into_iter().any(is_decoded)
    }

    /// x + attention(x), then + mlp. `attend` turns queries (tokens, heads, `head_dim`) and this
    /// layer's new keys and values into (tokens, heads * `head_dim`).
    pub(super) fn forward(
        &self,
        x: &Tensor, // (tokens, hidden)
        positions: &Arc<[u32]>,
        shape: &Shape,
        attend: impl FnOnce(&Tensor, KeysValues, Scope) -> candle_core::Result<Tensor>,
    ) -> candle_core::Result<Tensor> {
        let (parts, tokens) = (&self.parts, x.dim(0)?);
        let place = |x: Tensor, weight: Option<&Weight>| {
            // Its weight says whether a norm is over a head or over all.
            let is_whole = weight.is_some_and(|w| w.stored.followed().dims() != [shape.head_dim]);
            let x = if is_whole {
                norm(x.flatten_from(1)?, weight, shape)?.reshape(x.shape())?
            } else {
                norm(x, weight, shape)?
            };
            match shape.rotary(&self.sight) {
                Some(rotary) => rotary_embedding(&x, positions, rotary),
                None => Ok(x),
            }
        };
        let attention = |x: &Tensor| {
            let heads = |y: &Tensor, heads| y.reshape((tokens, heads, shape.head_dim));
            let [q, k, v] = self.joined.apart_of_attention(parts, x)?;
            let q = place(heads(&q, shape.heads)?, parts.q_norm.as_ref())?;
            let k = place(heads(&k, shape.kv_heads)?, parts.k_norm.as_ref())?;
            attend(&q, (k, heads(&v, shape.kv_heads)?), self.sight.scope)
        };
        let mlp = |x: &Tensor| {
            let [gate, up] = self.joined.apart_of_mlp(parts, x)?;
            gated(&gate, &up, shape.activation)
        };
        self.around(x, shape, attention, mlp)
    }

    /// [`Self::forward`] of one new token per row, whose keys and values go to the slot `filled` of
    /// the cache; it attends to what `groups` says and the slots up to its own. Products of the
    /// same input are one where their weights stand behind each other.
    pub(super) fn decode(
        &self,
        x: &Tensor, // (rows, hidden)
        positions: &Arc<[u32]>,
        shape: &Shape,
        cache: &LayerCache,
        groups: &PromptGroups,
        filled: usize,
    ) -> candle_core::Result<Tensor> {
        let parts = &self.parts;
        let attention = |x: &Tensor| {
            let qkv = self.joined.attention(parts, x)?;
            let scales = [&parts.q_norm, &parts.k_norm]
                .map(|weight| weight.as_ref().map(|weight| weight.stored.plain()).transpose());
            let [q_norm, k_norm] = scales;
            let shaping = HeadShaping {
                q_norm: q_norm?,
                k_norm: k_norm?,
                eps: shape.eps,
                offset: parts.q_norm.as_ref().map_or(0.0, |weight| weight.offset),
                rotary: shape.rotary(&self.sight),
            };
            let q = place_heads(&qkv, shape.sizes(), &shaping, positions, cache, filled)?;
            grouped_attention(&q, cache, groups, filled + 1, self.sight.scope)
        };
        let mlp = |x: &Tensor| gated_joined(&self.joined.mlp(parts, x)?, shape.activation);
        self.around(x, shape, attention, mlp)
    }

    /// Adds to x what `attention` makes of its norm, then what `mlp` makes of the norm of that, each
    /// after the projection that follows it.
    fn around(
        &self,
        x: &Tensor,
        shape: &Shape,
        attention: impl FnOnce(&Tensor) -> candle_core::Result<Tensor>,
        mlp: impl FnOnce(&Tensor) -> candle_core::Result<Tensor>,
    ) -> candle_core::Result<Tensor> {
        let parts = &self.parts;
        let normed = norm(x.clone(), parts.attention_norm.as_ref(), shape)?;
        let out = parts.o_proj.apply(&attention(&normed)?, None)?;
        let x = (x + norm(out, parts.attention_out_norm.as_ref(), shape)?)?;

        let normed = norm(x.clone(), parts.mlp_norm.as_ref(), shape)?;
        let out = parts.down_proj.apply(&mlp(&normed)?, None)?;
        x + norm(out, parts.mlp_out_norm.as_ref(), shape)?
    }
}

/// The norm of x where there is one.
fn norm(x: Tensor, weight: Option<&Weight>, shape: &Shape) -> candle_core::Result<Tensor> {
    match weight {
        Some(weight) => weight.norm(&x, shape.eps),
        None => Ok(x),
    }
}
