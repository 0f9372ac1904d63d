//! Log-probabilities of given responses: the forward pass of training.

use super::qwen3::{PackedTokens, Qwen3};
use crate::error::Result;
use crate::kernels::{gather_rows, token_logprob_entropy};
use candle_core::Tensor;
use std::sync::Arc;

/// Prompts with their responses, packed.
pub struct ResponseBatch {
    tokens: PackedTokens,
    /// Which tokens' hidden states predict the response tokens.
    predictors: Vec<u32>,
    /// The response tokens.
    targets: Arc<[u32]>,
}

impl ResponseBatch {
    /// Packs (prompt, response) pairs. Prompts have at least one token.
    pub fn new(pairs: &[(&[u32], &[u32])]) -> Self {
        let sequences: Vec<Vec<u32>> = pairs.iter().map(|(prompt, response)| [*prompt, *response].concat()).collect();
        let tokens = PackedTokens::new(sequences.iter().map(Vec::as_slice));
        let predictors = tokens
            .segments
            .ranges()
            .zip(pairs)
            .flat_map(|(range, (prompt, _))| (range.start + prompt.len() - 1..range.end - 1).map(|i| i as u32))
            .collect();
        let targets = pairs.iter().flat_map(|(_, response)| response.iter().copied()).collect();
        Self { tokens, predictors, targets }
    }

    /// Number of tokens, prompts included.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Number of response tokens.
    pub fn response_tokens(&self) -> usize {
        self.targets.len()
    }

    /// The response tokens of all pairs, one after another.
    pub fn targets(&self) -> &Arc<[u32]> {
        &self.targets
    }
}

impl Qwen3 {
    /// Final hidden states (response tokens, hidden) that predict the response tokens.
    pub fn response_hidden(&self, batch: &ResponseBatch) -> Result<Tensor> {
        let hidden = self.forward(&batch.tokens)?;
        Ok(gather_rows(&hidden, &batch.predictors)?)
    }

    /// Log-probability (column 0) and entropy (column 1), nats, of every response token at `temperature`: (response tokens, 2).
    pub fn response_logprobs(&self, batch: &ResponseBatch, temperature: f64) -> Result<Tensor> {
        Ok(token_logprob_entropy(&self.response_hidden(batch)?, self.head(), &batch.targets, temperature)?)
    }
}

/// Cuts a list of lengths into consecutive runs of at most `limit` tokens, each with at least one element.
pub fn micro_batches(lengths: &[usize], limit: usize) -> Vec<std::ops::Range<usize>> {
    let mut runs = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (index, &length) in lengths.iter().enumerate() {
        if index > start && tokens + length > limit {
            runs.push(start..index);
            (start, tokens) = (index, 0);
        }
        tokens += length;
    }
    if start < lengths.len() {
        runs.push(start..lengths.len());
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::micro_batches;

    #[test]
    fn micro_batches_keep_to_the_limit_where_they_can_and_lose_nothing() {
        assert_eq!(micro_batches(&[3, 3, 3, 9, 1], 6), [0..2, 2..3, 3..4, 4..5]);
        assert_eq!(micro_batches(&[5], 1), vec![0..1]);
        assert!(micro_batches(&[], 6).is_empty());
    }
}
