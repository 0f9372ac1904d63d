//! Advantages within a group.

/// The eps under the root.
const EPSILON: f64 = 1e-6;

/// A spread of rewards within a group of at most this, relative to the largest of 1 and their size, is rounding.
const NOISE: f64 = 1e-6;

/// Advantages (m) of a group's rewards (m): `(r - mean) / sqrt(population variance + 1e-6)`.
///
/// GRPO's standardisation, step 9 of the method. All 0 where the rewards are equal; `max - min <= 1e-6 max(1, max |r|)`
/// counts as equal, because such a spread comes from rounding and must not become a direction of training.
pub fn group_advantages(rewards: &[f32]) -> Vec<f32> {
    let rewards: Vec<f64> = rewards.iter().copied().map(f64::from).collect();
    let low = rewards.iter().copied().fold(f64::INFINITY, f64::min);
    let high = rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if high - low <= NOISE * low.abs().max(high.abs()).max(1.0) {
        return vec![0.0; rewards.len()];
    }
    let count = rewards.len() as f64;
    let mean = rewards.iter().sum::<f64>() / count;
    let variance = rewards.iter().map(|reward| (reward - mean).powi(2)).sum::<f64>() / count;
    let deviation = (variance + EPSILON).sqrt();
    rewards.iter().map(|reward| ((reward - mean) / deviation) as f32).collect()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these results are exact, or equal bit for bit")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn half_right_gives_plus_and_minus_one() {
        let expected = 1.0 / (1.0f64 + 1e-6).sqrt();
        for (advantage, sign) in group_advantages(&[1.0, -1.0, -1.0, 1.0]).into_iter().zip([1.0, -1.0, -1.0, 1.0]) {
            assert_eq!(advantage, (sign * expected) as f32);
        }
    }

    #[test]
    fn equal_rewards_and_rounding_noise_give_nothing() {
        assert_eq!(group_advantages(&[1.25; 5]), [0.0; 5]);
        assert_eq!(group_advantages(&[0.1, 0.1 + f32::EPSILON * 0.1]), [0.0; 2]);
        assert_eq!(group_advantages(&[0.7]), [0.0]);
        assert!(group_advantages(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn advantages_sum_to_zero_and_have_at_most_unit_variance(rewards in prop::collection::vec(-3.0f32..3.0, 1..17)) {
            let advantages = group_advantages(&rewards);
            let count = rewards.len() as f64;
            let mean = advantages.iter().copied().map(f64::from).sum::<f64>() / count;
            let variance = advantages.iter().map(|&a| (f64::from(a) - mean).powi(2)).sum::<f64>() / count;
            prop_assert!(mean.abs() < 1e-6 && variance <= 1.0 + 1e-6, "{} {}", mean, variance);
        }
    }
}
