//! The exploration score and the reward that it shapes.

use super::{CosineMatrix, EPSILON};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How the unexplained part of a direction becomes the exploration score nu.
///
/// Equation 11 of the paper is printed without a root; its reading as "the remaining component of a
/// unit vector" has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoveltyForm {
    /// `nu = sqrt(max(1 - sum_j w_ij S_ij^2, 0))`: the length of the remaining component.
    #[default]
    Residual,
    /// `nu = max(1 - sum_j w_ij S_ij^2, 0)`: its square.
    Squared,
}

/// Which way novelty moves the reward of an incorrect response.
///
/// Equations 12 and 13 of the paper and the prose of its section 2.4 contradict each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IncorrectSign {
    /// `-1 + lambda nu_bar`: a novel wrong answer is penalised less.
    #[default]
    AsEquation,
    /// `-(1 + lambda (nu_bar - 1/2))`: a novel wrong answer is penalised more, a near-miss less.
    AsProse,
}

/// How the strength lambda of the shaping changes over a run. The paper keeps it constant; a
/// falling one explores first and ends as GRPO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum LambdaSchedule {
    /// lambda in every step.
    #[default]
    Constant,
    /// On a straight line from lambda in step 1 to `to` in step `over_steps` + 1, and `to` from
    /// there on.
    Linear {
        /// The strength in the end, 0 to 2.
        to: f64,
        /// Steps that the change takes, at least 1.
        over_steps: u64,
    },
}

impl LambdaSchedule {
    /// The strength at `step` (from 1) of a schedule that starts at `lambda`.
    pub fn strength(self, lambda: f64, step: u64) -> f64 {
        match self {
            Self::Constant => lambda,
            Self::Linear { to, over_steps } => {
                let done = (step.saturating_sub(1) as f64 / over_steps.max(1) as f64).min(1.0);
                (1.0 - done) * lambda + done * to
            }
        }
    }
}

/// Exploration scores nu (m), each in [0, 1], of a group with base rewards `rewards` (m).
///
/// `nu_i` is the part of i's direction that its high-reward peers do not explain: with
/// `w_ij = exp(r_j) [j != i] / (sum_{k != i} exp(r_k) + eps)`, one minus `sum_j w_ij S_ij^2`, under
/// a root by [`NoveltyForm::Residual`]. A response without peers has nu = 1.
///
/// Because of both eps, m equal directions of norm n do not score exactly 0 but up to
/// `eps (1/E + 4/n)` on the squared scale, where `E = sum_{k != i} exp(r_k)`: about 0.002 after the
/// root for norms near 1.
///
/// Fails where there is not one reward for each response or `exp` of a reward is not finite.
pub fn novelty(cosines: &CosineMatrix, rewards: &[f32], form: NoveltyForm) -> Result<Vec<f32>> {
    if rewards.len() != cosines.size() {
        return Err(Error::input(format!(
            "{} rewards for a group of {} responses",
            rewards.len(),
            cosines.size()
        )));
    }
    let exponentials: Vec<f64> = rewards.iter().map(|&reward| f64::from(reward).exp()).collect();
    if !exponentials.iter().sum::<f64>().is_finite() {
        return Err(Error::input(
            "novelty weights need finite rewards of moderate size, such as -1 and 1",
        ));
    }
    let scores = (0..cosines.size()).map(|i| {
        let (mut explained, mut total) = (0.0, EPSILON);
        for (j, (&cosine, &weight)) in cosines.row(i).iter().zip(&exponentials).enumerate() {
            if j != i {
                explained += weight * f64::from(cosine).powi(2);
                total += weight;
            }
        }
        let squared = (1.0 - explained / total).clamp(0.0, 1.0);
        match form {
            NoveltyForm::Residual => squared.sqrt() as f32,
            NoveltyForm::Squared => squared as f32,
        }
    });
    Ok(scores.collect())
}

/// Largest spread of squared novelty, `max nu^2 - min nu^2`, that counts as no spread at all.
///
/// The eps in the weights alone makes two responses of equal novelty but different reward differ by
/// up to 2.4e-6 (a pair with rewards -1 and +1), and `f32` cosines add 2e-7. Min-max normalisation
/// would blow this up to 0 and 1.
const NOISE: f64 = 1e-5;

/// Scores normalised within the group: `(nu_i - min nu) / (max nu - min nu)`, each in [0, 1].
///
/// 0 for all where max = min. A spread of at most 1e-5 on the squared scale (`max nu^2 - min nu^2`
/// for [`NoveltyForm::Residual`], `max nu - min nu` for [`NoveltyForm::Squared`]) is the work of
/// eps and rounding and counts as none; so does a group with a score that is not a finite number.
pub fn normalize_novelty(novelty: &[f32], form: NoveltyForm) -> Vec<f32> {
    let squared = |nu: f64| match form {
        NoveltyForm::Residual => nu * nu,
        NoveltyForm::Squared => nu,
    };
    let low = novelty.iter().copied().fold(f64::INFINITY, |low, nu| low.min(f64::from(nu)));
    let high = novelty.iter().copied().fold(f64::NEG_INFINITY, |high, nu| high.max(f64::from(nu)));
    let spread = squared(high) - squared(low);
    if !(spread > NOISE && spread.is_finite()) || novelty.iter().any(|nu| !nu.is_finite()) {
        return vec![0.0; novelty.len()];
    }
    novelty.iter().map(|&nu| ((f64::from(nu) - low) / (high - low)) as f32).collect()
}

/// The shaped reward `r (1 + lambda r nu_bar)`, clipped to [-clip, clip].
///
/// `reward` is the base reward, such as +1 or -1, and `novelty_normalized` is `nu_bar` in [0, 1]. For
/// negative rewards `sign` chooses between this equation and `r (1 + lambda (nu_bar - 1/2))`, which
/// is the prose for r = -1. With `lambda` = 0 the reward comes back bit for bit if it lies within
/// the clip.
pub fn shaped_reward(
    reward: f32,
    novelty_normalized: f32,
    lambda: f32,
    clip: f32,
    sign: IncorrectSign,
) -> f32 {
    let [r, nu, lambda] = [reward, novelty_normalized, lambda].map(f64::from);
    let bonus = match sign {
        IncorrectSign::AsProse if r < 0.0 => nu - 0.5,
        IncorrectSign::AsEquation | IncorrectSign::AsProse => r * nu,
    };
    let shaped = (r * (1.0 + lambda * bonus)) as f32;
    let clip = clip.abs();
    if shaped > clip {
        clip
    } else if shaped < -clip {
        -clip
    } else {
        shaped
    }
}

/// How novelty shapes the rewards of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shaping {
    /// Strength, at least 0.
    pub lambda: f32,
    /// Shaped rewards lie within plus and minus this.
    pub clip: f32,
    /// Which way novelty moves the reward of an incorrect response.
    pub incorrect: IncorrectSign,
    /// Whether groups whose base rewards are all equal are shaped too.
    pub shape_uniform_groups: bool,
}

/// The shaped rewards (m) of a group with base rewards `rewards` (m) and normalised novelty
/// `novelty_normalized` (m), by [`shaped_reward`]. A group of equal rewards that is not to be
/// shaped keeps them, within the clip.
pub fn shape_group(rewards: &[f32], novelty_normalized: &[f32], shaping: &Shaping) -> Vec<f32> {
    let uniform = rewards.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits());
    let lambda = if uniform && !shaping.shape_uniform_groups { 0.0 } else { shaping.lambda };
    let shape = |(&reward, &nu)| shaped_reward(reward, nu, lambda, shaping.clip, shaping.incorrect);
    rewards.iter().zip(novelty_normalized).map(shape).collect()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these results are exact, or equal bit for bit")]
mod tests {
    use super::*;
    use crate::geometry::unit_features;
    use proptest::prelude::*;

    #[test]
    fn a_direction_orthogonal_to_its_peers_is_all_new_and_a_lone_response_too() {
        let matrix = CosineMatrix::from_features(&[1.0, 0.0, 0.0, 2.0], 2).unwrap();
        assert_eq!(novelty(&matrix, &[1.0, -1.0], NoveltyForm::Residual).unwrap(), [1.0, 1.0]);
        let lone = CosineMatrix::from_features(&[1.0, 0.0], 2).unwrap();
        assert_eq!(novelty(&lone, &[1.0], NoveltyForm::Squared).unwrap(), [1.0]);
        assert!(novelty(&lone, &[1.0, 1.0], NoveltyForm::Residual).is_err());
        assert!(novelty(&lone, &[f32::NAN], NoveltyForm::Residual).is_err());
        assert!(novelty(&lone, &[1000.0], NoveltyForm::Residual).is_err());
    }

    #[test]
    fn correct_peers_explain_more_than_incorrect_ones() {
        // The first response shares the direction of the second; the third is orthogonal to both.
        let matrix = CosineMatrix::from_features(&[1.0, 0.0, 1.0, 0.0, 0.0, 1.0], 2).unwrap();
        let [good, bad] = [[-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]]
            .map(|rewards| novelty(&matrix, &rewards, NoveltyForm::Squared).unwrap()[0]);
        let e = std::f32::consts::E;
        assert!((good - (1.0 - e / (e + 1.0 / e))).abs() < 1e-5, "{good}");
        assert!((bad - (1.0 - (1.0 / e) / (e + 1.0 / e))).abs() < 1e-5, "{bad}");
    }

    #[test]
    fn a_pair_is_equally_novel_whatever_its_rewards() {
        let matrix = CosineMatrix::from_features(&[1.0, 0.1, 1.0, 0.0], 2).unwrap();
        for form in [NoveltyForm::Residual, NoveltyForm::Squared] {
            let nu = novelty(&matrix, &[1.0, -1.0], form).unwrap();
            assert_eq!(normalize_novelty(&nu, form), [0.0, 0.0]);
        }
    }

    #[test]
    fn normalisation_spans_zero_to_one() {
        let form = NoveltyForm::Residual;
        assert_eq!(normalize_novelty(&[0.25, 0.75, 0.5], form), [0.0, 1.0, 0.5]);
        assert_eq!(normalize_novelty(&[0.5, 0.5], form), [0.0, 0.0]);
        assert_eq!(normalize_novelty(&[0.5, 0.500001], form), [0.0, 0.0]);
        assert_eq!(normalize_novelty(&[0.5, f32::NAN], form), [0.0, 0.0]);
        assert!(normalize_novelty(&[], form).is_empty());
    }

    #[test]
    fn lambda_moves_on_a_straight_line_and_then_stays() {
        let falling = LambdaSchedule::Linear { to: 0.0, over_steps: 4 };
        assert_eq!(
            [1, 2, 3, 4, 5, 6, 99].map(|step| falling.strength(0.5, step)),
            [0.5, 0.375, 0.25, 0.125, 0.0, 0.0, 0.0]
        );
        assert_eq!(LambdaSchedule::Linear { to: 2.0, over_steps: 1 }.strength(1.0, 2), 2.0);
        assert_eq!(LambdaSchedule::Constant.strength(0.5, 1000), 0.5);
    }

    #[test]
    fn both_signs_follow_their_text() {
        use IncorrectSign::{AsEquation, AsProse};
        assert_eq!(shaped_reward(1.0, 0.5, 0.5, 3.0, AsEquation), 1.25);
        assert_eq!(shaped_reward(1.0, 0.5, 0.5, 3.0, AsProse), 1.25);
        assert_eq!(shaped_reward(-1.0, 1.0, 0.5, 3.0, AsEquation), -0.5);
        assert_eq!(shaped_reward(-1.0, 1.0, 0.5, 3.0, AsProse), -1.25);
        assert_eq!(shaped_reward(-1.0, 0.0, 0.5, 3.0, AsProse), -0.75);
        assert_eq!(shaped_reward(1.0, 1.0, 2.0, 2.5, AsEquation), 2.5);
        assert_eq!(shaped_reward(-1.0, 1.0, 2.0, 1.5, AsProse), -1.5);
    }

    /// A group: features (m, 4) whose norms lie in [1, 20], and rewards of -1 and +1.
    fn group() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        let row =
            (prop::array::uniform4(-1.0f32..1.0), 1.0f32..20.0).prop_map(|(direction, norm)| {
                let unit = unit_features(&direction, 4).unwrap();
                // A direction near zero keeps its eps-shortened norm, so it is replaced by an axis.
                if unit.iter().map(|x| x * x).sum::<f32>() > 0.999 {
                    unit.into_iter().map(|x| x * norm * 1.01).collect()
                } else {
                    vec![norm, 0.0, 0.0, 0.0]
                }
            });
        prop::collection::vec((row, prop::bool::ANY), 2..9).prop_map(|responses| {
            let (rows, correct): (Vec<Vec<f32>>, Vec<bool>) = responses.into_iter().unzip();
            (
                rows.concat(),
                correct.into_iter().map(|correct| if correct { 1.0 } else { -1.0 }).collect(),
            )
        })
    }

    fn form() -> impl Strategy<Value = NoveltyForm> {
        prop_oneof![Just(NoveltyForm::Residual), Just(NoveltyForm::Squared)]
    }

    fn sign() -> impl Strategy<Value = IncorrectSign> {
        prop_oneof![Just(IncorrectSign::AsEquation), Just(IncorrectSign::AsProse)]
    }

    fn scores(features: &[f32], rewards: &[f32], form: NoveltyForm) -> Vec<f32> {
        novelty(&CosineMatrix::from_features(features, 4).unwrap(), rewards, form).unwrap()
    }

    proptest! {
        #[test]
        fn novelty_lies_in_the_unit_interval((features, rewards) in group(), form in form()) {
            let nu = scores(&features, &rewards, form);
            prop_assert!(nu.iter().all(|nu| (0.0..=1.0).contains(nu)));
            prop_assert!(normalize_novelty(&nu, form).iter().all(|nu| (0.0..=1.0).contains(nu)));
        }

        /// Exact but for eps: a cosine of norms n and n' falls short of the true one by eps/n +
        /// eps/n' relatively, which is at most 4e-6 on squared novelty for norms of at least 1; the
        /// scaled group has the same bound.
        #[test]
        fn the_length_of_a_feature_does_not_matter(
            (features, rewards) in group(),
            response in any::<prop::sample::Index>(),
            factor in 1.0f32..50.0,
        ) {
            let response = response.index(rewards.len());
            let mut scaled = features.clone();
            scaled[4 * response..4 * response + 4].iter_mut().for_each(|x| *x *= factor);
            let before = scores(&features, &rewards, NoveltyForm::Squared);
            let after = scores(&scaled, &rewards, NoveltyForm::Squared);
            for (before, after) in before.iter().zip(after) {
                prop_assert!((before - after).abs() < 5e-6, "{} {}", before, after);
            }
        }

        /// Exact but for the order of the sums.
        #[test]
        fn novelty_follows_a_permutation_of_the_group((features, rewards) in group(), seed in any::<u64>()) {
            let m = rewards.len();
            let mut order: Vec<usize> = (0..m).collect();
            order.sort_by_key(|&i| (i as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
            let rows: Vec<&[f32]> = order.iter().map(|&i| &features[4 * i..4 * i + 4]).collect();
            let permuted_rewards: Vec<f32> = order.iter().map(|&i| rewards[i]).collect();
            let before = scores(&features, &rewards, NoveltyForm::Squared);
            let after = scores(&rows.concat(), &permuted_rewards, NoveltyForm::Squared);
            for (&i, after) in order.iter().zip(after) {
                prop_assert!((before[i] - after).abs() <= 1e-6);
            }
        }

        /// The bound of [`novelty`]'s documentation, plus the rounding of an `f32` cosine near 1.
        #[test]
        fn equal_responses_are_not_novel(norm in 0.01f32..100.0, correct in prop::collection::vec(prop::bool::ANY, 2..9)) {
            let rewards: Vec<f32> = correct.iter().map(|&correct| if correct { 1.0 } else { -1.0 }).collect();
            let features = [0.5, -0.5, 0.5, 0.5].map(|x: f32| x * norm).repeat(rewards.len());
            let total: f64 = rewards.iter().map(|&reward| f64::from(reward).exp()).sum();
            let nu = scores(&features, &rewards, NoveltyForm::Residual);
            for (&nu, &reward) in nu.iter().zip(&rewards) {
                let others = total - f64::from(reward).exp();
                let bound = EPSILON * (1.0 / others + 4.0 / f64::from(norm)) * 1.001 + 2.4e-7;
                prop_assert!(f64::from(nu).powi(2) <= bound, "{} {}", nu * nu, bound);
            }
            prop_assert_eq!(normalize_novelty(&nu, NoveltyForm::Residual), vec![0.0; rewards.len()]);
        }

        #[test]
        fn lambda_zero_is_the_plain_reward(reward in -1.0f32..=1.0, nu in 0.0f32..=1.0, sign in sign()) {
            prop_assert_eq!(shaped_reward(reward, nu, 0.0, 3.0, sign).to_bits(), reward.to_bits());
        }

        #[test]
        fn shaped_rewards_stay_within_the_clip(
            correct in prop::bool::ANY,
            nu in 0.0f32..=1.0,
            lambda in 0.0f32..=10.0,
            clip in 0.0f32..4.0,
            sign in sign(),
        ) {
            let reward = if correct { 1.0 } else { -1.0 };
            prop_assert!(shaped_reward(reward, nu, lambda, clip, sign).abs() <= clip);
        }
    }
}
