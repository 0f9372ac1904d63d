//! What the policy is rewarded for, token by token.

use super::weights::{Loss, RatioLevel};
use super::{MAX_LOG_RATIO, Objective};
use crate::error::Result;
use candle_core::{DType, Tensor};

/// The surrogate of every token of a micro-batch. Fields are `(tokens)`.
pub(super) struct Surrogate {
    /// What is to be maximised, before weighing. Differentiable.
    pub(super) terms: Tensor,
    /// `u8`: 1 where clipping had an effect. For PPO's surrogate that is where the ratio is beyond
    /// the bound in the direction that the advantage asks for: these tokens have no gradient, not
    /// even from the ratio that they share. For CISPO it is where the ratio is beyond the cap and
    /// the advantage is not 0, for DPPO where the token is left out; SAPO and VESPO clip nothing.
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
        let old = &old_logprobs.detach();
        let of_token = (logprobs - old)?; // (tokens)
        let log_ratio = match self.ratio {
            RatioLevel::Token => of_token,
            RatioLevel::Sequence => response_means(&of_token, lengths)?,
        };
        match self.loss {
            Loss::Grpo | Loss::DrGrpo | Loss::Dapo | Loss::Bnpo | Loss::Gspo | Loss::Luspo => {
                self.clipped(&ratio(&log_ratio)?, advantages)
            }
            Loss::Gmpo => self.geometric_mean(&log_ratio, advantages, lengths),
            Loss::Sapo => gated(&ratio(&log_ratio)?, advantages),
            Loss::Cispo => {
                let (ratio, high) = (ratio(&log_ratio)?.detach(), 1.0 + self.clip_high);
                let clipped = (ratio.gt(high)? * advantages.ne(0.0)?)?;
                Surrogate::weighed(&ratio.minimum(high)?, advantages, logprobs, clipped)
            }
            Loss::DppoTv | Loss::DppoKl => {
                let clipped = self.has_moved_too_far(&logprobs.detach(), old, advantages)?;
                let ratio = ratio(&log_ratio)?.detach().minimum(LARGEST_DPPO_WEIGHT)?;
                let weight = clipped.where_cond(&ratio.zeros_like()?, &ratio)?;
                Surrogate::weighed(&weight, advantages, logprobs, clipped)
            }
            Loss::Vespo => {
                let weight = vespo_weights(&log_ratio, advantages, lengths)?;
                let clipped = weight.zeros_like()?.to_dtype(DType::U8)?;
                Surrogate::weighed(&weight, advantages, logprobs, clipped)
            }
        }
    }

    /// PPO's surrogate. The pessimistic bound binds above 1 + `clip_high` where A > 0 and below 1 -
    /// `clip_low` where A < 0. A choice by mask has the exact gradient on both sides, and none from
    /// ties between two branches.
    fn clipped(&self, ratio: &Tensor, advantages: &Tensor) -> Result<Surrogate> {
        let (low, high) = (1.0 - self.clip_low, 1.0 + self.clip_high);
        let constant = ratio.detach();
        let clipped = beyond(&constant, low, high, advantages)?;
        let bound = constant.clamp(low, high)?;
        let terms = clipped.where_cond(&(bound * advantages)?, &(ratio * advantages)?)?;
        Ok(Surrogate { terms, clipped })
    }

    /// GMPO's: A times the geometric mean over the response of ratios whose logarithms are clipped.
    fn geometric_mean(
        &self,
        log_ratio: &Tensor,
        advantages: &Tensor,
        lengths: &[usize],
    ) -> Result<Surrogate> {
        let constant = log_ratio.detach();
        let clipped = beyond(&constant, -self.clip_low, self.clip_high, advantages)?;
        let bound = constant.clamp(-self.clip_low, self.clip_high)?;
        let log_ratio = clipped.where_cond(&bound, log_ratio)?;
        let terms = (ratio(&response_means(&log_ratio, lengths)?)? * advantages)?;
        Ok(Surrogate { terms, clipped })
    }

    /// `u8`: where DPPO leaves a token out. The probability has moved in the direction that the
    /// advantage asks for, by more than `clip_high` upwards or `clip_low` downwards: of itself, or of
    /// the KL divergence of "this token or another one".
    fn has_moved_too_far(
        &self,
        logprobs: &Tensor,
        old_logprobs: &Tensor,
        advantages: &Tensor,
    ) -> Result<Tensor> {
        let (now, old) = (logprobs.exp()?, old_logprobs.exp()?);
        let change = (&now - &old)?;
        let (up, down) = if self.loss == Loss::DppoTv {
            (change.gt(self.clip_high)?, change.lt(-self.clip_low)?)
        } else {
            let other = |p: &Tensor| (p.affine(-1.0, 1.0)? + LEAST_OTHER)?.log();
            let of_token = (&old * (old_logprobs - logprobs)?)?;
            let of_others = (old.affine(-1.0, 1.0)? * (other(&old)? - other(&now)?)?)?;
            let divergence = (of_token + of_others)?;
            let up = (divergence.gt(self.clip_high)? * change.gt(0.0)?)?;
            (up, (divergence.gt(self.clip_low)? * change.lt(0.0)?)?)
        };
        Ok(((advantages.gt(0.0)? * up)? + (advantages.lt(0.0)? * down)?)?)
    }
}

/// Largest ratio that a token counts with in DPPO.
const LARGEST_DPPO_WEIGHT: f64 = 20.0;

/// Added to the probability of all other tokens before its logarithm, as in verl.
const LEAST_OTHER: f64 = 1e-8;

impl Surrogate {
    /// `weight A l`, the weight a constant.
    fn weighed(
        weight: &Tensor,
        advantages: &Tensor,
        logprobs: &Tensor,
        clipped: Tensor,
    ) -> Result<Self> {
        Ok(Self { terms: ((weight * advantages)? * logprobs)?, clipped })
    }
}

/// `exp` of a log-ratio.
fn ratio(log_ratio: &Tensor) -> Result<Tensor> {
    Ok(log_ratio.minimum(MAX_LOG_RATIO)?.exp()?)
}

/// `u8`: where a constant is above `high` and A > 0, or below `low` and A < 0.
fn beyond(constant: &Tensor, low: f64, high: f64, advantages: &Tensor) -> Result<Tensor> {
    let above = (advantages.gt(0.0)? * constant.gt(high)?)?;
    let below = (advantages.lt(0.0)? * constant.lt(low)?)?;
    Ok((above + below)?) // at most one of the two is 1
}

/// Temperatures of SAPO's gate where A > 0, and elsewhere.
const SAPO_TEMPERATURES: [f64; 2] = [1.0, 1.05];

/// SAPO's: `A 4 / tau sigmoid(tau (r - 1))`, whose gradient at r = 1 is A.
fn gated(ratio: &Tensor, advantages: &Tensor) -> Result<Surrogate> {
    let is_positive = advantages.gt(0.0)?;
    let ones = ratio.ones_like()?.detach();
    let [positive, other] = SAPO_TEMPERATURES.map(|tau| &ones * tau);
    let temperatures = is_positive.where_cond(&positive?, &other?)?;
    let scaled = ((ratio - 1.0)? * &temperatures)?;
    let sigmoid = (scaled.neg()?.exp()? + 1.0)?.recip()?;
    let gate = ((sigmoid * 4.0)? / &temperatures)?;
    let clipped = is_positive.zeros_like()?;
    Ok(Surrogate { terms: (gate * advantages)?, clipped })
}

/// `k` and `lambda` of VESPO where A >= 0, and where A < 0.
const VESPO: [[f64; 2]; 2] = [[2.0, 3.0], [3.0, 2.0]];

/// VESPO's weights (tokens): `phi(w) = exp(lambda) w^k exp(-lambda w)` of the response's ratio `w =
/// exp(sum over its tokens of the log-ratio)`, which is between 1e-8 and exp(20); each token's
/// log-ratio counts with 20 at most in size. phi(1) = 1.
fn vespo_weights(log_ratio: &Tensor, advantages: &Tensor, lengths: &[usize]) -> Result<Tensor> {
    let wide = |tensor: &Tensor| tensor.detach().to_dtype(DType::F64)?.to_vec1::<f64>();
    let (log_ratios, advantages) = (wide(log_ratio)?, wide(advantages)?);
    let (mut start, mut weights) = (0, Vec::with_capacity(log_ratios.len()));
    for &length in lengths {
        let tokens = start..start + length;
        start += length;
        let sum: f64 = log_ratios[tokens.clone()].iter().map(|r| r.clamp(-20.0, 20.0)).sum();
        let log_w = sum.clamp(1e-8f64.ln(), 20.0);
        let is_negative = advantages[tokens].first().is_some_and(|&advantage| advantage < 0.0);
        let [k, lambda] = VESPO[usize::from(is_negative)];
        let phi = lambda.mul_add(1.0 - log_w.exp(), k * log_w).exp();
        weights.extend(std::iter::repeat_n(phi, length));
    }
    let tokens = weights.len();
    Ok(Tensor::from_vec(weights, tokens, log_ratio.device())?.to_dtype(log_ratio.dtype())?)
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
        for loss in crate::objective::tests::ALL {
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
