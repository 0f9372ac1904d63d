//! What the policy is rewarded for, token by token: PPO's clipped surrogate by token or by
//! response, and CISPO's.

use super::weights::{Loss, RatioLevel};
use super::{MAX_LOG_RATIO, Objective};
use crate::error::Result;
use candle_core::Tensor;

/// The surrogate of every token of a micro-batch. Fields are `(tokens)`.
pub(super) struct Surrogate {
    /// What is to be maximised, before weighing. Differentiable.
    pub(super) terms: Tensor,
    /// `u8`: 1 where clipping had an effect. For PPO's surrogate that is where the ratio is beyond
    /// the bound in the direction that the advantage asks for: these tokens have no gradient, not
    /// even from the ratio that they share. For CISPO it is where the ratio is beyond the cap and
    /// the advantage is not 0.
    pub(super) clipped: Tensor,
}

impl Objective {
    /// The surrogate of every token, from the log-probabilities (nats) under the policy `(tokens)`
    /// and the policy that sampled `(tokens)`, and the advantage of each token's response
    /// `(tokens)`; the latter two are constants. `lengths` are the tokens of each response, in
    /// order. Differentiable in `logprobs`. A log-ratio above 60 enters `exp` as 60.
    pub(super) fn surrogate(
        &self,
        logprobs: &Tensor,
        old_logprobs: &Tensor,
        advantages: &Tensor,
        lengths: &[usize],
    ) -> Result<Surrogate> {
        let (low, high) = (1.0 - self.clip_low, 1.0 + self.clip_high);
        let token_log_ratio = (logprobs - old_logprobs.detach())?; // (tokens)
        let log_ratio = match self.ratio {
            RatioLevel::Token => token_log_ratio,
            RatioLevel::Sequence => response_means(&token_log_ratio, lengths)?,
        };
        let ratio = log_ratio.minimum(MAX_LOG_RATIO)?.exp()?; // (tokens)
        let constant = ratio.detach();
        if self.loss == Loss::Cispo {
            let terms = ((constant.minimum(high)? * advantages)? * logprobs)?;
            return Ok(Surrogate { terms, clipped: (constant.gt(high)? * advantages.ne(0.0)?)? });
        }
        // The pessimistic bound binds above 1 + clip_high where A > 0 and below 1 - clip_low where
        // A < 0. A choice by mask has the exact gradient on both sides, and none from ties between
        // two branches.
        let above = (advantages.gt(0.0)? * constant.gt(high)?)?;
        let below = (advantages.lt(0.0)? * constant.lt(low)?)?;
        let clipped = (above + below)?; // (tokens), u8; at most one of the two is 1
        let bound = constant.clamp(low, high)?;
        let terms = clipped.where_cond(&(bound * advantages)?, &(&ratio * advantages)?)?;
        Ok(Surrogate { terms, clipped })
    }
}

/// Gives every token the mean of its response: `values` (tokens) to (tokens). Differentiable.
fn response_means(values: &Tensor, lengths: &[usize]) -> Result<Tensor> {
    let (mut owners, mut weights) = (Vec::new(), Vec::new());
    for (response, &length) in lengths.iter().enumerate() {
        owners.extend(std::iter::repeat_n(response as u32, length));
        weights.extend(std::iter::repeat_n(1.0 / length as f64, length));
    }
    let tokens = owners.len();
    let owners = Tensor::from_vec(owners, tokens, values.device())?;
    let weights = Tensor::from_vec(weights, tokens, values.device())?.to_dtype(values.dtype())?;
    let none = Tensor::zeros(lengths.len(), values.dtype(), values.device())?;
    let means = none.index_add(&owners, &(values * weights)?, 0)?; // (responses)
    Ok(means.index_select(&owners, 0)?) // (tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::tests::plain;
    use candle_core::{Device, Var};

    const OLD: [f64; 6] = [-1.0, -1.0, -2.0, -1.0, -1.0, -0.5];
    /// Ratios about 1.05, 1.65, 0.61 | 1.65, 0.61, 1.
    const NOW: [f64; 6] = [-0.95, -0.5, -2.5, -0.5, -1.5, -0.5];
    const ADVANTAGES: [f64; 6] = [0.7, 0.7, 0.7, -1.3, -1.3, -1.3];

    fn tensor(values: [f64; 6]) -> Tensor {
        Tensor::new(&values, &Device::Cpu).unwrap()
    }

    fn surrogate(loss: Loss) -> (Vec<f64>, Vec<u8>) {
        let found = plain(loss)
            .surrogate(&tensor(NOW), &tensor(OLD), &tensor(ADVANTAGES), &[3, 3])
            .unwrap();
        (found.terms.to_vec1().unwrap(), found.clipped.to_vec1().unwrap())
    }

    fn ratios() -> impl Iterator<Item = f64> {
        NOW.iter().zip(OLD).map(|(now, old)| (now - old).exp())
    }

    #[test]
    fn clipping_binds_only_where_the_advantage_pushes_outwards() {
        let (terms, clipped) = surrogate(Loss::Grpo);
        assert_eq!(clipped, [0, 1, 0, 0, 1, 0]);
        for ((term, ratio), advantage) in terms.into_iter().zip(ratios()).zip(ADVANTAGES) {
            let expected = (ratio * advantage).min(ratio.clamp(0.8, 1.28) * advantage);
            assert!((term - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn cispo_caps_the_weight_of_the_log_probability_whatever_the_sign() {
        let (terms, clipped) = surrogate(Loss::Cispo);
        assert_eq!(clipped, [0, 1, 0, 1, 0, 0]);
        for (((term, ratio), advantage), now) in
            terms.into_iter().zip(ratios()).zip(ADVANTAGES).zip(NOW)
        {
            assert!((term - ratio.min(1.28) * advantage * now).abs() < 1e-12);
        }
    }

    #[test]
    fn absurd_ratios_have_finite_values_and_gradients() {
        let old = Tensor::new(&[-300.0f32, -300.0, -0.1, -0.1], &Device::Cpu).unwrap();
        let advantages = Tensor::new(&[1.0f32, -1.0, 1.0, -1.0], &Device::Cpu).unwrap();
        for loss in [Loss::Grpo, Loss::Gspo, Loss::Cispo] {
            let logprobs = Var::new(&[-0.1f32, -0.1, -300.0, -300.0], &Device::Cpu).unwrap();
            let terms = plain(loss).surrogate(&logprobs, &old, &advantages, &[1; 4]).unwrap().terms;
            let gradient = terms.sum_all().unwrap().backward().unwrap();
            let gradient = gradient.get(&logprobs).unwrap().to_vec1::<f32>().unwrap();
            let terms = terms.to_vec1::<f32>().unwrap();
            assert!(
                gradient.iter().chain(&terms).all(|value| value.is_finite()),
                "{gradient:?} {terms:?}"
            );
        }
    }
}
