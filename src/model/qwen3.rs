//! Qwen3: grouped-query attention with normalised queries and keys, rotary positions, `SwiGLU` MLP, tied or untied head.
//!
//! The forward pass works on packed sequences and is differentiable with respect to every parameter. Its layers are shared
//! with cached decoding (`super::decoder`), so that there is one definition of the network.

use super::adapter::LoraAdapter;
use super::config::Qwen3Config;
use super::projection::{LowRank, Projection};
use super::rope::rotary;
use crate::error::{Error, Result};
use crate::kernels::{
    LayerParts, LayerShape, Rotary, Segments, causal_attention, fused, gather_rows, rms_norm, rotary_embedding, swiglu,
};
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use std::sync::Arc;

/// A packed batch of token sequences.
#[derive(Clone, Debug)]
pub struct PackedTokens {
    /// Token ids of all sequences, one after another.
    pub ids: Vec<u32>,
    /// Each token's position within its whole sequence.
    pub positions: Arc<[u32]>,
    /// Where each sequence or branch begins, and what it goes on from.
    pub segments: Segments,
}

impl PackedTokens {
    /// Packs whole sequences.
    pub fn new<'a>(sequences: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let (mut ids, mut positions, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for sequence in sequences {
            ids.extend_from_slice(sequence);
            positions.extend(0..sequence.len() as u32);
            lengths.push(sequence.len());
        }
        Self { ids, positions: positions.into(), segments: Segments::from_lengths(lengths) }
    }

    /// Packs sequences and branches of them, each with the number of the part that it goes on from, as [`Segments::branching`].
    pub fn branching<'a>(parts: impl IntoIterator<Item = (&'a [u32], Option<usize>)>) -> Result<Self> {
        let parts: Vec<_> = parts.into_iter().collect();
        let segments = Segments::branching(parts.iter().map(|(ids, parent)| (ids.len(), *parent)))?;
        let positions = |part: &crate::kernels::Segment| {
            let start = part.prefix.len();
            start as u32..(start + part.tokens.len()) as u32
        };
        Ok(Self {
            ids: parts.iter().flat_map(|(ids, _)| ids.iter().copied()).collect(),
            positions: segments.parts().iter().flat_map(positions).collect(),
            segments,
        })
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// Keys and values of one layer's tokens: each (tokens, `kv_heads`, `head_dim`).
pub(super) type KeysValues = (Tensor, Tensor);

/// One decoder layer.
pub(super) struct Layer {
    pub(super) input_norm: Tensor,
    pub(super) q_proj: Projection,
    pub(super) k_proj: Projection,
    pub(super) v_proj: Projection,
    pub(super) q_norm: Tensor,
    pub(super) k_norm: Tensor,
    pub(super) o_proj: Projection,
    pub(super) post_norm: Tensor,
    pub(super) gate_proj: Projection,
    pub(super) up_proj: Projection,
    pub(super) down_proj: Projection,
}

/// What every layer needs to know.
pub(super) struct Shape {
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) eps: f64,
    pub(super) rotary: Rotary,
}

impl Layer {
    /// Whether all of its linear layers are plain products.
    pub(super) fn is_plain(&self) -> bool {
        self.parts().is_some()
    }

    /// The weights, where all linear layers are plain products.
    pub(super) fn parts(&self) -> Option<LayerParts<&Tensor>> {
        Some(LayerParts {
            input_norm: &self.input_norm,
            q_proj: self.q_proj.plain()?,
            k_proj: self.k_proj.plain()?,
            v_proj: self.v_proj.plain()?,
            q_norm: &self.q_norm,
            k_norm: &self.k_norm,
            o_proj: self.o_proj.plain()?,
            post_norm: &self.post_norm,
            gate_proj: self.gate_proj.plain()?,
            up_proj: self.up_proj.plain()?,
            down_proj: self.down_proj.plain()?,
        })
    }

    /// x + attention(x), then + mlp. `attend` turns queries (tokens, heads, `head_dim`) and this layer's new keys and values
    /// into (tokens, heads * `head_dim`).
    pub(super) fn forward(
        &self,
        x: &Tensor, // (tokens, hidden)
        positions: &Arc<[u32]>,
        shape: &Shape,
        attend: impl FnOnce(&Tensor, KeysValues) -> candle_core::Result<Tensor>,
    ) -> candle_core::Result<Tensor> {
        let tokens = x.dim(0)?;
        let normed = rms_norm(x, &self.input_norm, shape.eps)?;
        let project =
            |projection: &Projection, heads: usize| projection.apply(&normed)?.reshape((tokens, heads, shape.head_dim));
        let q = rms_norm(&project(&self.q_proj, shape.heads)?, &self.q_norm, shape.eps)?;
        let k = rms_norm(&project(&self.k_proj, shape.kv_heads)?, &self.k_norm, shape.eps)?;
        let v = project(&self.v_proj, shape.kv_heads)?;
        let q = rotary_embedding(&q, positions, &shape.rotary)?;
        let k = rotary_embedding(&k, positions, &shape.rotary)?;
        let x = (x + self.o_proj.apply(&attend(&q, (k, v))?)?)?;
        let normed = rms_norm(&x, &self.post_norm, shape.eps)?;
        let activated = swiglu(&self.gate_proj.apply(&normed)?, &self.up_proj.apply(&normed)?)?;
        x + self.down_proj.apply(&activated)?
    }
}

/// A Qwen3 network over some weights.
pub struct Qwen3 {
    config: Qwen3Config,
    pub(super) embeddings: Tensor, // (vocabulary, hidden)
    pub(super) layers: Vec<Layer>,
    pub(super) shape: Shape,
    pub(super) norm: Tensor,
    pub(super) head: Tensor, // (vocabulary, hidden)
}

impl Qwen3 {
    /// A network whose results are followed by gradients to `weights`.
    pub fn trainable(config: &Qwen3Config, weights: &Weights) -> Result<Self> {
        Self::build(config, &|name| weights.get(name), &|_| Ok(None))
    }

    /// A network that shares the memory of `weights`, sees their changes, and keeps no graph: for sampling, evaluation and
    /// reference log-probabilities.
    pub fn frozen(config: &Qwen3Config, weights: &Weights) -> Result<Self> {
        Self::build(config, &|name| Ok(weights.get(name)?.detach()), &|_| Ok(None))
    }

    /// A network without gradients on `device`, with memory of its own where `weights` are elsewhere.
    pub(super) fn frozen_on(config: &Qwen3Config, weights: &Weights, device: &Device) -> Result<Self> {
        Self::build(config, &|name| Ok(weights.get(name)?.detach().to_device(device)?), &|_| Ok(None))
    }

    /// A network that shares the memory of `weights` and adds an adapter to it. Gradients follow the adapter where `tracked`, and
    /// `weights` never.
    pub fn adapted(config: &Qwen3Config, weights: &Weights, adapter: &LoraAdapter, tracked: bool) -> Result<Self> {
        let low_rank = |name: &str| adapter.low_rank(name, tracked);
        Self::build(config, &|name| Ok(weights.get(name)?.detach()), &low_rank)
    }

    fn build(
        config: &Qwen3Config,
        get: &dyn Fn(&str) -> Result<Tensor>,
        low_rank: &dyn Fn(&str) -> Result<Option<LowRank>>,
    ) -> Result<Self> {
        let embeddings = get("model.embed_tokens.weight")?;
        let head = if config.tie_word_embeddings { embeddings.clone() } else { get("lm_head.weight")? };
        let layers = (0..config.num_hidden_layers)
            .map(|index| {
                let get = |name: &str| get(&format!("model.layers.{index}.{name}.weight"));
                let projection = |name: &str| {
                    Ok::<_, Error>(Projection::new(get(name)?, low_rank(&format!("model.layers.{index}.{name}"))?))
                };
                Ok(Layer {
                    input_norm: get("input_layernorm")?,
                    q_proj: projection("self_attn.q_proj")?,
                    k_proj: projection("self_attn.k_proj")?,
                    v_proj: projection("self_attn.v_proj")?,
                    q_norm: get("self_attn.q_norm")?,
                    k_norm: get("self_attn.k_norm")?,
                    o_proj: projection("self_attn.o_proj")?,
                    post_norm: get("post_attention_layernorm")?,
                    gate_proj: projection("mlp.gate_proj")?,
                    up_proj: projection("mlp.up_proj")?,
                    down_proj: projection("mlp.down_proj")?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            embeddings,
            layers,
            shape: Shape {
                heads: config.num_attention_heads,
                kv_heads: config.num_key_value_heads,
                head_dim: config.head_dim,
                eps: config.rms_norm_eps,
                rotary: rotary(
                    config.head_dim,
                    config.max_position_embeddings,
                    config.rope_theta,
                    config.rope_scaling.as_ref(),
                ),
            },
            norm: get("model.norm.weight")?,
            head,
            config: config.clone(),
        })
    }

    /// The network's shape.
    pub fn config(&self) -> &Qwen3Config {
        &self.config
    }

    /// The language-model head W (vocabulary, hidden).
    pub fn head(&self) -> &Tensor {
        &self.head
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        self.embeddings.device()
    }

    /// Final hidden states (tokens, hidden), after the last norm, of whole sequences.
    pub fn forward(&self, tokens: &PackedTokens) -> Result<Tensor> {
        if let Some(layers) = self.fused_layers(|weight| !weight.track_op()) {
            return self.fused_forward(&layers, tokens);
        }
        self.forward_with(tokens, |_| {})
    }

    /// [`Self::forward`], handing each layer's keys and values to `keep`.
    pub(super) fn forward_with(&self, tokens: &PackedTokens, mut keep: impl FnMut(KeysValues)) -> Result<Tensor> {
        let mut x = self.embed(&tokens.ids)?;
        for layer in &self.layers {
            x = layer.forward(&x, &tokens.positions, &self.shape, |q, (k, v)| {
                let out = causal_attention(q, &k, &v, &tokens.segments)?;
                keep((k, v));
                Ok(out)
            })?;
        }
        self.finish(&x)
    }

    /// The layers' weights, where the fused layers apply: in `f32` on the CPU, without adapters, and `accepts` every weight.
    pub(super) fn fused_layers(&self, accepts: impl Fn(&Tensor) -> bool) -> Option<Vec<LayerParts<&Tensor>>> {
        let layers: Vec<_> = self.layers.iter().map(Layer::parts).collect::<Option<_>>()?;
        let weights = layers.iter().flat_map(|layer| layer.into_array());
        let mut weights = [&self.embeddings, &self.norm, &self.head].into_iter().chain(weights);
        weights.all(|weight| fused(&[weight]) && accepts(weight)).then_some(layers)
    }

    /// Whether the input embeddings are the head.
    pub(super) fn is_tied(&self) -> bool {
        self.config.tie_word_embeddings
    }

    /// What the layers' fused version needs to know beside the weights.
    pub(super) fn layer_shape<'a>(&'a self, tokens: &'a PackedTokens) -> LayerShape<'a> {
        let Shape { heads, kv_heads, head_dim, eps, rotary } = &self.shape;
        LayerShape {
            hidden: self.config.hidden_size,
            intermediate: self.config.intermediate_size,
            heads: *heads,
            kv_heads: *kv_heads,
            head_dim: *head_dim,
            eps: *eps as f32,
            rotary,
            positions: &tokens.positions,
            segments: &tokens.segments,
        }
    }

    /// Fails where a token or a position is beyond what the model has.
    pub(super) fn check(&self, tokens: &PackedTokens) -> Result<()> {
        self.shape.rotary.check_positions(&tokens.positions)?;
        self.check_ids(&tokens.ids)
    }

    /// The output of one layer (tokens, hidden) from its input, over whole sequences.
    pub(super) fn layer(&self, index: usize, x: &Tensor, tokens: &PackedTokens) -> Result<Tensor> {
        let attend = |q: &Tensor, (k, v): KeysValues| causal_attention(q, &k, &v, &tokens.segments);
        Ok(self.layers[index].forward(x, &tokens.positions, &self.shape, attend)?)
    }

    /// Input embeddings (tokens, hidden).
    pub(super) fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        self.check_ids(ids)?;
        Ok(gather_rows(&self.embeddings, ids)?)
    }

    pub(super) fn check_ids(&self, ids: &[u32]) -> Result<()> {
        let vocabulary = self.config.vocab_size;
        match ids.iter().find(|&&id| id as usize >= vocabulary) {
            Some(id) => Err(Error::failed(format!("token {id} is beyond the model's vocabulary of {vocabulary}"))),
            None => Ok(()),
        }
    }

    /// The last norm.
    pub(super) fn finish(&self, x: &Tensor) -> Result<Tensor> {
        Ok(rms_norm(x, &self.norm, self.config.rms_norm_eps)?)
    }
}
