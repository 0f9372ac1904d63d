//! How much each token counts in a response's feature.

use super::EPSILON;
use serde::{Deserialize, Serialize};

/// The weights alpha of `Phi = sum_t alpha_t phi_t / (sum_t alpha_t + eps)` (G2RL, arXiv
/// 2512.15687v1, equation 8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenWeights {
    /// `alpha_t = 1`: every token counts alike.
    #[default]
    Uniform,
    /// `alpha_t` is the entropy of the distribution that token t was drawn from, nats: tokens at
    /// which the policy had a choice count, those that had to follow do not.
    Entropy,
}

impl TokenWeights {
    /// alpha of a token that was drawn from a distribution of this entropy, nats.
    pub fn alpha(self, entropy: f32) -> f32 {
        match self {
            Self::Uniform => 1.0,
            Self::Entropy => entropy,
        }
    }

    /// The feature Phi (d) from `weighted_sum = sum_t alpha_t phi_t` (d) and the tokens'
    /// `entropies`, nats.
    pub fn feature(self, weighted_sum: &[f32], entropies: &[f32]) -> Vec<f32> {
        let total: f64 = entropies.iter().map(|&entropy| f64::from(self.alpha(entropy))).sum();
        let scale = 1.0 / (total + EPSILON);
        weighted_sum.iter().map(|&sum| (f64::from(sum) * scale) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_weights_average_and_entropies_weigh() {
        let (phi, entropies) = ([[1.0f32, -2.0], [3.0, 0.5], [-1.0, 4.0]], [0.25f32, 0.0, 1.5]);
        for (weights, alphas) in
            [(TokenWeights::Uniform, [1.0f64; 3]), (TokenWeights::Entropy, [0.25, 0.0, 1.5])]
        {
            let sum: Vec<f32> = (0..2)
                .map(|d| {
                    phi.iter()
                        .zip(entropies)
                        .map(|(phi, entropy)| weights.alpha(entropy) * phi[d])
                        .sum()
                })
                .collect();
            let feature = weights.feature(&sum, &entropies);
            for d in 0..2 {
                let expected = phi
                    .iter()
                    .zip(alphas)
                    .map(|(phi, alpha)| alpha * f64::from(phi[d]))
                    .sum::<f64>()
                    / (alphas.iter().sum::<f64>() + EPSILON);
                assert!(
                    (f64::from(feature[d]) - expected).abs() < 1e-6,
                    "{weights:?}: {feature:?}"
                );
            }
        }
    }

    #[test]
    fn a_response_without_any_choice_has_no_direction() {
        assert_eq!(TokenWeights::Entropy.feature(&[0.0, 0.0], &[0.0; 5]), [0.0, 0.0]);
    }
}
