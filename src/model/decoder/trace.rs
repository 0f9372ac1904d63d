//! What decoding has made of every token, kept for the update of the same step: backward can begin
//! without another forward pass.
//!
//! Between sampling and the first optimizer step the weights are the same, and so are all values
//! within the layers. Programs whose sampler and trainer are apart compute them twice.

use super::spec::DecoderSpec;
use crate::kernels::RecordLayout;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Memory of traces: what one step is done with is there for the next one.
#[derive(Clone, Debug, Default)]
pub struct TraceMemory(Arc<Mutex<Vec<Vec<f32>>>>);

impl TraceMemory {
    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Vec<f32>>> {
        // Whoever panicked has left whole vectors.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record of `len` elements, with whatever is in them.
    pub(super) fn record(&self, id: u32, len: usize) -> TokenRecord {
        let used = self.free().pop().filter(|values| values.len() == len);
        let values = used.unwrap_or_else(|| vec![0.0; len]);
        TokenRecord { id, values, memory: self.clone() }
    }
}

/// Which completions are to be traced, and in what memory.
#[derive(Clone, Copy, Debug)]
pub struct Tracing<'a> {
    /// How many of the prompts, from the first on.
    pub prompts: usize,
    /// Where the traces are.
    pub memory: &'a TraceMemory,
}

/// What the forward pass made of one token: a [`RecordLayout`] of every layer, then the input of
/// the last norm. Its memory goes back when it is dropped.
#[derive(Debug)]
pub(in crate::model) struct TokenRecord {
    id: u32,
    values: Vec<f32>,
    memory: TraceMemory,
}

impl TokenRecord {
    pub(super) fn part(&self, range: Range<usize>) -> &[f32] {
        &self.values[range]
    }

    pub(super) fn part_mut(&mut self, range: Range<usize>) -> &mut [f32] {
        &mut self.values[range]
    }
}

impl Drop for TokenRecord {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        self.memory.free().push(values);
    }
}

/// The tokens of a prompt or a completion.
pub(in crate::model) type TraceRecords = Arc<Vec<TokenRecord>>;

/// What the forward pass made of a prompt and of a completion's tokens but the last one, which
/// nothing was computed of.
#[derive(Clone, Debug)]
pub struct Trace {
    pub(in crate::model) prompt: TraceRecords,
    pub(in crate::model) completion: TraceRecords,
}

impl Trace {
    /// Whether it is one of this prompt and this response.
    pub fn is_of(&self, prompt: &[u32], response: &[u32]) -> bool {
        let seen = &response[..response.len().saturating_sub(1)];
        let is_of =
            |records: &[TokenRecord], ids: &[u32]| records.iter().map(|record| &record.id).eq(ids);
        is_of(&self.prompt, prompt) && is_of(&self.completion, seen)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_record_is_there_for_the_next_one_of_its_length() {
        let memory = TraceMemory::default();
        let record = memory.record(7, 12);
        let place = record.values.as_ptr();
        let other = memory.record(8, 12);
        assert_ne!(other.values.as_ptr(), place);
        drop(record);
        let again = memory.record(9, 12);
        assert_eq!((again.values.as_ptr(), again.id), (place, 9));
        drop(again);
        assert_eq!(memory.record(9, 5).values.len(), 5);
    }
}
