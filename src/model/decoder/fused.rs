//! The network on the CPU in `f32`, layer by layer and without a graph: [`crate::kernels`] has a
//! layer's forward and backward pass as one operation each. Only the loss, a function of the
//! tokens' statistics, is differentiated by candle.

use super::layer::{Layer, Shape, Sight, Weight};
use super::network::Decoder;
use super::packed::PackedTokens;
use crate::error::{Error, Result};
use crate::kernels::{
    Buffers, Elements, LayerParts, LayerShape, Saved, TokenHead, add_norm_backward, fused, norm,
    token_logprob_entropy, with_slices,
};
use crate::model::ResponseBatch;
use crate::optim::Gradients;
use crate::weights::Weights;
use candle_core::{Device, Tensor, TensorId, Var};
use std::collections::HashMap;

/// The weights of all layers.
pub(super) type FusedLayers<'a> = Vec<LayerParts<&'a Weight>>;

/// Sums of gradients, part by part.
pub(in crate::model) struct LayerSums<'a> {
    network: &'a Decoder,
    weights: FusedLayers<'a>,
    embeddings: Vec<f32>,
    layers: Vec<LayerParts<Vec<f32>>>,
    norm: Vec<f32>,
    /// Absent where the embeddings are the head.
    head: Option<Vec<f32>>,
}

/// What the backward pass needs.
pub(in crate::model) struct FusedBackward {
    layers: Vec<SavedLayer>,
    /// Inputs of the last norm that predict response tokens: (response tokens, hidden).
    selected: Vec<f32>,
    /// The same after the norm.
    hidden: Vec<f32>,
    head: TokenHead,
    /// The statistics, where the loss's graph begins.
    leaf: Var,
}

enum SavedLayer {
    Whole(Box<Saved>),
    /// The layer's input (tokens, hidden), from which backward computes the rest again.
    Input(Vec<f32>),
}

impl<'a> LayerSums<'a> {
    /// No gradient yet; `None` where the fused layers do not apply to the network.
    pub(in crate::model) fn new(network: &'a Decoder) -> Option<Self> {
        let weights = network.fused_layers(Tensor::is_variable)?;
        let zeros = |tensor: &Tensor| vec![0.0; tensor.elem_count()];
        Some(Self {
            embeddings: zeros(&network.embeddings),
            layers: weights
                .iter()
                .map(|layer| layer.as_ref().map(|weight| zeros(weight.stored.followed())))
                .collect(),
            norm: zeros(network.norm.stored.followed()),
            head: (!network.is_tied()).then(|| zeros(&network.head)),
            network,
            weights,
        })
    }

    /// The statistics of a batch (response tokens, 2), differentiable, and what backward needs.
    /// With `recompute` that is little more than the layers' inputs.
    pub(in crate::model) fn forward(
        &self,
        batch: &ResponseBatch,
        temperature: f64,
        recompute: bool,
        buffers: &mut Buffers,
    ) -> Result<(Tensor, FusedBackward)> {
        let network = self.network;
        let head = TokenHead::new(batch.targets(), network.spec().vocab_size, temperature)?;
        let mut layers = Vec::with_capacity(self.weights.len());
        let x = network.run_layers(&self.weights, batch.tokens(), buffers, |saved, buffers| {
            layers.push(if recompute {
                SavedLayer::Input(saved.into_input(buffers))
            } else {
                SavedLayer::Whole(Box::new(saved))
            });
        })?;

        let selected = network.select(x, batch.predictors(), buffers);
        let mut hidden = buffers.take(selected.len());
        let tokens = batch.response_tokens();
        let statistics = network.head_statistics(&head, &mut hidden, &selected, tokens, buffers)?;
        let leaf = Var::from_tensor(&statistics)?;
        let statistics = leaf.as_tensor().clone();
        Ok((statistics, FusedBackward { layers, selected, hidden, head, leaf }))
    }

    /// Adds the gradients of `loss`, a scalar made of the statistics.
    pub(in crate::model) fn backward(
        &mut self,
        batch: &ResponseBatch,
        saved: FusedBackward,
        loss: &Tensor,
        buffers: &mut Buffers,
    ) -> Result<()> {
        let store = loss.backward()?;
        let d_statistics = store.get(&saved.leaf).ok_or_else(|| {
            Error::failed("the loss does not depend on the policy: there is no gradient")
        })?;
        let FusedBackward { layers, selected, hidden, head, .. } = saved;
        let grad = self.head_backward(batch, selected, hidden, &head, d_statistics, buffers)?;
        self.layers_backward(batch.tokens(), layers, grad, buffers)
    }

    /// Adds the gradients of the head and of the last norm; returns the one with respect to the
    /// last layer's output (tokens, hidden).
    fn head_backward(
        &mut self,
        batch: &ResponseBatch,
        selected: Vec<f32>,
        hidden: Vec<f32>,
        head: &TokenHead,
        d_statistics: &Tensor,
        buffers: &mut Buffers,
    ) -> Result<Vec<f32>> {
        let network = self.network;
        let (d, eps) = (network.spec().hidden_size, network.spec().rms_norm_eps as f32);
        let mut d_hidden = buffers.take(hidden.len());
        let mut d_selected = buffers.zeros(selected.len());
        with_slices([&network.head, d_statistics], |[weight, grad]| {
            let sum = self.head.as_mut().unwrap_or(&mut self.embeddings);
            head.backward(&mut d_hidden, Some(sum), &hidden, weight, grad, d, buffers);
            Ok(())
        })?;
        let weight = network.norm.elements()?;
        add_norm_backward(&mut d_selected, &d_hidden, &selected, &weight, &mut self.norm, eps);

        let mut grad = buffers.zeros(batch.tokens().len() * d);
        // A prompt's last token predicts the first token of all of its responses.
        for (row, &token) in d_selected.chunks_exact(d).zip(batch.predictors()) {
            add_row(&mut grad[token as usize * d..][..d], row);
        }
        buffers.give([hidden, selected, d_hidden, d_selected]);
        Ok(grad)
    }

    /// Adds the gradients of the layers, the last one first, and of the embeddings.
    fn layers_backward(
        &mut self,
        tokens: &PackedTokens,
        saved: Vec<SavedLayer>,
        mut grad: Vec<f32>,
        buffers: &mut Buffers,
    ) -> Result<()> {
        let weights = self.weights.iter().zip(&self.network.layers);
        for (((layer, of), saved), sums) in weights.zip(saved).zip(&mut self.layers).rev() {
            let shape = self.network.fused_shape(tokens, &of.sight);
            let elements = elements(layer)?;
            let parts = elements.as_ref().map(|part| &**part);
            let saved = match saved {
                SavedLayer::Whole(saved) => *saved,
                SavedLayer::Input(x) => {
                    let (y, saved) = shape.forward(x, &parts, buffers);
                    buffers.give([y]);
                    saved
                }
            };
            shape.backward(&mut grad, saved, &parts, sums, buffers);
        }

        let d = self.network.spec().hidden_size;
        if let Some(scale) = self.network.spec().embedding_scale() {
            scale_elements(&mut grad, scale);
        }
        for (row, &id) in grad.chunks_exact(d).zip(&tokens.ids) {
            add_row(&mut self.embeddings[id as usize * d..][..d], row);
        }
        buffers.give([grad]);
        Ok(())
    }

    /// The sums as gradients of `weights`, by name.
    pub(in crate::model) fn finish(self, weights: &Weights) -> Result<Gradients> {
        let Self { network, weights: layers, embeddings, layers: sums, norm, head } = self;
        let mut by_id: HashMap<TensorId, Vec<f32>> = HashMap::new();
        by_id.insert(network.embeddings.id(), embeddings);
        by_id.insert(network.norm.stored.followed().id(), norm);
        by_id.extend(head.map(|head| (network.head.id(), head)));
        for (layer, sums) in layers.into_iter().zip(sums) {
            let ids = layer.map(|weight| weight.stored.followed().id());
            by_id.extend(ids.into_vec().into_iter().zip(sums.into_vec()));
        }

        let tensor = |(name, variable): (&str, &Var)| {
            let sum = by_id.remove(&variable.id()).ok_or_else(|| {
                Error::failed(format!("the parameter `{name}` received no gradient"))
            })?;
            Ok((name.to_string(), Tensor::from_vec(sum, variable.shape(), variable.device())?))
        };
        Ok(Gradients::from_sums(weights.variables().map(tensor).collect::<Result<_>>()?))
    }
}

impl Decoder {
    /// The layers' weights, where the fused layers apply: in `f32` on the CPU, without adapters,
    /// and where `accepts` every weight. One in four bits is like a tensor that is not followed.
    pub(super) fn fused_layers(
        &self,
        accepts: impl Fn(&Tensor) -> bool,
    ) -> Option<FusedLayers<'_>> {
        let layers: FusedLayers = self.layers.iter().map(Layer::plain).collect::<Option<_>>()?;
        let mut weights = layers.iter().flat_map(|layer| layer.clone().into_vec());
        let is_fused =
            |weight: &Weight| weight.stored.is_fused() && accepts(weight.stored.followed());
        let mut tables = [&self.embeddings, &self.head].into_iter();
        let are_fused = tables.all(|tensor| fused(&[tensor]) && accepts(tensor))
            && is_fused(&self.norm)
            && weights.all(is_fused);
        are_fused.then_some(layers)
    }

    /// What a layer needs to know beside its weights.
    fn fused_shape<'a>(&'a self, tokens: &'a PackedTokens, sight: &Sight) -> LayerShape<'a> {
        let Shape { heads, kv_heads, head_dim, eps, activation, .. } = &self.shape;
        LayerShape {
            hidden: self.spec().hidden_size,
            intermediate: self.spec().intermediate_size,
            heads: *heads,
            kv_heads: *kv_heads,
            head_dim: *head_dim,
            eps: *eps as f32,
            activation: *activation,
            rotary: self.shape.rotary(sight),
            scope: sight.scope,
            positions: &tokens.positions,
            segments: &tokens.segments,
        }
    }

    /// Log-probability (column 0) and entropy (column 1), nats, of every response token at
    /// `temperature`, without gradients where the network is frozen: (response tokens, 2).
    pub(crate) fn response_statistics(
        &self,
        batch: &ResponseBatch,
        temperature: f64,
        buffers: &mut Buffers,
    ) -> Result<Tensor> {
        let Some(layers) = self.fused_layers(|weight| !weight.track_op()) else {
            let hidden = self.response_hidden(batch)?;
            return Ok(token_logprob_entropy(&hidden, self.head(), batch.targets(), temperature)?);
        };
        let head = TokenHead::new(batch.targets(), self.spec().vocab_size, temperature)?;
        let x = self.run_layers(&layers, batch.tokens(), buffers, Saved::free)?;
        let selected = self.select(x, batch.predictors(), buffers);
        let mut hidden = buffers.take(selected.len());
        let statistics =
            self.head_statistics(&head, &mut hidden, &selected, batch.response_tokens(), buffers);
        buffers.give([selected, hidden]);
        statistics
    }

    /// Final hidden states (tokens, hidden), given the layers' weights.
    pub(super) fn fused_forward(
        &self,
        layers: &[LayerParts<&Weight>],
        tokens: &PackedTokens,
    ) -> Result<Tensor> {
        let x = self.run_layers(layers, tokens, &mut Buffers::default(), Saved::free)?;
        let mut hidden = vec![0.0; x.len()];
        self.last_norm(&mut hidden, &x)?;
        Ok(Tensor::from_vec(hidden, (tokens.len(), self.spec().hidden_size), &Device::Cpu)?)
    }

    fn last_norm(&self, hidden: &mut [f32], x: &[f32]) -> Result<()> {
        let eps = self.spec().rms_norm_eps as f32;
        norm(hidden, x, &self.norm.elements()?, eps);
        Ok(())
    }

    /// The rows of x (tokens, hidden) that `predictors` names.
    fn select(&self, x: Vec<f32>, predictors: &[u32], buffers: &mut Buffers) -> Vec<f32> {
        let d = self.spec().hidden_size;
        let mut selected = buffers.take(predictors.len() * d);
        for (row, &token) in selected.chunks_exact_mut(d).zip(predictors) {
            row.copy_from_slice(&x[token as usize * d..][..d]);
        }
        buffers.give([x]);
        selected
    }

    /// Writes the last norm of `selected` to `hidden`; returns the head's statistics (tokens, 2).
    fn head_statistics(
        &self,
        head: &TokenHead,
        hidden: &mut [f32],
        selected: &[f32],
        tokens: usize,
        buffers: &mut Buffers,
    ) -> Result<Tensor> {
        self.last_norm(hidden, selected)?;
        let mut out = vec![0.0; tokens * 2];
        with_slices([&self.head], |[weight]| {
            head.forward(&mut out, hidden, weight, self.spec().hidden_size, buffers);
            Ok(())
        })?;
        Ok(Tensor::from_vec(out, (tokens, 2), &Device::Cpu)?)
    }

    /// Runs all layers; returns the input of the last norm (tokens, hidden) and hands what backward
    /// needs to `keep`.
    fn run_layers(
        &self,
        layers: &[LayerParts<&Weight>],
        tokens: &PackedTokens,
        buffers: &mut Buffers,
        mut keep: impl FnMut(Saved, &mut Buffers),
    ) -> Result<Vec<f32>> {
        self.check(tokens)?;
        let d = self.spec().hidden_size;
        let mut x = buffers.take(tokens.len() * d);
        with_slices([&self.embeddings], |[table]| {
            for (row, &id) in x.chunks_exact_mut(d).zip(&tokens.ids) {
                row.copy_from_slice(&table[id as usize * d..][..d]);
            }
            Ok(())
        })?;
        if let Some(scale) = self.spec().embedding_scale() {
            scale_elements(&mut x, scale);
        }
        for (layer, of) in layers.iter().zip(&self.layers) {
            let (shape, elements) = (self.fused_shape(tokens, &of.sight), elements(layer)?);
            let (y, saved) = shape.forward(x, &elements.as_ref().map(|part| &**part), buffers);
            keep(saved, buffers);
            x = y;
        }
        Ok(x)
    }
}

/// The elements of a layer's weights as they are used, readable.
pub(super) fn elements<'a>(
    layer: &LayerParts<&'a Weight>,
) -> candle_core::Result<LayerParts<Elements<'a>>> {
    layer.clone().try_map(Weight::elements)
}

/// x *= scale.
pub(super) fn scale_elements(x: &mut [f32], scale: f32) {
    for x in x {
        *x *= scale;
    }
}

/// sum += row.
fn add_row(sum: &mut [f32], row: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum += value;
    }
}
