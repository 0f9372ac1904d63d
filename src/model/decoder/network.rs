//! The network: differentiable with respect to every parameter, over packed sequences.
//!
//! Cached decoding (`super::cache`) uses the same layers, so there is one definition of the
//! network.

use super::layer::{KeysValues, Layer, Shape};
use super::packed::PackedTokens;
use super::parts::{EMBEDDINGS, HEAD, LAST_NORM};
use super::spec::DecoderSpec;
use super::weight::{LowRank, Weight};
use crate::error::{Error, Result};
use crate::kernels::{Scope, causal_attention, gather_rows};
use crate::model::LoraAdapter;
use crate::weights::{Stored, Weights};
use candle_core::{Device, Tensor};

/// Weights of these names as one, where they are, without gradients.
fn frozen_together(weights: &Weights, names: &[String]) -> Option<Tensor> {
    weights.together(names).map(|whole| whole.detach())
}

/// A network over some weights.
pub struct Decoder {
    spec: DecoderSpec,
    pub(super) embeddings: Tensor, // (vocabulary, hidden)
    pub(super) layers: Vec<Layer>,
    pub(super) shape: Shape,
    pub(super) norm: Weight,
    pub(super) head: Tensor, // (vocabulary, hidden)
}

impl Decoder {
    /// A network whose results are followed by gradients to `weights`.
    pub fn trainable(spec: &DecoderSpec, weights: &Weights) -> Result<Self> {
        let together = |names: &[String]| weights.together(names);
        Self::build(spec, &|name| weights.stored(name), &|_| Ok(None), &together)
    }

    /// A network that shares the memory of `weights`, sees their changes, and keeps no graph: for
    /// sampling, evaluation and reference log-probabilities.
    pub fn frozen(spec: &DecoderSpec, weights: &Weights) -> Result<Self> {
        let get = |name: &str| Ok(weights.stored(name)?.detach());
        Self::build(spec, &get, &|_| Ok(None), &|names| frozen_together(weights, names))
    }

    /// A network without gradients on `device`, with memory of its own where `weights` are
    /// elsewhere.
    pub(in crate::model) fn frozen_on(
        spec: &DecoderSpec,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self> {
        let get = |name: &str| weights.stored(name)?.detach().to_device(device);
        Self::build(spec, &get, &|_| Ok(None), &|_| None)
    }

    /// A network that shares the memory of `weights` and adds an adapter to it. Gradients follow
    /// the adapter where `tracked`, and `weights` never.
    pub fn adapted(
        spec: &DecoderSpec,
        weights: &Weights,
        adapter: &LoraAdapter,
        tracked: bool,
    ) -> Result<Self> {
        let low_rank = |name: &str| adapter.low_rank(name, tracked);
        let get = |name: &str| Ok(weights.stored(name)?.detach());
        Self::build(spec, &get, &low_rank, &|names| frozen_together(weights, names))
    }

    fn build(
        spec: &DecoderSpec,
        get: &dyn Fn(&str) -> Result<Stored>,
        low_rank: &dyn Fn(&str) -> Result<Option<LowRank>>,
        together: &dyn Fn(&[String]) -> Option<Tensor>,
    ) -> Result<Self> {
        let tensor = |name| Ok::<_, Error>(get(name)?.plain()?.clone());
        let embeddings = tensor(EMBEDDINGS)?;
        let head = if spec.tie_word_embeddings { embeddings.clone() } else { tensor(HEAD)? };
        let layer = |index| Layer::build(spec, index, get, low_rank, together);
        let layers = (0..spec.num_hidden_layers).map(layer);
        Ok(Self {
            embeddings,
            layers: layers.collect::<Result<_>>()?,
            shape: Shape::of(spec),
            norm: Weight::of_norm(spec, get(LAST_NORM)?),
            head,
            spec: spec.clone(),
        })
    }

    /// What the network is made of.
    pub fn spec(&self) -> &DecoderSpec {
        &self.spec
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
    pub(super) fn forward_with(
        &self,
        tokens: &PackedTokens,
        mut keep: impl FnMut(KeysValues),
    ) -> Result<Tensor> {
        self.shape.check_positions(&tokens.positions)?;
        let mut x = self.embed(&tokens.ids)?;
        for layer in &self.layers {
            x = layer.forward(&x, &tokens.positions, &self.shape, |q, (k, v), scope| {
                let out = causal_attention(q, &k, &v, &tokens.segments, scope)?;
                keep((k, v));
                Ok(out)
            })?;
        }
        self.finish(&x)
    }

    /// Whether the input embeddings are the head.
    pub(super) fn is_tied(&self) -> bool {
        self.spec.tie_word_embeddings
    }

    /// Fails where a token or a position is beyond what the model has.
    pub(super) fn check(&self, tokens: &PackedTokens) -> Result<()> {
        self.shape.check_positions(&tokens.positions)?;
        self.check_ids(&tokens.ids)
    }

    /// The output of one layer (tokens, hidden) from its input, over whole sequences.
    pub(super) fn layer(&self, index: usize, x: &Tensor, tokens: &PackedTokens) -> Result<Tensor> {
        let attend = |q: &Tensor, (k, v): KeysValues, scope: Scope| {
            causal_attention(q, &k, &v, &tokens.segments, scope)
        };
        Ok(self.layers[index].forward(x, &tokens.positions, &self.shape, attend)?)
    }

    /// Input embeddings (tokens, hidden).
    pub(super) fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        self.check_ids(ids)?;
        let x = gather_rows(&self.embeddings, ids)?;
        match self.spec.embedding_scale() {
            Some(scale) => Ok((x * f64::from(scale))?),
            None => Ok(x),
        }
    }

    pub(super) fn check_ids(&self, ids: &[u32]) -> Result<()> {
        let vocabulary = self.spec.vocab_size;
        match ids.iter().find(|&&id| id as usize >= vocabulary) {
            Some(id) => Err(Error::failed(format!(
                "token {id} is beyond the model's vocabulary of {vocabulary}"
            ))),
            None => Ok(()),
        }
    }

    /// The last norm.
    pub(super) fn finish(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.norm.norm(x, self.spec.rms_norm_eps)?)
    }
}
