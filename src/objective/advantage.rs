//! Advantages: how much better each response is than its group.

use serde::{Deserialize, Serialize};

/// The eps under the root.
const EPSILON: f64 = 1e-6;

/// A spread of rewards within a group of at most this, relative to the largest of 1 and their size,
/// is rounding.
const NOISE: f64 = 1e-6;

/// What the rewards of a group, less their mean, are divided by.
///
/// With the population variance and its eps under the root, as in step 9 of the method. TRL
/// (`scale_rewards`) divides by the sample deviation plus 1e-4 instead, so that its advantages are
/// smaller by about `sqrt(1 - 1/n)` of n rewards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdvantageScale {
    /// `sqrt(variance + 1e-6)` of the group: every group with any difference has the same weight.
    #[default]
    Group,
    /// `sqrt(variance + 1e-6)` of the rewards of all the step's groups.
    Batch,
    /// 1, as in Dr. GRPO (arXiv 2503.20783): no bias towards groups that are nearly all right or
    /// all wrong.
    Unscaled,
}

/// What a response's reward is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdvantageEstimator {
    /// The mean of its group.
    #[default]
    Grpo,
    /// The mean of the others of its group (RLOO, arXiv 2402.14740): `m / (m - 1)` times the above.
    Rloo,
    /// The mean of its group, in which each response counts by its length (OPO, arXiv 2505.23585):
    /// the baseline of least variance where a gradient's size grows with the length.
    Opo,
    /// The mean of its group, which the difference is divided by (MaxRL, arXiv 2602.02710): for
    /// rewards x in {0, 1} the estimate of the gradient of log pass rate. A reward r counts as x = (r
    /// + 1) / 2. 0 in a group whose mean x is not above 0.
    MaxRl,
    /// The second best of its group, for the best response alone; the others have 0 (pass@k, arXiv
    /// 2503.19595). Of equal ones the first is the best.
    PassAtK,
}

impl AdvantageEstimator {
    /// The scale that the estimator is defined with.
    pub fn scale(self) -> AdvantageScale {
        match self {
            Self::Grpo | Self::PassAtK => AdvantageScale::Group,
            Self::Rloo | Self::Opo | Self::MaxRl => AdvantageScale::Unscaled,
        }
    }

    /// Advantages of a step's groups: rewards (groups, m) and lengths in tokens (groups, m) to
    /// (groups, m), where groups may differ in size.
    ///
    /// All 0 in a group whose rewards are equal; `max - min <= 1e-6 max(1, max |r|)` counts as
    /// equal, because such a spread comes from rounding and must not become a direction of
    /// training.
    pub fn advantages(
        self,
        scale: AdvantageScale,
        rewards: &[Vec<f32>],
        lengths: &[Vec<usize>],
    ) -> Vec<Vec<f32>> {
        let whole = deviation(rewards.iter().flatten().copied());
        let of_group = |(rewards, lengths): (&Vec<f32>, &Vec<usize>)| {
            if differ_by_rounding(rewards) {
                return vec![0.0; rewards.len()];
            }
            let divisor = match scale {
                AdvantageScale::Group => deviation(rewards.iter().copied()),
                AdvantageScale::Batch => whole,
                AdvantageScale::Unscaled => 1.0,
            };
            let differences = self.differences(rewards, lengths);
            differences.into_iter().map(|difference| (difference / divisor) as f32).collect()
        };
        rewards.iter().zip(lengths).map(of_group).collect()
    }

    /// What each response is better by, before it is divided.
    fn differences(self, rewards: &[f32], lengths: &[usize]) -> Vec<f64> {
        let wide: Vec<f64> = rewards.iter().copied().map(f64::from).collect();
        let from = |baseline: f64| wide.iter().map(|r| r - baseline).collect::<Vec<_>>();
        let mean = mean(wide.iter().copied());
        match self {
            Self::Grpo => from(mean),
            Self::Rloo => {
                let m = wide.len() as f64;
                from(mean).into_iter().map(|difference| difference * m / (m - 1.0)).collect()
            }
            Self::Opo => {
                let tokens = lengths.iter().sum::<usize>().max(1) as f64;
                let sum: f64 = wide.iter().zip(lengths).map(|(r, &n)| r * n as f64).sum();
                from(sum / tokens)
            }
            Self::MaxRl => {
                let pass_rate = f64::midpoint(mean, 1.0);
                let scale = if pass_rate > 0.0 { 0.5 / pass_rate } else { 0.0 };
                from(mean).into_iter().map(|difference| difference * scale).collect()
            }
            Self::PassAtK => {
                let mut order: Vec<usize> = (0..wide.len()).collect();
                order.sort_by(|&a, &b| wide[b].total_cmp(&wide[a]));
                let mut differences = vec![0.0; wide.len()];
                if let [best, second, ..] = order[..] {
                    differences[best] = wide[best] - wide[second];
                }
                differences
            }
        }
    }
}

/// Whether the rewards of a group are all equal, bit for bit: nothing tells its responses apart.
pub fn is_uniform(rewards: &[f32]) -> bool {
    rewards.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits())
}

/// Advantages (m) of one group's rewards (m) by [`AdvantageScale::Group`]:
/// `(r - mean) / sqrt(population variance + 1e-6)`.
pub fn group_advantages(rewards: &[f32]) -> Vec<f32> {
    if differ_by_rounding(rewards) {
        return vec![0.0; rewards.len()];
    }
    let wide = || rewards.iter().copied().map(f64::from);
    let (mean, divisor) = (mean(wide()), deviation(rewards.iter().copied()));
    wide().map(|reward| ((reward - mean) / divisor) as f32).collect()
}

fn differ_by_rounding(rewards: &[f32]) -> bool {
    let wide = || rewards.iter().copied().map(f64::from);
    let (low, high) =
        (wide().fold(f64::INFINITY, f64::min), wide().fold(f64::NEG_INFINITY, f64::max));
    high - low <= NOISE * low.abs().max(high.abs()).max(1.0)
}

fn deviation(rewards: impl Iterator<Item = f32> + Clone) -> f64 {
    let rewards = rewards.map(f64::from);
    let center = mean(rewards.clone());
    (mean(rewards.map(|reward| (reward - center).powi(2))) + EPSILON).sqrt()
}

fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    values.clone().sum::<f64>() / values.count() as f64
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these results are exact, or equal bit for bit")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [AdvantageScale; 3] =
        [AdvantageScale::Group, AdvantageScale::Batch, AdvantageScale::Unscaled];

    impl AdvantageScale {
        /// Of [`AdvantageEstimator::Grpo`], which knows no lengths.
        fn advantages(self, groups: &[Vec<f32>]) -> Vec<Vec<f32>> {
            let lengths: Vec<Vec<usize>> =
                groups.iter().map(|group| vec![1; group.len()]).collect();
            AdvantageEstimator::Grpo.advantages(self, groups, &lengths)
        }
    }

    #[test]
    fn each_estimator_compares_with_what_it_says() {
        let (rewards, lengths) = ([vec![1.0, -1.0, -1.0, 0.5]], [vec![4, 2, 2, 2]]);
        let found = |estimator: AdvantageEstimator| {
            assert_eq!(
                estimator.advantages(estimator.scale(), &[vec![0.7; 3]], &[vec![1; 3]]),
                [[0.0; 3]]
            );
            let unscaled = AdvantageScale::Unscaled;
            estimator.advantages(unscaled, &rewards, &lengths).remove(0)
        };
        assert_eq!(found(AdvantageEstimator::Grpo), [1.125, -0.875, -0.875, 0.625]);
        assert_eq!(found(AdvantageEstimator::Rloo), [1.5, -3.5 / 3.0, -3.5 / 3.0, 2.5 / 3.0]);
        // The baseline is (4 - 2 - 2 + 1) / 10.
        assert_eq!(found(AdvantageEstimator::Opo), [0.9, -1.1, -1.1, 0.4]);
        // As x: 1, 0, 0, 3/4, of mean 7/16.
        assert_eq!(found(AdvantageEstimator::MaxRl), [9.0 / 7.0, -1.0, -1.0, 5.0 / 7.0]);
        assert_eq!(found(AdvantageEstimator::PassAtK), [0.5, 0.0, 0.0, 0.0]);
        let group =
            AdvantageEstimator::PassAtK.advantages(AdvantageScale::Group, &rewards, &lengths);
        assert!((f64::from(group[0][0]) - 0.5 / (0.796_875f64 + 1e-6).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn half_right_gives_plus_and_minus_one() {
        let expected = 1.0 / (1.0f64 + 1e-6).sqrt();
        for (advantage, sign) in
            group_advantages(&[1.0, -1.0, -1.0, 1.0]).into_iter().zip([1.0, -1.0, -1.0, 1.0])
        {
            assert_eq!(advantage, (sign * expected) as f32);
        }
    }

    #[test]
    fn each_scale_divides_by_what_it_says() {
        let groups = [vec![1.0, -1.0, -1.0, -1.0], vec![1.0, 1.0, 0.5, 0.5], vec![1.0; 4]];
        for (scale, divisors) in [
            (AdvantageScale::Group, [0.75f64, 0.0625].map(|variance| (variance + 1e-6).sqrt())),
            // The twelve rewards sum to 5, their squares to 10.5.
            (AdvantageScale::Batch, [(10.5 / 12.0 - 25.0 / 144.0 + 1e-6f64).sqrt(); 2]),
            (AdvantageScale::Unscaled, [1.0; 2]),
        ] {
            let advantages = scale.advantages(&groups);
            for (found, centred) in advantages[0].iter().zip([1.5, -0.5, -0.5, -0.5]) {
                assert!(
                    (f64::from(*found) - centred / divisors[0]).abs() < 1e-6,
                    "{scale:?} {found}"
                );
            }
            for (found, centred) in advantages[1].iter().zip([0.25, 0.25, -0.25, -0.25]) {
                assert!(
                    (f64::from(*found) - centred / divisors[1]).abs() < 1e-6,
                    "{scale:?} {found}"
                );
            }
            assert_eq!(advantages[2], [0.0; 4]);
        }
    }

    #[test]
    fn equal_rewards_and_rounding_noise_give_nothing() {
        assert_eq!(group_advantages(&[1.25; 5]), [0.0; 5]);
        assert_eq!(group_advantages(&[0.7]), [0.0]);
        assert!(group_advantages(&[]).is_empty());
        for scale in ALL {
            let advantages = scale.advantages(&[
                vec![0.1, 0.1 + f32::EPSILON * 0.1],
                vec![1.0, -1.0],
                Vec::new(),
            ]);
            assert_eq!(advantages[0], [0.0; 2], "{scale:?}");
            assert!(advantages[1][0] > 0.0 && advantages[2].is_empty());
        }
    }

    fn groups() -> impl Strategy<Value = Vec<Vec<f32>>> {
        // Multiples of 1/8 stay exact when they are shifted by one.
        let reward = (-24i8..24).prop_map(|eighths| f32::from(eighths) / 8.0);
        prop::collection::vec(prop::collection::vec(reward, 1..9), 1..5)
    }

    fn near(a: &[Vec<f32>], b: &[Vec<f32>]) -> bool {
        a.iter()
            .flatten()
            .zip(b.iter().flatten())
            .all(|(a, b)| (a - b).abs() <= 1e-5 * a.abs().max(1.0))
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

        #[test]
        fn a_shift_of_all_rewards_changes_nothing(groups in groups(), eighths in -80i8..80) {
            let shift = f32::from(eighths) / 8.0;
            let shifted: Vec<Vec<f32>> = groups.iter().map(|g| g.iter().map(|r| r + shift).collect()).collect();
            for scale in ALL {
                prop_assert!(near(&scale.advantages(&groups), &scale.advantages(&shifted)), "{:?}", scale);
            }
        }

        #[test]
        fn advantages_follow_a_permutation_of_rewards_and_groups(groups in groups(), turn in 0usize..9) {
            let turned = |groups: &[Vec<f32>]| {
                let mut groups = groups.to_vec();
                for group in &mut groups {
                    let by = turn % group.len();
                    group.rotate_left(by);
                }
                groups.reverse();
                groups
            };
            for scale in ALL {
                let (after, before) = (scale.advantages(&turned(&groups)), turned(&scale.advantages(&groups)));
                prop_assert!(near(&after, &before), "{:?}", scale);
            }
        }
    }
}
