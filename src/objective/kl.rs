//! Estimators of the KL divergence from the reference policy.

use super::MAX_LOG_RATIO;
use crate::error::Result;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Estimators, from one sampled token each, of the KL divergence `KL(policy || reference)`, with `d = l_ref - l`.
///
/// Names and properties after John Schulman, "Approximating KL divergence" (2020), for tokens sampled from the policy:
///
/// | | Value | Bias of the value | Gradient with respect to `l` | Expected gradient |
/// |---|---|---|---|---|
/// | K1 | `-d` | none, may be negative | `1` | zero: no penalty when used as a loss |
/// | K2 | `d^2 / 2` | small | `-d` | that of `KL(policy \|\| reference)` |
/// | K3 | `exp(d) - d - 1` | none, never negative | `1 - exp(d)` | that of `KL(reference \|\| policy)` |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KlEstimator {
    /// `l - l_ref`.
    K1,
    /// `(l - l_ref)^2 / 2`.
    K2,
    /// `exp(l_ref - l) - (l_ref - l) - 1`: GRPO's.
    #[default]
    K3,
}

impl KlEstimator {
    /// The estimate of every token, nats: `(tokens)` from the log-probabilities under the policy `(tokens)` and under the
    /// reference `(tokens)`, which is a constant. Differentiable in `logprobs`.
    ///
    /// In `f32`, K3 of nearly equal log-probabilities carries an absolute rounding error of 1e-7. In its `exp` the difference is
    /// capped at 60.
    pub fn per_token(self, logprobs: &Tensor, reference: &Tensor) -> Result<Tensor> {
        let difference = (reference.detach() - logprobs)?; // (tokens)
        Ok(match self {
            Self::K1 => difference.neg()?,
            Self::K2 => (difference.sqr()? * 0.5)?,
            Self::K3 => ((difference.minimum(MAX_LOG_RATIO)?.exp()? - &difference)? - 1.0)?,
        })
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these results are exact, or equal bit for bit")]
mod tests {
    use super::*;
    use crate::objective::tests::check_gradient;
    use candle_core::{DType, Device};

    const ALL: [KlEstimator; 3] = [KlEstimator::K1, KlEstimator::K2, KlEstimator::K3];

    #[test]
    fn values_obey_the_formulas() {
        let (l, reference) = (-1.2f64, -0.5);
        for (estimator, expected) in
            [(KlEstimator::K1, -0.7), (KlEstimator::K2, 0.245), (KlEstimator::K3, 0.7f64.exp() - 1.7)]
        {
            let tensor = |value: f64| Tensor::new(&[value], &Device::Cpu).unwrap();
            let value = estimator.per_token(&tensor(l), &tensor(reference)).unwrap().to_vec1::<f64>().unwrap()[0];
            assert!((value - expected).abs() < 1e-15, "{estimator:?}: {value}");
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let reference = Tensor::new(&[-1.0f64, -2.5, -0.3, -4.0], &Device::Cpu).unwrap();
        for estimator in ALL {
            check_gradient(&[-1.2, -2.0, -0.35, -4.0], |logprobs| estimator.per_token(logprobs, &reference));
        }
    }

    #[test]
    fn equal_policies_have_no_divergence_and_absurd_differences_stay_finite() {
        let logprobs = Tensor::new(&[-1.0f32, -200.0, -0.1], &Device::Cpu).unwrap();
        let reference = Tensor::new(&[-1.0f32, -0.1, -200.0], &Device::Cpu).unwrap();
        for estimator in ALL {
            let values = estimator.per_token(&logprobs, &reference).unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(values[0], 0.0);
            assert!(values.iter().all(|value| value.is_finite()), "{values:?}");
        }
        let reference = reference.to_dtype(DType::F64).unwrap();
        check_gradient(&[-1.0, -40.0, -0.1], |logprobs| KlEstimator::K2.per_token(logprobs, &reference));
    }
}
