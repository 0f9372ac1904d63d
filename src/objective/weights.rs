//! Which loss, and how much each token counts in it.

use serde::{Deserialize, Serialize};

/// The loss: a surrogate, a ratio and a weight of tokens. The [module](super) has the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loss {
    /// Mean over responses of the mean over their tokens.
    #[default]
    Grpo,
    /// Sum over tokens, divided by responses and the response limit: no length bias.
    DrGrpo,
    /// Mean over the tokens of all rollouts of the step.
    Dapo,
    /// Mean over the tokens of the mini-batch.
    Bnpo,
    /// `Grpo` with one ratio per response.
    Gspo,
    /// `Dapo` with the log-probability weighed by the capped ratio: no token loses its gradient.
    Cispo,
}

/// What the probability ratio between the policy and the sampling policy is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RatioLevel {
    /// Each token has its own: `exp(l - l_old)`.
    Token,
    /// All tokens of a response share one, its geometric mean: `exp(mean over tokens of (l - l_old))`.
    Sequence,
}

/// What becomes of responses that were cut off at the token limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Truncated {
    /// They are trained on like the others.
    #[default]
    Keep,
    /// Their tokens enter no sum: they give no gradient, neither by their advantage nor by KL or entropy. Their rewards still
    /// count in their group's mean, and they still count as responses.
    Mask,
}

impl Truncated {
    /// Whether the tokens of a response are trained on.
    pub fn trains(self, truncated: bool) -> bool {
        match self {
            Self::Keep => true,
            Self::Mask => !truncated,
        }
    }
}

/// What a mini-batch, the responses of one optimizer step, amounts to. Its micro-batches share these totals, so that their
/// gradients add up to the gradient of the whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchTotals {
    /// Responses, masked ones included.
    pub responses: usize,
    /// Response tokens that are trained on.
    pub tokens: usize,
    /// The same of all the step's rollouts, divided by the number of mini-batches that they are cut into.
    pub mean_tokens: f64,
    /// The limit on response tokens that they were sampled under.
    pub response_limit: usize,
}

impl Loss {
    /// The ratio that the loss is defined with.
    pub fn ratio(self) -> RatioLevel {
        match self {
            Self::Gspo => RatioLevel::Sequence,
            Self::Grpo | Self::DrGrpo | Self::Dapo | Self::Bnpo | Self::Cispo => RatioLevel::Token,
        }
    }

    /// The weight of each token of a response of `length` tokens.
    pub(super) fn token_weight(self, length: usize, totals: &BatchTotals) -> f64 {
        let responses = totals.responses as f64;
        1.0 / match self {
            Self::Grpo | Self::Gspo => responses * length as f64,
            Self::DrGrpo => responses * totals.response_limit as f64,
            Self::Dapo | Self::Cispo => totals.mean_tokens,
            Self::Bnpo => totals.tokens as f64,
        }
    }
}

/// Gives every token the value of its response: one value for each of `lengths` (responses) to (tokens).
pub(super) fn per_token<T: Copy>(values: impl IntoIterator<Item = T>, lengths: &[usize]) -> Vec<T> {
    values.into_iter().zip(lengths).flat_map(|(value, &length)| std::iter::repeat_n(value, length)).collect()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these results are exact")]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_holds() {
        let totals = BatchTotals { responses: 4, tokens: 10, mean_tokens: 16.0, response_limit: 5 };
        for (loss, weight) in [
            (Loss::Grpo, 0.125),
            (Loss::Gspo, 0.125),
            (Loss::DrGrpo, 0.05),
            (Loss::Dapo, 0.0625),
            (Loss::Cispo, 0.0625),
            (Loss::Bnpo, 0.1),
        ] {
            assert_eq!(loss.token_weight(2, &totals), weight, "{loss:?}");
        }
    }

    #[test]
    fn empty_responses_have_no_tokens() {
        assert_eq!(per_token([1.0, 2.0, 3.0], &[0, 2, 1]), [2.0, 2.0, 3.0]);
    }
}
