//! Estimators of the KL divergence from the reference policy.

use super::MAX_LOG_RATIO;
use crate::error::Result;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Estimators, from one sampled token each, of the KL divergence `KL(policy || reference)`, with
/// `d = l_ref - l`.
///
/// Names and properties after John Schulman, "Approximating KL divergence" (2020), for tokens
/// sampled from the policy:
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
    /// The estimate of every token, nats: `(tokens)` from the log-probabilities under the policy
    /// `(tokens)` and under the reference `(tokens)`, which is a constant. Differentiable in
    /// `logprobs`.
    ///
    /// In `f32`, K3 of nearly equal log-probabilities carries an absolute rounding error of 1e-7.
    /// In its `exp` the difference is capped at 60.
    pub fn per_token(self, logprobs: &Tensor, reference: &Tensor) -> Result<Tensor> {
        let difference = (reference.detach() - logprobs)?; // (tokens)
        Ok(match self {
            Self::K1 => difference.neg()?,
            Self::K2 => (difference.sqr()? * 0.5)?,
            Self::K3 => ((difference.minimum(MAX_LOG_RATIO)?.exp()? - &difference)? - 1.0)?,
        })
    }
}

/// Largest relative error that the controller of the coefficient acts on.
const ERROR_CLIP: f64 = 0.2;

/// Largest coefficient, also of an experiment. The smallest is above 0, from where there would be
/// no way back.
pub(crate) const MAX_KL_COEFFICIENT: f64 = 100.0;

/// The coefficient of the next step, after a step with `coefficient` in which the mean KL per token
/// was `kl`, nats:
///
/// `coefficient (1 + K clip((kl - target) / target, -0.2, 0.2))` with `K = 1 / horizon`,
///
/// the proportional controller of Ziegler et al. (2019, arXiv 1909.08593, eq. 3). The paper has K =
/// 0.1 and the KL of whole responses. Stays within 100 and the smallest normal number.
pub fn adapted_kl_coefficient(coefficient: f64, kl: f64, target: f64, horizon: u64) -> f64 {
    let error = ((kl - target) / target).clamp(-ERROR_CLIP, ERROR_CLIP);
    (coefficient * (1.0 + error / horizon as f64)).clamp(f64::MIN_POSITIVE, MAX_KL_COEFFICIENT)
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these results are exact, or equal bit for bit")]
mod tests {
    use super::*;
    use crate::objective::tests::check_gradient;
    use candle_core::{DType, Device};

    const ALL: [KlEstimator; 3] = [KlEstimator::K1, KlEstimator::K2, KlEstimator::K3];

    #[test]
    fn the_coefficient_moves_in_proportion_to_the_error_within_bounds() {
        for (kl, horizon, factor) in [
            (0.02, 10, 1.0),
            (0.021, 10, 1.005),
            (0.018, 100, 0.999),
            (7.0, 10, 1.02),
            (0.0, 10, 0.98),
            (-3.0, 1, 0.8),
        ] {
            let found = adapted_kl_coefficient(0.5, kl, 0.02, horizon);
            assert!((found - 0.5 * factor).abs() < 1e-15, "{kl} {horizon}: {found}");
        }
        let many =
            |kl: f64| (0..10_000).fold(0.1, |beta, _| adapted_kl_coefficient(beta, kl, 0.02, 1));
        assert_eq!(many(1.0), MAX_KL_COEFFICIENT);
        assert_eq!(many(0.0), f64::MIN_POSITIVE);
        assert!(adapted_kl_coefficient(many(0.0), 1.0, 0.02, 1) > f64::MIN_POSITIVE);
    }

    /// A policy whose KL is inversely proportional to the coefficient ends where its KL is the
    /// target, from either side.
    #[test]
    fn the_controller_settles_where_the_kl_is_the_target() {
        for start in [1e-4, 0.05, 10.0] {
            let kl = |beta: f64| 0.002 / beta;
            let beta =
                (0..2000).fold(start, |beta, _| adapted_kl_coefficient(beta, kl(beta), 0.02, 10));
            assert!((kl(beta) - 0.02).abs() < 1e-12, "{start}: {beta}");
        }
    }

    #[test]
    fn values_obey_the_formulas() {
        let (l, reference) = (-1.2f64, -0.5);
        for (estimator, expected) in [
            (KlEstimator::K1, -0.7),
            (KlEstimator::K2, 0.245),
            (KlEstimator::K3, 0.7f64.exp() - 1.7),
        ] {
            let tensor = |value: f64| Tensor::new(&[value], &Device::Cpu).unwrap();
            let value = estimator
                .per_token(&tensor(l), &tensor(reference))
                .unwrap()
                .to_vec1::<f64>()
                .unwrap()[0];
            assert!((value - expected).abs() < 1e-15, "{estimator:?}: {value}");
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let reference = Tensor::new(&[-1.0f64, -2.5, -0.3, -4.0], &Device::Cpu).unwrap();
        for estimator in ALL {
            check_gradient(&[-1.2, -2.0, -0.35, -4.0], |logprobs| {
                estimator.per_token(logprobs, &reference)
            });
        }
    }

    #[test]
    fn equal_policies_have_no_divergence_and_absurd_differences_stay_finite() {
        let logprobs = Tensor::new(&[-1.0f32, -200.0, -0.1], &Device::Cpu).unwrap();
        let reference = Tensor::new(&[-1.0f32, -0.1, -200.0], &Device::Cpu).unwrap();
        for estimator in ALL {
            let values =
                estimator.per_token(&logprobs, &reference).unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(values[0], 0.0);
            assert!(values.iter().all(|value| value.is_finite()), "{values:?}");
        }
        let reference = reference.to_dtype(DType::F64).unwrap();
        check_gradient(&[-1.0, -40.0, -0.1], |logprobs| {
            KlEstimator::K2.per_token(logprobs, &reference)
        });
    }
}
