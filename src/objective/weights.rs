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
    /// `Grpo` with a smooth gate in place of clipping.
    Sapo,
    /// `Dapo` without the tokens whose probability has moved too far already.
    DppoTv,
    /// The same by the divergence of the token's probability.
    DppoKl,
    /// `Dapo` with the log-probability weighed by a function of the whole response's ratio.
    Vespo,
    /// The geometric mean of a response's clipped ratios.
    Gmpo,
    /// `Gspo` times the response's length: no bias towards short responses.
    Luspo,
}

/// What the probability ratio between the policy and the sampling policy is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RatioLevel {
    /// Each token has its own: `exp(l - l_old)`.
    Token,
    /// All tokens of a response share one, its geometric mean:
    /// `exp(mean over tokens of (l - l_old))`.
    Sequence,
}

/// What becomes of responses that reach the token limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Truncated {
    /// They are trained on like the others.
    #[default]
    Keep,
    /// Their tokens enter no sum: they give no gradient, neither by their advantage nor by KL or
    /// entropy. Their rewards still count in their group's mean, and they still count as responses.
    Mask,
    /// They are trained on, and [`Truncated::penalty`] is added to their reward: the soft overlong
    /// punishment of DAPO.
    SoftPenalty {
        /// Tokens before the limit over which the penalty grows, from 1 to the limit.
        buffer: usize,
        /// The penalty at the limit; the paper's is 1.
        #[serde(default = "full_strength")]
        strength: f64,
    },
}

fn full_strength() -> f64 {
    1.0
}

impl Truncated {
    /// Whether the tokens of a response are trained on.
    pub fn trains(self, truncated: bool) -> bool {
        match self {
            Self::Keep | Self::SoftPenalty { .. } => true,
            Self::Mask => !truncated,
        }
    }

    /// What is added to the reward of a response of `length` tokens, end-of-sequence token
    /// included, sampled under a `limit`.
    ///
    /// With `SoftPenalty`, 0 up to `limit - buffer`, then linear to `-strength` at the limit (DAPO,
    /// arXiv 2503.14476, eq. 13, times the strength): -strength clip((length - (limit - buffer)) /
    /// buffer, 0, 1). It depends on the length alone, so a response that ends by itself with its
    /// last possible token has the penalty of one that was cut off. Otherwise 0.
    pub fn penalty(self, length: usize, limit: usize) -> f32 {
        match self {
            Self::Keep | Self::Mask => 0.0,
            Self::SoftPenalty { buffer, strength } => {
                let beyond = (length + buffer).saturating_sub(limit) as f64;
                -(strength * (beyond / buffer as f64).min(1.0)) as f32
            }
        }
    }
}

/// What a mini-batch, the responses of one optimizer step, amounts to. Its micro-batches share
/// these totals, so that their gradients add up to the gradient of the whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchTotals {
    /// Responses, masked ones included.
    pub responses: usize,
    /// Response tokens that are trained on.
    pub tokens: usize,
    /// The same of all the step's rollouts, divided by the number of mini-batches that they are cut
    /// into.
    pub mean_tokens: f64,
    /// The limit on response tokens that they were sampled under.
    pub response_limit: usize,
}

impl Loss {
    /// The ratio that the loss is defined with.
    pub fn ratio(self) -> RatioLevel {
        match self {
            Self::Gspo | Self::Luspo => RatioLevel::Sequence,
            Self::Grpo
            | Self::DrGrpo
            | Self::Dapo
            | Self::Bnpo
            | Self::Cispo
            | Self::Sapo
            | Self::DppoTv
            | Self::DppoKl
            | Self::Vespo
            | Self::Gmpo => RatioLevel::Token,
        }
    }

    /// The weight of each token of a response of `length` tokens.
    pub(super) fn token_weight(self, length: usize, totals: &BatchTotals) -> f64 {
        let responses = totals.responses as f64;
        1.0 / match self {
            Self::Grpo | Self::Gspo | Self::Sapo | Self::Gmpo => responses * length as f64,
            Self::DrGrpo => responses * totals.response_limit as f64,
            Self::Dapo | Self::Cispo | Self::DppoTv | Self::DppoKl | Self::Vespo => {
                totals.mean_tokens
            }
            Self::Luspo => responses,
            Self::Bnpo => totals.tokens as f64,
        }
    }
}

/// Gives every token the value of its response: one value for each of `lengths` (responses) to
/// (tokens).
pub(super) fn per_token<T: Copy>(values: impl IntoIterator<Item = T>, lengths: &[usize]) -> Vec<T> {
    values
        .into_iter()
        .zip(lengths)
        .flat_map(|(value, &length)| std::iter::repeat_n(value, length))
        .collect()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these results are exact")]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            (Loss::Sapo, 0.125),
            (Loss::DppoTv, 0.0625),
            (Loss::DppoKl, 0.0625),
            (Loss::Vespo, 0.0625),
            (Loss::Gmpo, 0.125),
            (Loss::Luspo, 0.25),
        ] {
            assert_eq!(loss.token_weight(2, &totals), weight, "{loss:?}");
        }
    }

    #[test]
    fn the_soft_penalty_grows_over_the_buffer_and_no_further() {
        let penalty =
            |length| Truncated::SoftPenalty { buffer: 8, strength: 0.5 }.penalty(length, 20);
        let lengths = [0, 11, 12, 13, 16, 19, 20, 21, 1000];
        assert_eq!(
            lengths.map(penalty),
            [0.0, 0.0, 0.0, -0.0625, -0.25, -0.4375, -0.5, -0.5, -0.5]
        );
        // The whole response may be the buffer.
        let penalty =
            |length| Truncated::SoftPenalty { buffer: 20, strength: 1.0 }.penalty(length, 20);
        assert_eq!([0, 5, 20].map(penalty), [0.0, -0.25, -1.0]);
        assert_eq!(
            [Truncated::Keep, Truncated::Mask].map(|truncated| truncated.penalty(20, 20)),
            [0.0; 2]
        );
    }

    proptest! {
        #[test]
        fn the_soft_penalty_is_the_papers_piecewise_function(
            limit in 1usize..400, share in 0.0f64..1.0, length in 0usize..500, strength in 0.0f64..3.0,
        ) {
            let buffer = 1 + (share * (limit - 1) as f64) as usize;
            let expected = if length <= limit - buffer {
                0.0
            } else if length <= limit {
                ((limit - buffer) as f64 - length as f64) / buffer as f64
            } else {
                -1.0
            };
            let found = Truncated::SoftPenalty { buffer, strength }.penalty(length, limit);
            prop_assert!((f64::from(found) - strength * expected).abs() < 1e-6, "{} {}", found, expected);
        }
    }

    #[test]
    fn empty_responses_have_no_tokens() {
        assert_eq!(per_token([1.0, 2.0, 3.0], &[0, 2, 1]), [2.0, 2.0, 3.0]);
    }
}
