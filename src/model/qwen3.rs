//! Qwen3: grouped-query attention with normalised queries and keys, rotary positions, `SwiGLU` MLP, tied or untied head.
//!
//! The forward pass works on packed sequences and is differentiable with respect to every parameter. Its layers are shared
//! with cached decoding (`super::decoder`), so that there is one definition of the network.

use super::config::Qwen3Config;
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::kernels::{Rotary, Segments, causal_attention, gather_rows, linear, rms_norm, rotary_embedding, swiglu};
use candle_core::{Device, Tensor};
use std::sync::Arc;

/// A packed batch of token sequences.
#[derive(Clone, Debug)]
pub struct PackedTokens {
    /// Token ids of all sequences, one after another.
    pub ids: Vec<u32>,
    /// Each token's position within its sequence.
    pub positions: Arc<[u32]>,
    /// Where each sequence begins.
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
    input_norm: Tensor,
    q_proj: Tensor,
    k_proj: Tensor,
    v_proj: Tensor,
    q_norm: Tensor,
    k_norm: Tensor,
    o_proj: Tensor,
    post_norm: Tensor,
    gate_proj: Tensor,
    up_proj: Tensor,
    down_proj: Tensor,
}

/// What every layer needs to know.
pub(super) struct Shape {
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    eps: f64,
    rotary: Rotary,
}

impl Layer {
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
        let project = |weight: &Tensor, heads: usize| linear(&normed, weight)?.reshape((tokens, heads, shape.head_dim));
        let q = rms_norm(&project(&self.q_proj, shape.heads)?, &self.q_norm, shape.eps)?;
        let k = rms_norm(&project(&self.k_proj, shape.kv_heads)?, &self.k_norm, shape.eps)?;
        let v = project(&self.v_proj, shape.kv_heads)?;
        let q = rotary_embedding(&q, positions, &shape.rotary)?;
        let k = rotary_embedding(&k, positions, &shape.rotary)?;
        let x = (x + linear(&attend(&q, (k, v))?, &self.o_proj)?)?;
        let normed = rms_norm(&x, &self.post_norm, shape.eps)?;
        let activated = swiglu(&linear(&normed, &self.gate_proj)?, &linear(&normed, &self.up_proj)?)?;
        x + linear(&activated, &self.down_proj)?
    }
}

/// A Qwen3 network over some weights.
pub struct Qwen3 {
    config: Qwen3Config,
    embeddings: Tensor, // (vocabulary, hidden)
    pub(super) layers: Vec<Layer>,
    pub(super) shape: Shape,
    norm: Tensor,
    head: Tensor, // (vocabulary, hidden)
}

impl Qwen3 {
    /// A network whose results are followed by gradients to `weights`.
    pub fn trainable(config: &Qwen3Config, weights: &Weights) -> Result<Self> {
        Self::build(config, &|name| weights.get(name))
    }

    /// A network that shares the memory of `weights`, sees their changes, and keeps no graph: for sampling, evaluation and
    /// reference log-probabilities.
    pub fn frozen(config: &Qwen3Config, weights: &Weights) -> Result<Self> {
        Self::build(config, &|name| Ok(weights.get(name)?.detach()))
    }

    fn build(config: &Qwen3Config, get: &dyn Fn(&str) -> Result<Tensor>) -> Result<Self> {
        let embeddings = get("model.embed_tokens.weight")?;
        let head = if config.tie_word_embeddings { embeddings.clone() } else { get("lm_head.weight")? };
        let layers = (0..config.num_hidden_layers)
            .map(|index| {
                let get = |name: &str| get(&format!("model.layers.{index}.{name}.weight"));
                Ok(Layer {
                    input_norm: get("input_layernorm")?,
                    q_proj: get("self_attn.q_proj")?,
                    k_proj: get("self_attn.k_proj")?,
                    v_proj: get("self_attn.v_proj")?,
                    q_norm: get("self_attn.q_norm")?,
                    k_norm: get("self_attn.k_norm")?,
                    o_proj: get("self_attn.o_proj")?,
                    post_norm: get("post_attention_layernorm")?,
                    gate_proj: get("mlp.gate_proj")?,
                    up_proj: get("mlp.up_proj")?,
                    down_proj: get("mlp.down_proj")?,
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
                rotary: Rotary::new(config.head_dim, config.max_position_embeddings, config.rope_theta),
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

    /// Input embeddings (tokens, hidden).
    pub(super) fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.config.vocab_size) {
            return Err(Error::failed(format!(
                "token {id} is beyond the model's vocabulary of {}",
                self.config.vocab_size
            )));
        }
        Ok(gather_rows(&self.embeddings, ids)?)
    }

    /// The last norm.
    pub(super) fn finish(&self, x: &Tensor) -> Result<Tensor> {
        Ok(rms_norm(x, &self.norm, self.config.rms_norm_eps)?)
    }
}
