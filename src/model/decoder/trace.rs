//! What decoding has made of every token, kept for the update of the same step: backward can begin
//! without another forward pass.
//!
//! Between sampling and the first optimizer step the weights are the same, and so are all values
//! within the layers. Programs whose sampler and trainer are apart compute them twice.

use super::memory::{Kept, SamplingMemory};
use super::spec::DecoderSpec;
use crate::kernels::RecordLayout;
use std::ops::Range;
use std::sync::Arc;

/// Which completions are to be traced, and the memory of sampling.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) struct Tracing<'a> {
    /// Of how many of the prompts, from the first on.
    pub prompts: usize,
    /// Where keys, values and traces are.
    pub memory: &'a SamplingMemory,
}

/// Of each token of a prompt or a completion what the forward pass made of it: a [`RecordLayout`]
/// of every layer, then the input of the last norm.
pub(in crate::model) type TraceRecords = Arc<Vec<Kept>>;

/// What the forward pass made of a prompt and of a completion's tokens but the last one, which
/// nothing was computed of, and what was drawn.
#[derive(Clone, Debug)]
pub struct Trace {
    pub(in crate::model) prompt: TraceRecords,
    pub(in crate::model) completion: TraceRecords,
    pub(in crate::model) drawn: Arc<Drawn>,
}

/// The tokens of a prompt and of its completion, with the log-probability of each of the latter and
/// the entropy of the distribution that it was drawn from, nats.
#[derive(Debug)]
pub(in crate::model) struct Drawn {
    pub prompt: Vec<u32>,
    pub ids: Vec<u32>,
    pub logprobs: Vec<f32>,
    pub entropies: Vec<f32>,
}

impl Trace {
    /// Whether it is one of this prompt and this response.
    pub fn is_of(&self, prompt: &[u32], response: &[u32]) -> bool {
        self.drawn.prompt == prompt && self.drawn.ids == response
    }

    /// Log-probability and entropy, nats, of each token of the response.
    pub(super) fn statistics(&self) -> impl Iterator<Item = [f32; 2]> {
        let Drawn { logprobs, entropies, .. } = &*self.drawn;
        logprobs.iter().zip(entropies).map(|(logprob, entropy)| [*logprob, *entropy])
    }
}

impl DecoderSpec {
    /// What is kept of one token in one layer.
    pub(crate) fn record_layout(&self) -> RecordLayout {
        RecordLayout {
            hidden: self.hidden_size,
            queries: self.num_attention_heads * self.head_dim,
            keys: self.num_key_value_heads * self.head_dim,
            intermediate: self.intermediate_size,
            norms_after: self.norms.has_after(),
        }
    }

    /// Elements of what a [`Trace`] keeps of one token.
    pub(crate) fn record_len(&self) -> usize {
        self.num_hidden_layers * self.record_layout().len() + self.hidden_size
    }

    /// Where a layer is in a token's record.
    pub(super) fn layer_in_record(&self, index: usize) -> Range<usize> {
        let len = self.record_layout().len();
        index * len..(index + 1) * len
    }

    /// Where the input of the last norm is in a token's record.
    pub(super) fn last_in_record(&self) -> Range<usize> {
        self.record_len() - self.hidden_size..self.record_len()
    }
}
