//! The clipped surrogate of PPO, by token or by response.

use super::MAX_LOG_RATIO;
use crate::error::{Error, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// What the probability ratio between the policy and the sampling policy is taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RatioLevel {
    /// Each token has its own: `exp(l - l_old)`.
    #[default]
    Token,
    /// All tokens of a response share one, its geometric mean: `exp(mean over tokens of (l - l_old))`, as in GSPO
    /// (arXiv 2507.18071). Useful clip ranges are much narrower, about 3e-4.
    Sequence,
}

/// PPO's clipped objective, `min(ratio * A, clip(ratio, 1 - clip_low, 1 + clip_high) * A)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClippedObjective {
    /// How far below 1 the ratio still counts, in [0, 1].
    pub clip_low: f64,
    /// How far above 1 the ratio still counts, at least 0.
    pub clip_high: f64,
    /// What the ratio is taken over.
    pub ratio: RatioLevel,
}

/// The surrogate of every token of a micro-batch. Fields are `(tokens)`.
#[derive(Clone, Debug)]
pub struct Surrogate {
    /// What is to be maximised, before weighing. Differentiable.
    pub objective: Tensor,
    /// The probability ratio, detached.
    pub ratio: Tensor,
    /// `u8`: 1 where clipping had an effect, that is where the ratio is beyond the bound in the direction that the advantage
    /// asks for. These tokens have no gradient, in [`RatioLevel::Sequence`] neither from their response's ratio.
    pub clipped: Tensor,
}

impl Surrogate {
    /// Number of tokens that were clipped with effect.
    pub fn clipped_tokens(&self) -> Result<usize> {
        Ok(self.clipped.to_vec1::<u8>()?.into_iter().map(usize::from).sum())
    }
}

impl ClippedObjective {
    /// The surrogate of every token, from the log-probabilities (nats) under the policy `(tokens)` and the policy that sampled
    /// `(tokens)`, and the advantage of each token's response `(tokens)`; the latter two are constants. `lengths` are the
    /// tokens of each response, in order. Differentiable in `logprobs`.
    ///
    /// With weights of [`Reduction::Grpo`](super::Reduction::Grpo) and [`RatioLevel::Sequence`] the weighted sum is GSPO's
    /// objective. A log-ratio above 60 enters `exp` as 60.
    pub fn per_token(
        &self,
        logprobs: &Tensor,
        old_logprobs: &Tensor,
        advantages: &Tensor,
        lengths: &[usize],
    ) -> Result<Surrogate> {
        let tokens = logprobs.dims1()?;
        if lengths.iter().sum::<usize>() != tokens {
            return Err(Error::input(format!("response lengths {lengths:?} do not sum to {tokens} tokens")));
        }
        let advantages = advantages.detach();
        let token_log_ratio = (logprobs - old_logprobs.detach())?; // (tokens)
        let log_ratio = match self.ratio {
            RatioLevel::Token => token_log_ratio,
            RatioLevel::Sequence => response_means(&token_log_ratio, lengths)?,
        };
        let ratio = log_ratio.minimum(MAX_LOG_RATIO)?.exp()?; // (tokens)
        let constant = ratio.detach();

        // The pessimistic bound binds above 1 + clip_high where A > 0 and below 1 - clip_low where A < 0. A choice by mask has
        // the exact gradient on both sides, and none from ties between two branches.
        let above = (advantages.gt(0.0)? * constant.gt(1.0 + self.clip_high)?)?;
        let below = (advantages.lt(0.0)? * constant.lt(1.0 - self.clip_low)?)?;
        let clipped = (above + below)?; // (tokens), u8; at most one of the two is 1
        let bound = constant.clamp(1.0 - self.clip_low, 1.0 + self.clip_high)?.detach();
        let objective = clipped.where_cond(&(bound * &advantages)?, &(&ratio * &advantages)?)?;
        Ok(Surrogate { objective, ratio: constant, clipped })
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
pub(super) mod tests {
    use super::*;
    use candle_core::{Device, Var};

    /// Compares candle's gradient of a weighted sum of `function`'s output with central differences, in `f64`.
    pub(in crate::objective) fn check_gradient(point: &[f64], function: impl Fn(&Tensor) -> Result<Tensor>) {
        let weights: Vec<f64> = (0..point.len()).map(|i| 1.0 + 0.3 * i as f64).collect();
        let weights = Tensor::new(weights, &Device::Cpu).unwrap();
        let value = |point: &[f64]| -> (Var, Tensor) {
            let variable = Var::new(point, &Device::Cpu).unwrap();
            let sum = (function(&variable).unwrap() * &weights).unwrap().sum_all().unwrap();
            (variable, sum)
        };
        let (variable, sum) = value(point);
        let gradient = sum.backward().unwrap().get(&variable).expect("a gradient").to_vec1::<f64>().unwrap();
        let step = 1e-6;
        for i in 0..point.len() {
            let shifted = |by: f64| {
                let mut point = point.to_vec();
                point[i] += by;
                value(&point).1.to_scalar::<f64>().unwrap()
            };
            let difference = (shifted(step) - shifted(-step)) / (2.0 * step);
            let error = (gradient[i] - difference).abs() / difference.abs().max(1.0);
            assert!(error < 1e-7, "component {i}: gradient {} difference {difference}", gradient[i]);
        }
    }

    const OLD: [f64; 6] = [-1.0, -1.0, -2.0, -1.0, -1.0, -0.5];
    /// Ratios about 1.05, 1.65, 0.61 | 1.65, 0.61, 1.
    const NOW: [f64; 6] = [-0.95, -0.5, -2.5, -0.5, -1.5, -0.5];
    const ADVANTAGES: [f64; 6] = [0.7, 0.7, 0.7, -1.3, -1.3, -1.3];

    fn tensor(values: [f64; 6]) -> Tensor {
        Tensor::new(&values, &Device::Cpu).unwrap()
    }

    #[test]
    fn clipping_binds_only_where_the_advantage_pushes_outwards() {
        let clip = ClippedObjective { clip_low: 0.2, clip_high: 0.28, ratio: RatioLevel::Token };
        let surrogate = clip.per_token(&tensor(NOW), &tensor(OLD), &tensor(ADVANTAGES), &[3, 3]).unwrap();
        assert_eq!(surrogate.clipped.to_vec1::<u8>().unwrap(), [0, 1, 0, 0, 1, 0]);
        assert_eq!(surrogate.clipped_tokens().unwrap(), 2);
        let ratio = NOW.iter().zip(OLD).map(|(now, old)| (now - old).exp());
        let objective = surrogate.objective.to_vec1::<f64>().unwrap();
        for ((objective, ratio), advantage) in objective.into_iter().zip(ratio).zip(ADVANTAGES) {
            let expected = (ratio * advantage).min(ratio.clamp(0.8, 1.28) * advantage);
            assert!((objective - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences_at_both_levels() {
        for (ratio, width) in [(RatioLevel::Token, 0.2), (RatioLevel::Sequence, 0.2), (RatioLevel::Sequence, 0.01)] {
            let clip = ClippedObjective { clip_low: width, clip_high: width, ratio };
            for lengths in [vec![3, 3], vec![1, 0, 2, 3]] {
                check_gradient(&NOW, |now| {
                    Ok(clip.per_token(now, &tensor(OLD), &tensor(ADVANTAGES), &lengths)?.objective)
                });
            }
        }
    }

    #[test]
    fn a_ratio_of_one_has_the_gradient_of_the_plain_policy_gradient() {
        let clip = ClippedObjective { clip_low: 0.0, clip_high: 0.0, ratio: RatioLevel::Token };
        let logprobs = Var::new(&OLD, &Device::Cpu).unwrap();
        let surrogate = clip.per_token(&logprobs, &tensor(OLD), &tensor(ADVANTAGES), &[6]).unwrap();
        let gradient = surrogate.objective.sum_all().unwrap().backward().unwrap();
        assert_eq!(gradient.get(&logprobs).unwrap().to_vec1::<f64>().unwrap(), ADVANTAGES);
        assert_eq!(surrogate.clipped_tokens().unwrap(), 0);
    }

    #[test]
    fn absurd_ratios_have_finite_values_and_gradients() {
        let clip = ClippedObjective { clip_low: 0.2, clip_high: 0.2, ratio: RatioLevel::Token };
        let logprobs = Var::new(&[-0.1f32, -0.1, -300.0, -300.0], &Device::Cpu).unwrap();
        let old = Tensor::new(&[-300.0f32, -300.0, -0.1, -0.1], &Device::Cpu).unwrap();
        let advantages = Tensor::new(&[1.0f32, -1.0, 1.0, -1.0], &Device::Cpu).unwrap();
        let surrogate = clip.per_token(&logprobs, &old, &advantages, &[4]).unwrap();
        let gradient = surrogate.objective.sum_all().unwrap().backward().unwrap();
        let gradient = gradient.get(&logprobs).unwrap().to_vec1::<f32>().unwrap();
        let objective = surrogate.objective.to_vec1::<f32>().unwrap();
        assert!(gradient.iter().chain(&objective).all(|value| value.is_finite()), "{gradient:?} {objective:?}");
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        let clip = ClippedObjective { clip_low: 0.2, clip_high: 0.2, ratio: RatioLevel::Token };
        assert!(clip.per_token(&tensor(NOW), &tensor(OLD), &tensor(ADVANTAGES), &[3, 2]).is_err());
    }
}
