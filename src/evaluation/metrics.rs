//! pass@k, the majority's accuracy, and their confidence intervals.

use crate::error::{Error, Result};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An estimate with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// The unbiased estimate of pass@k from `n` samples of which `c` are correct: the chance that k samples drawn from the n
/// without replacement hold a correct one, `1 - C(n - c, k) / C(n, k)`, and 1 where n - c < k.
///
/// Source: Chen et al., "Evaluating large language models trained on code" (arXiv 2107.03374), in its product form, which
/// never forms a binomial. Fails unless 1 <= k <= n and c <= n.
pub fn pass_at_k(n: usize, c: usize, k: usize) -> Result<f64> {
    if k == 0 || k > n {
        return Err(Error::input(format!("pass@{k} needs at least {} samples per problem, found {n}", k.max(1))));
    }
    if c > n {
        return Err(Error::input(format!("{c} correct samples out of {n}")));
    }
    if n - c < k {
        return Ok(1.0);
    }
    // C(n - c, k) / C(n, k) = prod_{i = n - c + 1}^{n} (1 - k / i)
    let all_wrong: f64 = (n - c + 1..=n).map(|i| 1.0 - k as f64 / i as f64).product();
    Ok(1.0 - all_wrong)
}

/// The chance that the most frequent answer to one problem is right: each of the n samples votes for the class of its answer,
/// samples without an answer (`None`) do not vote, and of classes with equally many votes one wins at random, so that the value
/// is (tied classes that are correct) / (tied classes). 0 where nobody votes.
///
/// `classes` holds each sample's class and `correct` whether its answer is right; a class is as right as its first sample.
///
/// Source: Wang et al., "Self-consistency improves chain of thought reasoning in language models" (arXiv 2203.11171).
pub fn majority_correct(classes: &[Option<usize>], correct: &[bool]) -> f64 {
    let mut votes: BTreeMap<usize, (usize, bool)> = BTreeMap::new();
    for (class, &correct) in classes.iter().zip(correct) {
        if let Some(class) = class {
            votes.entry(*class).or_insert((0, correct)).0 += 1;
        }
    }
    let most = votes.values().map(|(count, _)| *count).max().unwrap_or(0);
    let tied: Vec<bool> = votes.values().filter(|(count, _)| *count == most).map(|(_, correct)| *correct).collect();
    tied.iter().filter(|correct| **correct).count() as f64 / tied.len().max(1) as f64
}

fn pass_of_problems(correct_counts: &[usize], n: usize, k: usize) -> Result<Vec<f64>> {
    correct_counts.iter().map(|&c| pass_at_k(n, c, k)).collect()
}

/// pass@k averaged over problems, each with `n` samples; `correct_counts` (problems) says how many of them are correct.
///
/// Fails where [`pass_at_k`] fails or there is no problem.
pub fn mean_pass_at_k(correct_counts: &[usize], n: usize, k: usize) -> Result<f64> {
    mean(&pass_of_problems(correct_counts, n, k)?)
}

/// pass@k averaged over problems with its 95 % interval: [`mean_pass_at_k`] with [`bootstrap_interval`].
pub fn estimate_pass_at_k(correct_counts: &[usize], n: usize, k: usize, seed: u64) -> Result<Estimate> {
    bootstrap_interval(&pass_of_problems(correct_counts, n, k)?, seed)
}

fn mean(values: &[f64]) -> Result<f64> {
    if values.is_empty() {
        return Err(Error::input("there is no problem to average over"));
    }
    Ok(values.iter().sum::<f64>() / values.len() as f64)
}

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2000;

/// The mean of `values`, one per problem, with its 95 % percentile-bootstrap interval over problems, from 2,000 resamples.
///
/// A function of its arguments alone, on every machine: resampling draws integers only. Fails where there is no problem.
pub fn bootstrap_interval(values: &[f64], seed: u64) -> Result<Estimate> {
    let value = mean(values)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = values.len();
    let mut means: Vec<f64> =
        (0..RESAMPLES).map(|_| (0..count).map(|_| values[draw(&mut rng, count)]).sum::<f64>() / count as f64).collect();
    means.sort_by(f64::total_cmp);
    Ok(Estimate { value, low: quantile(&means, 0.025), high: quantile(&means, 0.975) })
}

/// An index below `count`: the high half of a 64-bit draw times `count`, even to within `count / 2^64`.
fn draw(rng: &mut ChaCha8Rng, count: usize) -> usize {
    ((u128::from(rng.next_u64()) * count as u128) >> 64) as usize
}

/// The quantile of sorted values, linear between neighbours.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = sorted[position.floor() as usize];
    let above = sorted[position.ceil() as usize];
    below + (above - below) * position.fract()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these results are exact, or equal bit for bit")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pass_at_k_agrees_with_counting_by_hand() {
        for (n, c, k, expected) in [
            (4, 2, 1, 0.5),
            (4, 2, 2, 5.0 / 6.0),
            (4, 2, 3, 1.0),
            (16, 0, 8, 0.0),
            (16, 1, 8, 0.5),
            (10, 3, 5, 1.0 - 21.0 / 252.0),
            (16, 16, 16, 1.0),
        ] {
            assert!((pass_at_k(n, c, k).unwrap() - expected).abs() < 1e-12, "{n} {c} {k}");
        }
        assert!((pass_at_k(100_000, 10, 1).unwrap() - 1e-4).abs() < 1e-12);
    }

    #[test]
    fn impossible_counts_are_refused() {
        assert!(pass_at_k(4, 2, 5).is_err());
        assert!(pass_at_k(4, 2, 0).is_err());
        assert!(pass_at_k(4, 5, 1).is_err());
        assert!(mean_pass_at_k(&[], 4, 1).is_err());
        assert!(bootstrap_interval(&[], 1).is_err());
    }

    #[test]
    fn the_bootstrap_is_a_function_of_its_seed_and_near_the_normal_interval() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 4 == 0)).collect();
        let estimate = bootstrap_interval(&values, 7).unwrap();
        assert_eq!(estimate, bootstrap_interval(&values, 7).unwrap());
        assert_ne!(estimate, bootstrap_interval(&values, 8).unwrap());
        assert_eq!(estimate.value, 0.25);
        let half_width = 1.96 * (0.25f64 * 0.75 / 400.0).sqrt();
        assert!((estimate.low - (0.25 - half_width)).abs() < 0.01, "{estimate:?}");
        assert!((estimate.high - (0.25 + half_width)).abs() < 0.01, "{estimate:?}");
        let sure = bootstrap_interval(&[1.0; 5], 0).unwrap();
        assert_eq!((sure.value, sure.low, sure.high), (1.0, 1.0, 1.0));
    }

    #[test]
    fn the_estimate_of_pass_at_k_is_the_mean_over_problems() {
        let estimate = estimate_pass_at_k(&[0, 2, 4], 4, 2, 3).unwrap();
        assert_eq!(estimate.value, mean_pass_at_k(&[0, 2, 4], 4, 2).unwrap());
        assert!((estimate.value - (0.0 + 5.0 / 6.0 + 1.0) / 3.0).abs() < 1e-12);
        assert!(estimate.low >= 0.0 && estimate.high <= 1.0 && estimate.low <= estimate.high);
    }

    #[test]
    fn the_majority_counts_ties_by_their_share_of_correct_classes_and_nobody_votes_without_an_answer() {
        let majority = |votes: &[(Option<usize>, bool)]| {
            let (classes, correct): (Vec<_>, Vec<_>) = votes.iter().copied().unzip();
            majority_correct(&classes, &correct)
        };
        let (right, wrong, other, none) = ((Some(0), true), (Some(1), false), (Some(2), false), (None, false));
        assert_eq!(majority(&[right, wrong, right]), 1.0);
        assert_eq!(majority(&[wrong, wrong, right]), 0.0);
        assert_eq!(majority(&[right, wrong]), 0.5);
        assert_eq!(majority(&[other, right, wrong]), 1.0 / 3.0);
        assert_eq!(majority(&[none, none, none, right]), 1.0);
        assert_eq!(majority(&[none, none]), 0.0);
        assert_eq!(majority(&[]), 0.0);
        // Two ways of writing the right answer that are not seen as the same: two classes, both right.
        assert_eq!(majority(&[right, (Some(3), true), wrong]), 2.0 / 3.0);
    }

    proptest! {
        #[test]
        fn the_majority_is_the_mean_over_all_ways_of_breaking_the_tie(votes in proptest::collection::vec(0usize..4, 1..9), right in 0usize..4) {
            let classes: Vec<Option<usize>> = votes.iter().map(|&vote| (vote < 3).then_some(vote)).collect();
            let correct: Vec<bool> = votes.iter().map(|&vote| vote == right && vote < 3).collect();
            // Each possible winner in turn, counted anew.
            let count = |class: usize| votes.iter().filter(|&&vote| vote == class).count();
            let winners: Vec<usize> =
                (0..3).filter(|&class| count(class) > 0 && (0..3).all(|other| count(other) <= count(class))).collect();
            let expected = if winners.is_empty() {
                0.0
            } else {
                winners.iter().map(|&class| f64::from(u8::from(class == right))).sum::<f64>() / winners.len() as f64
            };
            prop_assert!((majority_correct(&classes, &correct) - expected).abs() < 1e-15);
        }

        #[test]
        fn pass_at_k_is_a_share_that_grows_with_k_and_equals_the_mean_at_one(n in 1usize..200, c in 0usize..200, k in 1usize..200) {
            let (c, k) = (c.min(n), k.min(n));
            let pass = pass_at_k(n, c, k).unwrap();
            prop_assert!((0.0..=1.0).contains(&pass));
            prop_assert!(k == n || pass_at_k(n, c, k + 1).unwrap() >= pass - 1e-12);
            prop_assert!((pass_at_k(n, c, 1).unwrap() - c as f64 / n as f64).abs() < 1e-12);
        }
    }
}
