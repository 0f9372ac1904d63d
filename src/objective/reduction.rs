//! How much each token counts in the objective.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a mini-batch, the responses of one optimizer step, amounts to. Its micro-batches share these totals, so that their
/// gradients add up to the gradient of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchTotals {
    /// Responses.
    pub responses: usize,
    /// Response tokens.
    pub tokens: usize,
    /// The limit on response tokens that they were sampled under.
    pub response_limit: usize,
}

/// How the tokens of a mini-batch are averaged: the weight of a token of a response of length `L`.
///
/// | | Weight of a token | In words | Source |
/// |---|---|---|---|
/// | `Grpo` | `1 / (responses * L)` | mean over responses of the mean over tokens | GRPO, arXiv 2402.03300 |
/// | `Dapo` | `1 / tokens` | mean over all tokens: long responses count more | DAPO, arXiv 2503.14476 |
/// | `DrGrpo` | `1 / (responses * response limit)` | sum over tokens by a constant: no length bias | Dr. GRPO, arXiv 2503.20783 |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reduction {
    /// Mean over responses of per-response token means.
    #[default]
    Grpo,
    /// Mean over the tokens of the mini-batch.
    Dapo,
    /// Sum over tokens, divided by responses and the response limit.
    DrGrpo,
}

impl Reduction {
    /// The weights `(tokens)` of a micro-batch whose responses have these `lengths`. Over a mini-batch, those of
    /// [`Reduction::Grpo`] and [`Reduction::Dapo`] sum to 1.
    pub fn token_weights(self, lengths: &[usize], totals: &BatchTotals) -> Vec<f32> {
        let mut weights = Vec::with_capacity(lengths.iter().sum());
        for &length in lengths {
            let divisor = match self {
                Self::Grpo => totals.responses as f64 * length as f64,
                Self::Dapo => totals.tokens as f64,
                Self::DrGrpo => totals.responses as f64 * totals.response_limit as f64,
            };
            let weight = if divisor > 0.0 { (1.0 / divisor) as f32 } else { 0.0 };
            weights.extend(std::iter::repeat_n(weight, length));
        }
        weights
    }
}

/// Gives every token the value of its response: `values` (responses), `lengths` (responses) to (tokens).
///
/// Fails where there is not one value for each response.
pub fn expand_to_tokens(values: &[f32], lengths: &[usize]) -> Result<Vec<f32>> {
    if values.len() != lengths.len() {
        return Err(Error::input(format!("{} values for {} responses", values.len(), lengths.len())));
    }
    let tokens = values.iter().zip(lengths).flat_map(|(&value, &length)| std::iter::repeat_n(value, length));
    Ok(tokens.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTALS: BatchTotals = BatchTotals { responses: 4, tokens: 10, response_limit: 5 };

    #[test]
    fn every_row_of_the_table_holds() {
        assert_eq!(Reduction::Grpo.token_weights(&[1, 2], &TOTALS), [0.25, 0.125, 0.125]);
        assert_eq!(Reduction::Dapo.token_weights(&[1, 2], &TOTALS), [0.1; 3]);
        assert_eq!(Reduction::DrGrpo.token_weights(&[1, 2], &TOTALS), [0.05; 3]);
    }

    #[test]
    fn weights_of_micro_batches_sum_to_one_over_the_mini_batch() {
        for reduction in [Reduction::Grpo, Reduction::Dapo] {
            let halves = [[1, 5], [3, 1]].map(|lengths| reduction.token_weights(&lengths, &TOTALS).iter().sum::<f32>());
            assert!((halves[0] + halves[1] - 1.0).abs() < 1e-6, "{reduction:?} {halves:?}");
        }
    }

    #[test]
    fn empty_responses_have_no_tokens() {
        assert_eq!(Reduction::Grpo.token_weights(&[0, 1], &TOTALS), [0.25]);
        assert_eq!(expand_to_tokens(&[1.0, 2.0, 3.0], &[0, 2, 1]).unwrap(), [2.0, 2.0, 3.0]);
        assert!(expand_to_tokens(&[1.0], &[1, 1]).is_err());
    }
}
