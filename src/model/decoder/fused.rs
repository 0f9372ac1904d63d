//! The network on the CPU in `f32`, layer by layer and without a graph: [`crate::kernels`] has a
//! layer's forward and backward pass as one operation each. Only the loss, a function of the
//! tokens' statistics, is differentiated by candle.

use super::layer::{Layer, Shape, Sight};
use super::memory::Kept;
use super::network::Decoder;
use super::packed::PackedTokens;
use super::trace::{Trace, TraceRecords};
use super::weight::{Weight, WeightElements};
use crate::error::{Error, Result};
use crate::kernels::{
    Buffers, LayerParts, LayerShape, LayerWeight, Saved, TokenHead, WeightSums, add_norm_backward,
    fused, norm, scale_elements, token_logprob_entropy, with_slices,
};
use crate::model::ResponseBatch;
use crate::optim::Gradients;
use crate::weights::{Parameter, Weights};
use candle_core::{Device, Tensor, TensorId, Var};
use std::collections::HashMap;
use std::sync::Arc;

/// The weights of all layers.
pub(super) type FusedLayers<'a> = Vec<LayerParts<&'a Weight>>;

/// Sums of gradients, part by part, of what is trained.
pub(in crate::model) struct LayerSums<'a> {
    network: &'a Decoder,
    weights: FusedLayers<'a>,
    embeddings: Option<Vec<f32>>,
    layers: Vec<LayerParts<WeightSums>>,
    norm: Option<Vec<f32>>,
    /// Absent where the embeddings are the head, too.
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
    /// What decoding has left of the batch's parts, one after another.
    Traced(Arc<Vec<TraceRecords>>),
}

impl<'a> LayerSums<'a> {
    /// No gradient yet; `None` where the fused layers do not apply to the network.
    pub(in crate::model) fn new(network: &'a Decoder, buffers: &mut Buffers) -> Option<Self> {
        // What is trained is followed for itself, and not for what it was made of.
        let weights = network.fused_layers(|tensor| tensor.is_variable() || !tensor.track_op())?;
        let mut sums_of =
            |tensor: &Tensor| tensor.is_variable().then(|| buffers.sum(tensor.elem_count()));
        let mut of_weight = |weight: &Weight| {
            let mut sums = weight.followed().map(&mut sums_of);
            let mut next = || sums.next().flatten();
            WeightSums { elements: next(), a: next(), b: next() }
        };
        let layers = weights.iter().map(|layer| layer.as_ref().map(|w| of_weight(w))).collect();
        Some(Self {
            layers,
            norm: of_weight(&network.norm).elements,
            embeddings: sums_of(&network.embeddings),
            head: if network.is_tied() { None } else { sums_of(&network.head) },
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
        let x = network.run_layers(
            &self.weights,
            batch.tokens(),
            buffers,
            |saved, _, _, buffers| {
                layers.push(if recompute {
                    SavedLayer::Input(saved.into_input(buffers))
                } else {
                    SavedLayer::Whole(Box::new(saved))
                });
            },
        )?;

        let selected = network.select(x, batch.predictors(), buffers);
        let mut hidden = buffers.take(selected.len());
        let tokens = batch.response_tokens();
        let statistics = network.head_statistics(&head, &mut hidden, &selected, tokens, buffers)?;
        let leaf = Var::from_tensor(&statistics)?;
        let statistics = leaf.as_tensor().clone();
        Ok((statistics, FusedBackward { layers, selected, hidden, head, leaf }))
    }

    /// What [`Self::forward`] returns, without a forward pass: from the traces of the batch's
    /// responses, which were sampled at `temperature`.
    pub(in crate::model) fn resume(
        &self,
        batch: &ResponseBatch,
        traces: &[&Trace],
        temperature: f64,
        buffers: &mut Buffers,
    ) -> Result<(Tensor, FusedBackward)> {
        let (network, spec) = (self.network, self.network.spec());
        let head = TokenHead::new(batch.targets(), spec.vocab_size, temperature)?;
        let parts = Arc::new(batch.traced_parts(traces));
        let records: Vec<&Kept> = parts.iter().flat_map(|part| part.iter()).collect();
        let statistics: Vec<f32> =
            traces.iter().flat_map(|trace| trace.statistics()).flatten().collect();
        if (records.len(), statistics.len()) != (batch.len(), 2 * batch.response_tokens()) {
            return Err(Error::failed("a trace is not one of the response that it came with"));
        }
        let mut selected = buffers.take(batch.predictors().len() * spec.hidden_size);
        for (row, &token) in selected.chunks_exact_mut(spec.hidden_size).zip(batch.predictors()) {
            row.copy_from_slice(&records[token as usize][spec.last_in_record()]);
        }
        let mut hidden = buffers.take(selected.len());
        network.last_norm(&mut hidden, &selected)?;
        let statistics =
            Tensor::from_vec(statistics, (batch.response_tokens(), 2), network.device())?;
        let leaf = Var::from_tensor(&statistics)?;
        let statistics = leaf.as_tensor().clone();
        let layers = self.weights.iter().map(|_| SavedLayer::Traced(parts.clone())).collect();
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
            let sum = if network.is_tied() { &mut self.embeddings } else { &mut self.head };
            let sum = sum.as_deref_mut();
            head.backward(&mut d_hidden, sum, &hidden, weight, grad, d, buffers);
            Ok(())
        })?;
        let norm = network.norm.elements()?;
        let (weight, sum) = (norm.borrow().elements, self.norm.as_deref_mut());
        add_norm_backward(&mut d_selected, &d_hidden, &selected, weight, sum, eps);

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
        let layers = weights.zip(saved).zip(&mut self.layers).enumerate();
        for (index, (((layer, of), saved), sums)) in layers.rev() {
            let shape = self.network.fused_shape(tokens, &of.sight);
            let elements = elements(layer)?;
            let parts = elements.as_ref().map(WeightElements::borrow);
            let saved = match saved {
                SavedLayer::Whole(saved) => *saved,
                SavedLayer::Input(x) => {
                    let (y, saved) = shape.forward(x, &parts, buffers);
                    buffers.give([y]);
                    saved
                }
                SavedLayer::Traced(parts) => {
                    let spec = self.network.spec();
                    let at = spec.layer_in_record(index);
                    let records: Vec<&[f32]> = parts
                        .iter()
                        .flat_map(|part| part.iter())
                        .map(|record| &record[at.clone()])
                        .collect();
                    spec.record_layout().gather(&records, buffers)
                }
            };
            shape.backward(&mut grad, saved, &parts, sums, buffers);
        }

        if let Some(sum) = &mut self.embeddings {
            let d = self.network.spec().hidden_size;
            if let Some(scale) = self.network.spec().embedding_scale() {
                scale_elements(&mut grad, scale);
            }
            for (row, &id) in grad.chunks_exact(d).zip(&tokens.ids) {
                add_row(&mut sum[id as usize * d..][..d], row);
            }
        }
        buffers.give([grad]);
        Ok(())
    }

    /// The sums as gradients of `weights`, by name.
    pub(in crate::model) fn finish(self, weights: &Weights) -> Result<Gradients> {
        let Self { network, weights: layers, embeddings, layers: sums, norm, head } = self;
        let mut by_id: HashMap<TensorId, Vec<f32>> = HashMap::new();
        let mut add = |tensor: &Tensor, sum: Option<Vec<f32>>| {
            by_id.extend(sum.map(|sum| (tensor.id(), sum)));
        };
        add(&network.embeddings, embeddings);
        add(network.norm.stored.followed(), norm);
        add(&network.head, head);
        for (layer, sums) in layers.into_iter().zip(sums) {
            for (weight, sums) in layer.into_vec().into_iter().zip(sums.into_vec()) {
                let WeightSums { elements, a, b } = sums;
                weight.followed().zip([elements, a, b]).for_each(|(tensor, sum)| add(tensor, sum));
            }
        }

        let tensor = |(name, variable): (&str, &Parameter)| {
            let sum = by_id.remove(&variable.id()).ok_or_else(|| {
                Error::failed(format!("the parameter `{name}` received no gradient"))
            })?;
            Ok((name.to_string(), Tensor::from_vec(sum, variable.shape(), variable.device())?))
        };
        Ok(Gradients::from_sums(weights.variables().map(tensor).collect::<Result<_>>()?))
    }
}

impl Decoder {
    /// The layers' weights, where the fused layers apply: in `f32` on the CPU, and where `accepts`
    /// everything that gradients may follow. A weight in four bits is like a tensor that they do
    /// not follow.
    pub(super) fn fused_layers(
        &self,
        accepts: impl Fn(&Tensor) -> bool,
    ) -> Option<FusedLayers<'_>> {
        let layers: FusedLayers = self.layers.iter().map(Layer::weights).collect();
        let mut weights = layers.iter().flat_map(|layer| layer.clone().into_vec());
        let is_fused = |weight: &Weight| weight.is_fused() && weight.followed().all(&accepts);
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
        let x = self.run_layers(&layers, batch.tokens(), buffers, free)?;
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
        let x = self.run_layers(layers, tokens, &mut Buffers::default(), free)?;
        self.fused_finish(&x)
    }

    /// The last norm of x (tokens, hidden).
    pub(super) fn fused_finish(&self, x: &[f32]) -> Result<Tensor> {
        let d = self.spec().hidden_size;
        let mut hidden = vec![0.0; x.len()];
        self.last_norm(&mut hidden, x)?;
        Ok(Tensor::from_vec(hidden, (x.len() / d, d), &Device::Cpu)?)
    }

    fn last_norm(&self, hidden: &mut [f32], x: &[f32]) -> Result<()> {
        let eps = self.spec().rms_norm_eps as f32;
        norm(hidden, x, self.norm.elements()?.borrow().elements, eps);
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

    /// Runs all layers; returns the input of the last norm (tokens, hidden). What backward needs of
    /// each layer is handed to `keep`, with the layer.
    pub(super) fn run_layers(
        &self,
        layers: &[LayerParts<&Weight>],
        tokens: &PackedTokens,
        buffers: &mut Buffers,
        mut keep: impl FnMut(Saved, &LayerShape, &LayerParts<LayerWeight>, &mut Buffers),
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
            let weights = elements.as_ref().map(WeightElements::borrow);
            let (y, saved) = shape.forward(x, &weights, buffers);
            keep(saved, &shape, &weights, buffers);
            x = y;
        }
        Ok(x)
    }
}

/// Keeps nothing of a layer.
fn free(saved: Saved, _: &LayerShape, _: &LayerParts<LayerWeight>, buffers: &mut Buffers) {
    saved.free(buffers);
}

/// The elements of a layer's weights as they are used, readable.
pub(super) fn elements<'a>(
    layer: &LayerParts<&'a Weight>,
) -> candle_core::Result<LayerParts<WeightElements<'a>>> {
    layer.clone().try_map(Weight::elements)
}

/// sum += row.
fn add_row(sum: &mut [f32], row: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum += value;
    }
}

#[cfg(test)]
mod tests {
    use super::super::DecoderSpec;
    use super::*;
    use crate::experiment::{LoraConfig, ModelSource};
    use crate::model::LoraAdapter;
    use candle_core::DType;

    /// Nothing else says whether a run goes layer by layer: results are the same.
    #[test]
    fn layers_without_a_graph_are_for_f32_with_and_without_an_adapter() {
        let config = DecoderSpec::parse(
            r#"{"model_type": "qwen3", "vocab_size": 48, "hidden_size": 16,
            "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
            "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 16,
            "tie_word_embeddings": true, "eos_token_id": 2}"#,
        )
        .unwrap();
        for (dtype, applies) in [(DType::F32, true), (DType::BF16, false)] {
            let weights = Weights::random(&config, 0.3, 1, dtype, &Device::Cpu).unwrap();
            let source = ModelSource::Local("base".into());
            let lora = LoraConfig::default();
            let adapter = LoraAdapter::new(&lora, source, &config, 2, dtype, &Device::Cpu).unwrap();
            let adapted = |tracked| Decoder::adapted(&config, &weights, &adapter, tracked).unwrap();
            let trainable = [Decoder::trainable(&config, &weights).unwrap(), adapted(true)];
            let frozen = [Decoder::frozen(&config, &weights).unwrap(), adapted(false)];
            for network in &trainable {
                assert_eq!(LayerSums::new(network, &mut Buffers::default()).is_some(), applies);
                assert!(network.fused_layers(|tensor| !tensor.track_op()).is_none());
            }
            for network in &frozen {
                let layers = network.fused_layers(|tensor| !tensor.track_op());
                assert_eq!(layers.is_some(), applies);
            }
        }
    }
}
