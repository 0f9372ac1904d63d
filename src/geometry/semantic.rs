//! Novelty of what responses say, and the reward bands that it moves within: the pure part of
//! EVOL-RL (arXiv 2509.15194).

use super::CosineMatrix;
use crate::error::{Error, Result};

/// Which class a response belongs to: novelty is compared within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerClass {
    /// Its answer is right by the label in use.
    Correct,
    /// It has an answer, which is wrong by the label in use.
    Incorrect,
    /// It has no answer; it takes no part in the computation of novelty.
    Invalid,
}

/// Novelties n (m) of a group with embeddings' `cosines` (m, m); `None` for a response without an
/// answer.
///
/// With `s_ij = clip(cos_ij, 0, 1)`, `n_i` is one minus the mean of
///
/// * the mean of `s_ij` over the others of i's class; over all others where i is alone in its
///   class;
/// * the largest `s_ij` over all others of either class.
///
/// Others are responses with an answer. A response that is the only one with an answer has n = 1.
///
/// Fails where there is not one class for each response.
pub fn semantic_novelty(
    cosines: &CosineMatrix,
    classes: &[AnswerClass],
) -> Result<Vec<Option<f64>>> {
    if classes.len() != cosines.size() {
        return Err(Error::input(format!(
            "{} classes for a group of {} responses",
            classes.len(),
            cosines.size()
        )));
    }
    let novelty = classes.iter().enumerate().map(|(i, &class)| {
        if class == AnswerClass::Invalid {
            return None;
        }
        let others: Vec<(AnswerClass, f64)> = classes
            .iter()
            .zip(cosines.row(i))
            .enumerate()
            .filter(|(j, (other, _))| *j != i && **other != AnswerClass::Invalid)
            .map(|(_, (&other, &cosine))| (other, f64::from(cosine).clamp(0.0, 1.0)))
            .collect();
        let of_class: Vec<f64> =
            others.iter().filter(|(other, _)| *other == class).map(|(_, s)| *s).collect();
        let compared =
            if of_class.is_empty() { others.iter().map(|(_, s)| *s).collect() } else { of_class };
        let mean = compared.iter().sum::<f64>() / compared.len().max(1) as f64;
        let largest = others.iter().map(|(_, s)| *s).fold(0.0, f64::max);
        Some(1.0 - f64::midpoint(mean, largest))
    });
    Ok(novelty.collect())
}

/// Largest spread of n within a class that counts as none: equal texts get embeddings that differ
/// by rounding, and min-max would blow that up to 0 and 1.
const NOISE: f64 = 1e-5;

/// Novelties normalised within each class to [0, 1] by min-max; 1/2 for all of a class whose spread
/// is at most 1e-5; 1 for a response that is alone in its class.
///
/// With these, [`banded_reward`] gives what the method asks for: plus or minus 0.75 in a class of
/// equal novelties, 1.0 for a single correct response and -0.5 for a single incorrect one.
pub fn normalize_within_classes(
    novelty: &[Option<f64>],
    classes: &[AnswerClass],
) -> Vec<Option<f64>> {
    let members = |class: AnswerClass| {
        novelty
            .iter()
            .zip(classes)
            .filter(move |(_, other)| **other == class)
            .filter_map(|(novelty, _)| *novelty)
    };
    novelty
        .iter()
        .zip(classes)
        .map(|(novelty, &class)| {
            let novelty = (*novelty)?;
            let (low, high) = members(class)
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), n| {
                    (low.min(n), high.max(n))
                });
            Some(match high - low {
                _ if members(class).count() == 1 => 1.0,
                spread if spread <= NOISE => 0.5,
                spread => (novelty - low) / spread,
            })
        })
        .collect()
}

/// The reward of a response of `class` with normalised novelty `normalized`: in [0.5, 1] where it
/// is correct, in [-1, -0.5] where it is incorrect, so that every correct response beats every
/// incorrect one, and -1 without an answer.
pub fn banded_reward(class: AnswerClass, normalized: Option<f64>) -> f32 {
    match (class, normalized) {
        (AnswerClass::Correct, Some(novelty)) => f64::midpoint(1.0, novelty) as f32,
        (AnswerClass::Incorrect, Some(novelty)) => (0.5 * novelty - 1.0) as f32,
        (AnswerClass::Invalid, _) | (_, None) => -1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::AnswerClass::{Correct, Incorrect, Invalid};
    use super::*;
    use proptest::prelude::*;

    /// A symmetric matrix with ones on its diagonal and the given values above it, row by row.
    fn matrix(size: usize, pairs: &[f32]) -> CosineMatrix {
        let mut values = vec![1.0; size * size];
        let mut pairs = pairs.iter();
        for i in 0..size {
            for j in i + 1..size {
                values[i * size + j] = *pairs.next().unwrap();
                values[j * size + i] = values[i * size + j];
            }
        }
        CosineMatrix::from_values(values, size).unwrap()
    }

    fn rewards(cosines: &CosineMatrix, classes: &[AnswerClass]) -> Vec<f32> {
        let novelty = semantic_novelty(cosines, classes).unwrap();
        let normalized = normalize_within_classes(&novelty, classes);
        classes
            .iter()
            .zip(normalized)
            .map(|(&class, normalized)| banded_reward(class, normalized))
            .collect()
    }

    #[test]
    fn every_case_of_the_method_has_its_reward() {
        // Pairs in the order 01 02 03 12 13 23.
        let spread = [0.5, 0.25, 0.75, 0.125, -0.5, 0.0];
        for (case, pairs, classes, expected) in [
            // n of 0, 1, 2 within the class of three: 1 - ((0.5 + 0.25) / 2 + 0.75) / 2, 1 - ((0.5
            // + 0.125) / 2 + 0.5) / 2, 1 - ((0.25 + 0.125) / 2 + 0.25) / 2; a single incorrect
            // response gets the upper end of its band.
            (
                "three and one",
                spread,
                [Correct, Correct, Correct, Incorrect],
                [0.5, 0.727_272_7, 1.0, -0.5],
            ),
            (
                "one and three",
                spread,
                [Incorrect, Correct, Incorrect, Incorrect],
                [-1.0, 1.0, -0.5, -0.928_571_4],
            ),
            (
                "equal texts",
                [1.0; 6],
                [Correct, Correct, Incorrect, Incorrect],
                [0.75, 0.75, -0.75, -0.75],
            ),
            (
                "no answer",
                [1.0; 6],
                [Correct, Invalid, Invalid, Incorrect],
                [1.0, -1.0, -1.0, -0.5],
            ),
            (
                "one answer",
                spread,
                [Invalid, Invalid, Incorrect, Invalid],
                [-1.0, -1.0, -0.5, -1.0],
            ),
            ("nobody answers", spread, [Invalid; 4], [-1.0; 4]),
        ] {
            let found = rewards(&matrix(4, &pairs), &classes);
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{case}: {found} is not {expected}");
            }
        }
    }

    #[test]
    fn negative_cosines_count_as_zero_and_a_lone_class_is_compared_with_the_whole_group() {
        let cosines = matrix(3, &[-0.75, 0.5, 0.25]);
        let novelty = semantic_novelty(&cosines, &[Correct, Correct, Incorrect]).unwrap();
        assert_eq!(
            novelty,
            [Some(1.0 - 0.25), Some(1.0 - 0.125), Some(1.0 - f64::midpoint(0.375, 0.5))]
        );
        let alone = semantic_novelty(&cosines, &[Correct, Invalid, Invalid]).unwrap();
        assert_eq!(alone, [Some(1.0), None, None]);
        assert!(semantic_novelty(&cosines, &[Correct]).is_err());
    }

    #[test]
    fn rounding_noise_is_not_novelty() {
        let cosines = matrix(3, &[0.9, 0.900_000_1, 0.900_000_2]);
        assert_eq!(rewards(&cosines, &[Incorrect; 3]), [-0.75; 3]);
    }

    fn group() -> impl Strategy<Value = (CosineMatrix, Vec<AnswerClass>)> {
        let class = prop_oneof![Just(Correct), Just(Incorrect), Just(Invalid)];
        prop::collection::vec((prop::array::uniform3(-1.0f32..1.0), class), 1..10).prop_map(
            |rows| {
                let (vectors, classes): (Vec<[f32; 3]>, Vec<AnswerClass>) =
                    rows.into_iter().unzip();
                (CosineMatrix::from_features(&vectors.concat(), 3).unwrap(), classes)
            },
        )
    }

    proptest! {
        #[test]
        fn rewards_stay_in_their_bands_and_novelties_in_the_unit_interval((cosines, classes) in group()) {
            let novelty = semantic_novelty(&cosines, &classes).unwrap();
            prop_assert!(novelty.iter().flatten().all(|n| (0.0..=1.0).contains(n)));
            for (class, reward) in classes.iter().zip(rewards(&cosines, &classes)) {
                let band = match class {
                    Correct => 0.5..=1.0,
                    Incorrect => -1.0..=-0.5,
                    Invalid => -1.0..=-1.0,
                };
                prop_assert!(band.contains(&reward), "{:?} {}", class, reward);
            }
        }

        /// Exact but for the order of the sums. A spread at the edge of what counts as noise may
        /// fall on either side of it.
        #[test]
        fn rewards_follow_a_permutation_of_the_group((cosines, classes) in group(), seed in any::<u64>()) {
            let m = classes.len();
            let mut order: Vec<usize> = (0..m).collect();
            order.sort_by_key(|&i| (i as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
            let values = order.iter().flat_map(|&i| order.iter().map(move |&j| (i, j))).map(|(i, j)| cosines.get(i, j));
            let permuted = CosineMatrix::from_values(values.collect(), m).unwrap();
            let permuted_classes: Vec<AnswerClass> = order.iter().map(|&i| classes[i]).collect();
            let before = rewards(&cosines, &classes);
            let after = rewards(&permuted, &permuted_classes);
            for (&i, after) in order.iter().zip(after) {
                prop_assert!((before[i] - after).abs() < 1e-6, "{} {}", before[i], after);
            }
        }

        #[test]
        fn responses_without_an_answer_change_nothing((cosines, classes) in group()) {
            let valid: Vec<usize> = (0..classes.len()).filter(|&i| classes[i] != Invalid).collect();
            let values = valid.iter().flat_map(|&i| valid.iter().map(move |&j| (i, j))).map(|(i, j)| cosines.get(i, j));
            let rest = CosineMatrix::from_values(values.collect(), valid.len()).unwrap();
            let rest_classes: Vec<AnswerClass> = valid.iter().map(|&i| classes[i]).collect();
            let all = rewards(&cosines, &classes);
            let expected: Vec<f32> = valid.iter().map(|&i| all[i]).collect();
            prop_assert_eq!(rewards(&rest, &rest_classes), expected);
        }
    }
}
