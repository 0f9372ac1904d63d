//! Gradients of the parameters, summed over batches of responses.
//!
//! On the CPU in `f32` they are computed layer by layer, without a graph: [`crate::kernels`] has a layer's forward and backward
//! pass as one operation each. Only the loss, a function of the tokens' statistics, is differentiated by candle. Any other
//! network goes through candle's graph as a whole.

use super::qwen3::{PackedTokens, Qwen3};
use super::responses::ResponseBatch;
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::kernels::{
    Buffers, LayerParts, LayerShape, Saved, TokenHead, add_norm_backward, fused, norm, token_logprob_entropy,
    with_slices,
};
use crate::optim::Gradients;
use candle_core::{Device, Tensor, TensorId, Var};
use std::collections::HashMap;

/// A sum of gradients over backward passes.
pub struct GradientSum<'a> {
    network: &'a Qwen3,
    weights: &'a Weights,
    sums: Sums,
    buffers: Buffers,
}

enum Sums {
    Graph(Gradients),
    Layers(LayerSums),
}

/// Sums in the order of the network.
struct LayerSums {
    embeddings: Vec<f32>,
    layers: Vec<LayerParts<Vec<f32>>>,
    norm: Vec<f32>,
    /// Absent where the embeddings are the head.
    head: Option<Vec<f32>>,
}

/// A forward pass whose backward pass is still to come.
pub struct ForwardPass {
    batch: ResponseBatch,
    statistics: Tensor,
    kept: Option<Kept>,
}

/// What the backward pass without a graph needs.
struct Kept {
    layers: Vec<Saved>,
    /// Inputs of the last norm that predict response tokens: (response tokens, hidden).
    selected: Vec<f32>,
    /// The same after the norm.
    hidden: Vec<f32>,
    head: TokenHead,
    /// Leaf of the loss's graph.
    statistics: Var,
}

impl ForwardPass {
    /// Log-probability (column 0) and entropy (column 1), nats, of every response token: (response tokens, 2), differentiable.
    pub fn statistics(&self) -> &Tensor {
        &self.statistics
    }
}

impl<'a> GradientSum<'a> {
    /// No gradient yet. `network` is the trainable one over `weights`.
    pub fn new(network: &'a Qwen3, weights: &'a Weights) -> Result<Self> {
        let sums = if network.tensors().all(|tensor| fused(&[tensor]) && tensor.is_variable()) {
            let zeros = |tensor: &Tensor| vec![0.0; tensor.elem_count()];
            Sums::Layers(LayerSums {
                embeddings: zeros(&network.embeddings),
                layers: network
                    .layers
                    .iter()
                    .map(|layer| LayerParts::from_array(layer.parts().into_array().map(zeros)))
                    .collect(),
                norm: zeros(&network.norm),
                head: (!network.is_tied()).then(|| zeros(&network.head)),
            })
        } else {
            Sums::Graph(Gradients::zeros(weights)?)
        };
        Ok(Self { network, weights, sums, buffers: Buffers::default() })
    }

    /// The forward pass of a batch, at `temperature`.
    pub fn forward(&mut self, batch: ResponseBatch, temperature: f64) -> Result<ForwardPass> {
        let Self { network, sums, buffers, .. } = self;
        if let Sums::Graph(_) = sums {
            let statistics = network.response_logprobs(&batch, temperature)?;
            return Ok(ForwardPass { batch, statistics, kept: None });
        }
        let head = TokenHead::new(batch.targets(), network.config().vocab_size, temperature)?;
        let mut layers = Vec::with_capacity(network.layers.len());
        let x = network.run_layers(batch.tokens(), buffers, |saved, _| layers.push(saved))?;
        let selected = network.select(x, batch.predictors(), buffers);
        let mut hidden = buffers.take(selected.len());
        let statistics = network.head_statistics(&head, &mut hidden, &selected, batch.response_tokens())?;
        let statistics = Var::from_tensor(&statistics)?;
        let kept = Kept { layers, selected, hidden, head, statistics };
        Ok(ForwardPass { batch, statistics: kept.statistics.as_tensor().clone(), kept: Some(kept) })
    }

    /// Adds the gradients of `loss`, a scalar made of the pass's statistics.
    pub fn backward(&mut self, pass: ForwardPass, loss: &Tensor) -> Result<()> {
        let ForwardPass { batch, kept, .. } = pass;
        let Self { network, weights, sums, buffers } = self;
        match (sums, kept) {
            (Sums::Graph(gradients), _) => gradients.accumulate(weights, &loss.backward()?),
            (Sums::Layers(sums), Some(kept)) => {
                let store = loss.backward()?;
                let grad = store
                    .get(&kept.statistics)
                    .ok_or_else(|| Error::failed("the loss does not depend on the policy: there is no gradient"))?;
                network.backward(sums, &batch, kept, grad, buffers)
            }
            (Sums::Layers(_), None) => Err(Error::failed("the forward pass belongs to another sum of gradients")),
        }
    }

    /// Log-probabilities and entropies under another network, without gradients, with the same buffers.
    pub fn statistics_under(&mut self, network: &Qwen3, batch: &ResponseBatch, temperature: f64) -> Result<Tensor> {
        network.statistics(batch, temperature, &mut self.buffers)
    }

    /// The sum, by parameter name.
    pub fn finish(self) -> Result<Gradients> {
        let LayerSums { embeddings, layers, norm, head } = match self.sums {
            Sums::Graph(gradients) => return Ok(gradients),
            Sums::Layers(sums) => sums,
        };
        let mut by_id: HashMap<TensorId, Vec<f32>> = HashMap::new();
        by_id.insert(self.network.embeddings.id(), embeddings);
        by_id.insert(self.network.norm.id(), norm);
        by_id.extend(head.map(|head| (self.network.head.id(), head)));
        for (layer, sums) in self.network.layers.iter().zip(layers) {
            by_id.extend(layer.parts().into_array().map(Tensor::id).into_iter().zip(sums.into_array()));
        }
        let tensor = |(name, variable): (&str, &Var)| {
            let sum = by_id
                .remove(&variable.id())
                .ok_or_else(|| Error::failed(format!("the parameter `{name}` received no gradient")))?;
            Ok((name.to_string(), Tensor::from_vec(sum, variable.shape(), variable.device())?))
        };
        Ok(Gradients::from_sums(self.weights.variables().map(tensor).collect::<Result<_>>()?))
    }
}

impl Qwen3 {
    /// Whether the network's values can be had without a graph: on the CPU, in `f32`, and not followed by gradients.
    pub(super) fn is_plain(&self) -> bool {
        self.tensors().all(|tensor| fused(&[tensor]) && !tensor.track_op())
    }

    /// Log-probability and entropy of every response token, without gradients where the network is frozen: (response tokens, 2).
    fn statistics(&self, batch: &ResponseBatch, temperature: f64, buffers: &mut Buffers) -> Result<Tensor> {
        if !self.is_plain() {
            let hidden = self.response_hidden(batch)?;
            return Ok(token_logprob_entropy(&hidden, self.head(), batch.targets(), temperature)?);
        }
        let head = TokenHead::new(batch.targets(), self.config().vocab_size, temperature)?;
        let x = self.run_layers(batch.tokens(), buffers, Saved::free)?;
        let selected = self.select(x, batch.predictors(), buffers);
        let mut hidden = buffers.take(selected.len());
        let statistics = self.head_statistics(&head, &mut hidden, &selected, batch.response_tokens());
        buffers.give([selected, hidden]);
        statistics
    }

    /// Final hidden states (tokens, hidden) of a plain network.
    pub(super) fn plain_forward(&self, tokens: &PackedTokens) -> Result<Tensor> {
        let x = self.run_layers(tokens, &mut Buffers::default(), Saved::free)?;
        let mut hidden = vec![0.0; x.len()];
        self.last_norm(&mut hidden, &x)?;
        Ok(Tensor::from_vec(hidden, (tokens.len(), self.config().hidden_size), &Device::Cpu)?)
    }

    fn last_norm(&self, hidden: &mut [f32], x: &[f32]) -> Result<()> {
        let eps = self.config().rms_norm_eps as f32;
        Ok(with_slices([&self.norm], |[weight]| {
            norm(hidden, x, weight, eps);
            Ok(())
        })?)
    }

    /// The rows of x (tokens, hidden) that `predictors` names.
    fn select(&self, x: Vec<f32>, predictors: &[u32], buffers: &mut Buffers) -> Vec<f32> {
        let d = self.config().hidden_size;
        let mut selected = buffers.take(predictors.len() * d);
        for (row, &token) in selected.chunks_exact_mut(d).zip(predictors) {
            row.copy_from_slice(&x[token as usize * d..][..d]);
        }
        buffers.give([x]);
        selected
    }

    /// Writes the last norm of `selected` to `hidden`; returns the head's statistics (tokens, 2).
    fn head_statistics(&self, head: &TokenHead, hidden: &mut [f32], selected: &[f32], tokens: usize) -> Result<Tensor> {
        self.last_norm(hidden, selected)?;
        let mut out = vec![0.0; tokens * 2];
        with_slices([&self.head], |[weight]| {
            head.forward(&mut out, hidden, weight, self.config().hidden_size);
            Ok(())
        })?;
        Ok(Tensor::from_vec(out, (tokens, 2), &Device::Cpu)?)
    }

    /// Runs all layers; returns the input of the last norm (tokens, hidden) and hands what backward needs to `keep`.
    fn run_layers(
        &self,
        tokens: &PackedTokens,
        buffers: &mut Buffers,
        mut keep: impl FnMut(Saved, &mut Buffers),
    ) -> Result<Vec<f32>> {
        self.check(tokens)?;
        let shape = self.layer_shape(tokens);
        let d = self.config().hidden_size;
        let mut x = buffers.take(tokens.len() * d);
        with_slices([&self.embeddings], |[table]| {
            for (row, &id) in x.chunks_exact_mut(d).zip(&tokens.ids) {
                row.copy_from_slice(&table[id as usize * d..][..d]);
            }
            Ok(())
        })?;
        for layer in &self.layers {
            x = with_slices(layer.parts().into_array(), |parts| {
                let (y, saved) = shape.forward(x, &LayerParts::from_array(parts), buffers);
                keep(saved, buffers);
                Ok(y)
            })?;
        }
        Ok(x)
    }

    fn backward(
        &self,
        sums: &mut LayerSums,
        batch: &ResponseBatch,
        kept: Kept,
        grad: &Tensor,
        buffers: &mut Buffers,
    ) -> Result<()> {
        let Kept { layers, selected, hidden, head, .. } = kept;
        let d = self.config().hidden_size;
        let eps = self.config().rms_norm_eps as f32;
        let tokens = batch.tokens();
        let mut by_hidden = buffers.take(hidden.len());
        let mut by_selected = buffers.take(selected.len());
        by_selected.fill(0.0);
        with_slices([&self.head, &self.norm, grad], |[weight, norm_weight, grad]| {
            let sum = sums.head.as_mut().unwrap_or(&mut sums.embeddings);
            head.backward(&mut by_hidden, Some(sum), &hidden, weight, grad, d);
            add_norm_backward(&mut by_selected, &by_hidden, &selected, norm_weight, &mut sums.norm, eps);
            Ok(())
        })?;
        let mut grad = buffers.take(tokens.len() * d);
        grad.fill(0.0);
        // A prompt's last token predicts the first token of all of its responses.
        for (row, &token) in by_selected.chunks_exact(d).zip(batch.predictors()) {
            add_row(&mut grad[token as usize * d..][..d], row);
        }
        buffers.give([hidden, selected, by_hidden, by_selected]);

        let shape: LayerShape = self.layer_shape(tokens);
        for ((layer, saved), sums) in self.layers.iter().zip(layers).zip(&mut sums.layers).rev() {
            with_slices(layer.parts().into_array(), |parts| {
                shape.backward(&mut grad, saved, &LayerParts::from_array(parts), sums, buffers);
                Ok(())
            })?;
        }
        for (row, &id) in grad.chunks_exact(d).zip(&tokens.ids) {
            add_row(&mut sums.embeddings[id as usize * d..][..d], row);
        }
        buffers.give([grad]);
        Ok(())
    }
}

/// sum += row.
fn add_row(sum: &mut [f32], row: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum += value;
    }
}
