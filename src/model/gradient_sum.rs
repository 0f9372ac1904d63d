//! Gradients of the parameters, summed over batches of responses.
//!
//! On the CPU in `f32` they are computed layer by layer, without a graph: [`crate::kernels`] has a layer's forward and backward
//! pass as one operation each. Only the loss, a function of the tokens' statistics, is differentiated by candle. Any other
//! network goes through candle's graph as a whole.

use super::qwen3::{PackedTokens, Qwen3};
use super::recompute::LayerInputs;
use super::responses::ResponseBatch;
use crate::error::{Error, Result};
use crate::kernels::{
    Buffers, LayerParts, LayerShape, Saved, TokenHead, add_norm_backward, norm, token_logprob_entropy, with_slices,
};
use crate::optim::Gradients;
use crate::weights::Weights;
use candle_core::{Device, Tensor, TensorId, Var};
use std::collections::HashMap;

/// A sum of gradients over backward passes.
pub struct GradientSum<'a> {
    network: &'a Qwen3,
    weights: &'a Weights,
    /// Whether backward computes what is in the layers again.
    recompute: bool,
    sums: Sums<'a>,
    buffers: &'a mut Buffers,
}

enum Sums<'a> {
    Graph(Gradients),
    Layers(LayerSums<'a>),
}

/// Sums in the order of the network.
struct LayerSums<'a> {
    weights: Vec<LayerParts<&'a Tensor>>,
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
    kept: Kept,
}

/// What the backward pass needs beside the loss's graph.
enum Kept {
    /// Nothing: that graph is everything.
    Graph,
    /// Layers that are computed again as graphs.
    LayerGraphs(LayerInputs),
    Layers(KeptLayers),
}

/// What the backward pass without a graph needs.
struct KeptLayers {
    layers: Vec<KeptLayer>,
    /// Inputs of the last norm that predict response tokens: (response tokens, hidden).
    selected: Vec<f32>,
    /// The same after the norm.
    hidden: Vec<f32>,
    head: TokenHead,
    /// The statistics, where the loss's graph begins.
    leaf: Var,
}

enum KeptLayer {
    Whole(Saved),
    /// (tokens, hidden)
    Input(Vec<f32>),
}

impl ForwardPass {
    /// Log-probability (column 0) and entropy (column 1), nats, of every response token: (response tokens, 2), differentiable.
    pub fn statistics(&self) -> &Tensor {
        &self.statistics
    }
}

impl<'a> GradientSum<'a> {
    /// No gradient yet. `network` is the trainable one over `weights`. With `recompute` a pass keeps only the layers' inputs, for
    /// another forward pass in backward. Passes work in `buffers`, which hold memory until they are dropped.
    pub fn new(network: &'a Qwen3, weights: &'a Weights, recompute: bool, buffers: &'a mut Buffers) -> Result<Self> {
        let sums = if let Some(layers) = network.fused_layers(Tensor::is_variable) {
            let zeros = |tensor: &Tensor| vec![0.0; tensor.elem_count()];
            Sums::Layers(LayerSums {
                embeddings: zeros(&network.embeddings),
                layers: layers.iter().map(|layer| LayerParts::from_array(layer.into_array().map(zeros))).collect(),
                norm: zeros(&network.norm),
                head: (!network.is_tied()).then(|| zeros(&network.head)),
                weights: layers,
            })
        } else {
            Sums::Graph(Gradients::zeros(weights)?)
        };
        Ok(Self { network, weights, recompute, sums, buffers })
    }

    /// The forward pass of a batch, at `temperature`.
    pub fn forward(&mut self, batch: ResponseBatch, temperature: f64) -> Result<ForwardPass> {
        let Self { network, recompute, sums, buffers, .. } = self;
        let weights = match sums {
            Sums::Layers(sums) => &sums.weights,
            Sums::Graph(_) if *recompute => {
                let (statistics, layers) = network.response_logprobs_recomputed(&batch, temperature)?;
                return Ok(ForwardPass { batch, statistics, kept: Kept::LayerGraphs(layers) });
            }
            Sums::Graph(_) => {
                let statistics = network.response_logprobs(&batch, temperature)?;
                return Ok(ForwardPass { batch, statistics, kept: Kept::Graph });
            }
        };
        let head = TokenHead::new(batch.targets(), network.config().vocab_size, temperature)?;
        let mut layers = Vec::with_capacity(weights.len());
        let x = network.run_layers(weights, batch.tokens(), buffers, |saved, buffers| {
            layers.push(if *recompute { KeptLayer::Input(saved.into_input(buffers)) } else { KeptLayer::Whole(saved) });
        })?;
        let selected = network.select(x, batch.predictors(), buffers);
        let mut hidden = buffers.take(selected.len());
        let statistics = network.head_statistics(&head, &mut hidden, &selected, batch.response_tokens(), buffers)?;
        let leaf = Var::from_tensor(&statistics)?;
        let statistics = leaf.as_tensor().clone();
        Ok(ForwardPass { batch, statistics, kept: Kept::Layers(KeptLayers { layers, selected, hidden, head, leaf }) })
    }

    /// Adds the gradients of `loss`, a scalar made of the pass's statistics.
    pub fn backward(&mut self, pass: ForwardPass, loss: &Tensor) -> Result<()> {
        let ForwardPass { batch, kept, .. } = pass;
        let Self { network, weights, sums, buffers, .. } = self;
        match (sums, kept) {
            (Sums::Graph(gradients), Kept::Graph) => gradients.accumulate(weights, &loss.backward()?),
            (Sums::Graph(gradients), Kept::LayerGraphs(layers)) => {
                network.backward(loss, layers, |store| gradients.accumulate_part(weights, store))?;
                gradients.check_complete()
            }
            (Sums::Layers(sums), Kept::Layers(kept)) => {
                let store = loss.backward()?;
                let grad = store
                    .get(&kept.leaf)
                    .ok_or_else(|| Error::failed("the loss does not depend on the policy: there is no gradient"))?;
                network.layers_backward(sums, &batch, kept, grad, buffers)
            }
            _ => Err(Error::failed("the forward pass belongs to another sum of gradients")),
        }
    }

    /// The sum, by parameter name.
    pub fn finish(self) -> Result<Gradients> {
        let LayerSums { weights, embeddings, layers, norm, head } = match self.sums {
            Sums::Graph(gradients) => return Ok(gradients),
            Sums::Layers(sums) => sums,
        };
        let mut by_id: HashMap<TensorId, Vec<f32>> = HashMap::new();
        by_id.insert(self.network.embeddings.id(), embeddings);
        by_id.insert(self.network.norm.id(), norm);
        by_id.extend(head.map(|head| (self.network.head.id(), head)));
        for (layer, sums) in weights.iter().zip(layers) {
            by_id.extend(layer.into_array().map(Tensor::id).into_iter().zip(sums.into_array()));
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
    /// Log-probability (column 0) and entropy (column 1), nats, of every response token at `temperature`, without gradients where the
    /// network is frozen: (response tokens, 2).
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
        let head = TokenHead::new(batch.targets(), self.config().vocab_size, temperature)?;
        let x = self.run_layers(&layers, batch.tokens(), buffers, Saved::free)?;
        let selected = self.select(x, batch.predictors(), buffers);
        let mut hidden = buffers.take(selected.len());
        let statistics = self.head_statistics(&head, &mut hidden, &selected, batch.response_tokens(), buffers);
        buffers.give([selected, hidden]);
        statistics
    }

    /// Final hidden states (tokens, hidden), given the layers' weights.
    pub(super) fn fused_forward(&self, layers: &[LayerParts<&Tensor>], tokens: &PackedTokens) -> Result<Tensor> {
        let x = self.run_layers(layers, tokens, &mut Buffers::default(), Saved::free)?;
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
            head.forward(&mut out, hidden, weight, self.config().hidden_size, buffers);
            Ok(())
        })?;
        Ok(Tensor::from_vec(out, (tokens, 2), &Device::Cpu)?)
    }

    /// Runs all layers; returns the input of the last norm (tokens, hidden) and hands what backward needs to `keep`.
    fn run_layers(
        &self,
        layers: &[LayerParts<&Tensor>],
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
        for layer in layers {
            x = with_slices(layer.into_array(), |parts| {
                let (y, saved) = shape.forward(x, &LayerParts::from_array(parts), buffers);
                keep(saved, buffers);
                Ok(y)
            })?;
        }
        Ok(x)
    }

    fn layers_backward(
        &self,
        sums: &mut LayerSums,
        batch: &ResponseBatch,
        kept: KeptLayers,
        grad: &Tensor,
        buffers: &mut Buffers,
    ) -> Result<()> {
        let KeptLayers { layers, selected, hidden, head, .. } = kept;
        let d = self.config().hidden_size;
        let eps = self.config().rms_norm_eps as f32;
        let tokens = batch.tokens();
        let mut by_hidden = buffers.take(hidden.len());
        let mut by_selected = buffers.zeros(selected.len());
        with_slices([&self.head, &self.norm, grad], |[weight, norm_weight, grad]| {
            let sum = sums.head.as_mut().unwrap_or(&mut sums.embeddings);
            head.backward(&mut by_hidden, Some(sum), &hidden, weight, grad, d, buffers);
            add_norm_backward(&mut by_selected, &by_hidden, &selected, norm_weight, &mut sums.norm, eps);
            Ok(())
        })?;
        let mut grad = buffers.zeros(tokens.len() * d);
        // A prompt's last token predicts the first token of all of its responses.
        for (row, &token) in by_selected.chunks_exact(d).zip(batch.predictors()) {
            add_row(&mut grad[token as usize * d..][..d], row);
        }
        buffers.give([hidden, selected, by_hidden, by_selected]);

        let shape: LayerShape = self.layer_shape(tokens);
        for ((layer, kept), sums) in sums.weights.iter().zip(layers).zip(&mut sums.layers).rev() {
            with_slices(layer.into_array(), |parts| {
                let parts = LayerParts::from_array(parts);
                let saved = match kept {
                    KeptLayer::Whole(saved) => saved,
                    KeptLayer::Input(x) => {
                        let (y, saved) = shape.forward(x, &parts, buffers);
                        buffers.give([y]);
                        saved
                    }
                };
                shape.backward(&mut grad, saved, &parts, sums, buffers);
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
