//! Gradients of the parameters, summed over batches of responses.
//!
//! On the CPU in `f32` they are computed layer by layer, without a graph ([`LayerSums`]). Any other
//! network goes through candle's graph as a whole.

use super::decoder::{Decoder, FusedBackward, LayerInputs, LayerSums, Trace};
use super::responses::ResponseBatch;
use crate::error::{Error, Result};
use crate::kernels::Buffers;
use crate::optim::Gradients;
use crate::weights::Weights;
use candle_core::Tensor;

/// Bytes of the stack of a thread that goes backward: candle's pass recurses over the graph, whose
/// depth grows with the number of layers.
pub(crate) const BACKWARD_STACK: usize = 256 << 20;

/// A sum of gradients over backward passes.
pub struct GradientSum<'a> {
    network: &'a Decoder,
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

/// A forward pass whose backward pass is still to come.
pub struct ForwardPass {
    batch: ResponseBatch,
    statistics: Tensor,
    saved: ForBackward,
}

/// What the backward pass needs beside the loss's graph.
enum ForBackward {
    /// Nothing: that graph is everything.
    Graph,
    /// Layers that are computed again as graphs.
    LayerGraphs(LayerInputs),
    Layers(FusedBackward),
}

impl ForwardPass {
    /// Log-probability (column 0) and entropy (column 1), nats, of every response token: (response
    /// tokens, 2), differentiable.
    pub fn statistics(&self) -> &Tensor {
        &self.statistics
    }
}

impl<'a> GradientSum<'a> {
    /// No gradient yet. `network` is the trainable one over `weights`. With `recompute` a pass
    /// keeps only the layers' inputs, for another forward pass in backward. Passes work in
    /// `buffers`, which hold memory until they are dropped.
    pub fn new(
        network: &'a Decoder,
        weights: &'a Weights,
        recompute: bool,
        buffers: &'a mut Buffers,
    ) -> Result<Self> {
        let sums = match LayerSums::new(network, buffers) {
            Some(sums) => Sums::Layers(sums),
            None => Sums::Graph(Gradients::zeros(weights)?),
        };
        Ok(Self { network, weights, recompute, sums, buffers })
    }

    /// The forward pass of a batch, at `temperature`.
    pub fn forward(&mut self, batch: ResponseBatch, temperature: f64) -> Result<ForwardPass> {
        let Self { network, recompute, sums, buffers, .. } = self;
        let (statistics, saved) = match sums {
            Sums::Layers(sums) => {
                let (statistics, saved) = sums.forward(&batch, temperature, *recompute, buffers)?;
                (statistics, ForBackward::Layers(saved))
            }
            Sums::Graph(_) if *recompute => {
                let (statistics, layers) =
                    network.response_logprobs_recomputed(&batch, temperature)?;
                (statistics, ForBackward::LayerGraphs(layers))
            }
            Sums::Graph(_) => (network.response_logprobs(&batch, temperature)?, ForBackward::Graph),
        };
        Ok(ForwardPass { batch, statistics, saved })
    }

    /// [`Self::forward`] of responses that have just been sampled, from their traces instead of
    /// another forward pass; `temperature` is that of sampling. A network that goes through candle's
    /// graph has no use for traces.
    pub fn resume(
        &mut self,
        batch: ResponseBatch,
        traces: &[&Trace],
        temperature: f64,
    ) -> Result<ForwardPass> {
        let Sums::Layers(sums) = &self.sums else { return self.forward(batch, temperature) };
        let (statistics, saved) = sums.resume(&batch, traces, temperature, self.buffers)?;
        Ok(ForwardPass { batch, statistics, saved: ForBackward::Layers(saved) })
    }

    /// Adds the gradients of `loss`, a scalar made of the pass's statistics.
    pub fn backward(&mut self, pass: ForwardPass, loss: &Tensor) -> Result<()> {
        let Self { network, weights, sums, buffers, .. } = self;
        match (sums, pass.saved) {
            (Sums::Graph(gradients), ForBackward::Graph) => {
                gradients.accumulate(weights, &loss.backward()?)
            }
            (Sums::Graph(gradients), ForBackward::LayerGraphs(layers)) => {
                network
                    .backward(loss, layers, |store| gradients.accumulate_part(weights, store))?;
                gradients.check_complete()
            }
            (Sums::Layers(sums), ForBackward::Layers(saved)) => {
                sums.backward(&pass.batch, saved, loss, buffers)
            }
            _ => Err(Error::failed("the forward pass belongs to another sum of gradients")),
        }
    }

    /// The sum, by parameter name.
    pub fn finish(self) -> Result<Gradients> {
        match self.sums {
            Sums::Graph(gradients) => Ok(gradients),
            Sums::Layers(sums) => sums.finish(self.weights),
        }
    }
}
