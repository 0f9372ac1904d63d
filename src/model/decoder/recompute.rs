//! The forward pass of training with layers that are computed again in backward (gradient
//! checkpointing, Chen et al., arXiv 1604.06174): of every layer only its input is kept, so a
//! micro-batch needs the memory of one layer's graph instead of all.
//!
//! Backward goes from the loss to the input of the last norm, then through one layer after another,
//! each as a graph of its own whose output is weighted with the gradient that has come so far.
//! Gradients of parameters are handed over layer by layer.

use super::network::Decoder;
use super::packed::PackedTokens;
use crate::error::{Error, Result};
use crate::kernels::token_logprob_entropy;
use crate::model::ResponseBatch;
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

/// What backward needs of a forward pass.
pub struct LayerInputs {
    tokens: PackedTokens,
    /// The input of every layer (tokens, hidden), without a graph.
    inputs: Vec<Tensor>,
    /// The output of the last layer, where the loss's own graph begins.
    last: Var,
}

impl Decoder {
    /// [`Decoder::response_logprobs`] without keeping what is in the layers; backward is
    /// [`Self::backward`].
    pub fn response_logprobs_recomputed(
        &self,
        batch: &ResponseBatch,
        temperature: f64,
    ) -> Result<(Tensor, LayerInputs)> {
        let tokens = batch.tokens().clone();
        let mut inputs = Vec::with_capacity(self.layers.len());
        let mut x = self.embed(&tokens.ids)?.detach();
        for index in 0..self.layers.len() {
            let y = self.layer(index, &x, &tokens)?.detach();
            inputs.push(std::mem::replace(&mut x, y));
        }
        let last = Var::from_tensor(&x)?;
        let hidden = batch.select(&self.finish(last.as_tensor())?)?;
        let statistics = token_logprob_entropy(&hidden, self.head(), batch.targets(), temperature)?;
        Ok((statistics, LayerInputs { tokens, inputs, last }))
    }

    /// Backward of a loss that was made of the result of [`Self::response_logprobs_recomputed`].
    /// `each` gets the gradients of the head and the last norm, of every layer, and of the
    /// embeddings, one after another; they are to be added up.
    pub fn backward(
        &self,
        loss: &Tensor,
        layers: LayerInputs,
        mut each: impl FnMut(&GradStore) -> Result<()>,
    ) -> Result<()> {
        let LayerInputs { tokens, mut inputs, last } = layers;
        let mut store = loss.backward()?;
        let mut gradient = taken(&mut store, &last)?;
        drop(last);
        each(&store)?;
        drop(store);
        while let Some(input) = inputs.pop() {
            let input = Var::from_tensor(&input)?;
            let output = self.layer(inputs.len(), input.as_tensor(), &tokens)?;
            // Backward begins with ones, so the products need not be added up.
            let mut store = (output * &gradient)?.backward()?;
            gradient = taken(&mut store, &input)?;
            each(&store)?;
        }
        let embedded = self.embed(&tokens.ids)?;
        // Frozen embeddings, under an adapter, have no gradient.
        if embedded.track_op() { each(&(embedded * &gradient)?.backward()?) } else { Ok(()) }
    }
}

fn taken(store: &mut GradStore, input: &Var) -> Result<Tensor> {
    store
        .remove(input.as_tensor())
        .ok_or_else(|| Error::failed("the input of a layer received no gradient"))
}
