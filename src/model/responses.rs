//! Log-probabilities of given responses: the forward pass of training.

use super::decoder::{Decoder, PackedTokens, Trace, TraceRecords};
use crate::error::{Error, Result};
use crate::kernels::{gather_rows, token_logprob_entropy};
use candle_core::Tensor;
use std::ops::Range;
use std::sync::Arc;

/// Prompts with their responses, packed. Responses to one prompt that follow each other share its
/// tokens, and a response's last token, which predicts nothing, is left out.
pub struct ResponseBatch {
    tokens: PackedTokens,
    /// Which tokens' hidden states predict the response tokens.
    predictors: Vec<u32>,
    /// The response tokens.
    targets: Arc<[u32]>,
    /// Of each packed part the pair that it belongs to, and whether it is the prompt.
    sources: Vec<(usize, bool)>,
}

impl ResponseBatch {
    /// Packs (prompt, response) pairs. Prompts have at least one token.
    pub fn new(pairs: &[(&[u32], &[u32])]) -> Result<Self> {
        let mut parts: Vec<(&[u32], Option<usize>)> = Vec::new();
        let (mut predictors, mut sources) = (Vec::new(), Vec::new());
        // The number of the last prompt's part, and its last token.
        let (mut parent, mut last, mut tokens) = (0, 0, 0);
        for (index, &(prompt, response)) in pairs.iter().enumerate() {
            if prompt.is_empty() {
                return Err(Error::failed("a prompt has no token"));
            }
            if index == 0 || pairs[index - 1].0 != prompt {
                parts.push((prompt, None));
                sources.push((index, true));
                tokens += prompt.len();
                (parent, last) = (parts.len() - 1, tokens - 1);
            }
            if let Some((_, seen)) = response.split_last() {
                parts.push((seen, Some(parent)));
                sources.push((index, false));
                predictors.push(last as u32);
                predictors.extend((tokens..tokens + seen.len()).map(|token| token as u32));
                tokens += seen.len();
            }
        }
        let targets = pairs.iter().flat_map(|(_, response)| response.iter().copied()).collect();
        Ok(Self { tokens: PackedTokens::branching(parts)?, predictors, targets, sources })
    }

    /// The packed tokens.
    pub(super) fn tokens(&self) -> &PackedTokens {
        &self.tokens
    }

    /// Of each pair's trace what the packed tokens need, part by part.
    pub(super) fn traced_parts(&self, traces: &[&Trace]) -> Vec<TraceRecords> {
        let part = |&(pair, is_prompt): &(usize, bool)| {
            let Trace { prompt, completion, .. } = traces[pair];
            if is_prompt { prompt.clone() } else { completion.clone() }
        };
        self.sources.iter().map(part).collect()
    }

    /// For each response token the token whose hidden state predicts it.
    pub(super) fn predictors(&self) -> &[u32] {
        &self.predictors
    }

    /// Number of packed tokens.
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

    /// Of hidden states (tokens, hidden) those that predict the response tokens.
    pub(super) fn select(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(gather_rows(hidden, &self.predictors)?)
    }

    /// The response tokens of all pairs, one after another.
    pub fn targets(&self) -> &Arc<[u32]> {
        &self.targets
    }
}

impl Decoder {
    /// Final hidden states (response tokens, hidden) that predict the response tokens.
    pub fn response_hidden(&self, batch: &ResponseBatch) -> Result<Tensor> {
        batch.select(&self.forward(&batch.tokens)?)
    }

    /// Log-probability (column 0) and entropy (column 1), nats, of every response token at
    /// `temperature`: (response tokens, 2).
    pub fn response_logprobs(&self, batch: &ResponseBatch, temperature: f64) -> Result<Tensor> {
        Ok(token_logprob_entropy(
            &self.response_hidden(batch)?,
            self.head(),
            &batch.targets,
            temperature,
        )?)
    }
}

/// Cuts a list of lengths into consecutive runs of at most `limit` tokens, each with at least one
/// element: as few as possible, and the largest of them as small as possible.
pub fn micro_batches(lengths: &[usize], limit: usize) -> Vec<Range<usize>> {
    even_runs(lengths.len(), limit, |index, _| lengths[index])
}

/// Cuts (prompt, response) pairs as [`micro_batches`] does, with as many tokens as
/// [`ResponseBatch`] packs.
pub fn response_micro_batches(pairs: &[(&[u32], &[u32])], limit: usize) -> Vec<Range<usize>> {
    even_runs(pairs.len(), limit, |index, first| {
        let (prompt, response) = pairs[index];
        let shared = !first && pairs[index - 1].0 == prompt;
        response.len().saturating_sub(1) + if shared { 0 } else { prompt.len() }
    })
}

/// Cuts `0..count` into as few consecutive runs of at most `limit` tokens as possible. Products of
/// few tokens are slow, so the last run is not what the others have left: the largest one is as
/// small as it can be. `tokens` says how many an element has, as a run's first or not.
fn even_runs(
    count: usize,
    limit: usize,
    tokens: impl Fn(usize, bool) -> usize,
) -> Vec<Range<usize>> {
    let mut best = runs(count, limit, &tokens);
    let (mut too_small, mut enough) = (0, limit);
    while enough - too_small > 1 {
        let middle = usize::midpoint(too_small, enough);
        let found = runs(count, middle, &tokens);
        if found.len() > best.len() {
            too_small = middle;
        } else {
            (best, enough) = (found, middle);
        }
    }
    best
}

/// Cuts `0..count` into runs that have no place for the next element.
fn runs(count: usize, limit: usize, tokens: impl Fn(usize, bool) -> usize) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let (mut start, mut sum) = (0, 0);
    for index in 0..count {
        if index > start && sum + tokens(index, false) > limit {
            runs.push(start..index);
            (start, sum) = (index, 0);
        }
        sum += tokens(index, index == start);
    }
    if start < count {
        runs.push(start..count);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micro_batches_keep_to_the_limit_where_they_can_and_lose_nothing() {
        assert_eq!(micro_batches(&[3, 3, 3, 9, 1], 6), [0..2, 2..3, 3..4, 4..5]);
        assert_eq!(micro_batches(&[5], 1), vec![0..1]);
        assert!(micro_batches(&[], 6).is_empty());
        assert_eq!(micro_batches(&[0, 0, 0], 6), vec![0..3]);
    }

    #[test]
    fn the_last_micro_batch_is_not_what_the_others_have_left() {
        assert_eq!(micro_batches(&[1; 17], 16), [0..9, 9..17]);
        assert_eq!(micro_batches(&[1; 33], 16), [0..11, 11..22, 22..33]);
        assert_eq!(micro_batches(&[4, 4, 4, 4, 2], 16), [0..2, 2..5]);
    }

    #[test]
    fn responses_to_one_prompt_share_it_and_count_it_once() {
        let (a, b): (&[u32], &[u32]) = (&[1, 2, 3], &[4]);
        let pairs: [(&[u32], &[u32]); 5] =
            [(a, &[5, 6]), (a, &[7]), (a, &[]), (b, &[8, 9, 9]), (a, &[5])];
        let batch = ResponseBatch::new(&pairs).unwrap();
        assert_eq!(batch.tokens.ids, [1, 2, 3, 5, 4, 8, 9, 1, 2, 3]);
        assert_eq!(&*batch.tokens.positions, [0, 1, 2, 3, 0, 1, 2, 0, 1, 2]);
        assert_eq!(batch.predictors, [2, 3, 2, 4, 5, 6, 9]);
        assert_eq!(&*batch.targets, [5, 6, 7, 8, 9, 9, 5]);
        assert_eq!(response_micro_batches(&pairs, 4), [0..3, 3..4, 4..5]);
        assert_eq!(response_micro_batches(&pairs, 10), vec![0..5]);
        assert!(ResponseBatch::new(&[(&[], &[1])]).is_err());
    }
}
