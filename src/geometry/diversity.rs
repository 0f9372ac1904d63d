//! How much a response adds to the diversity of its group: leverage, determinants, marginal
//! relevance, density and clusters of the group's vectors, whatever these are.

use super::CosineMatrix;
use nalgebra::{Cholesky, DMatrix, Dyn};
use rand_chacha::ChaCha8Rng;

/// Projects rows (m, dim) to `dimensions` by a sparse random matrix: (m, dimensions), row-major. An
/// entry is `sqrt(s / dimensions)` with either sign with a chance of `1 / (2 s)` each, and else 0,
/// for `s = sqrt(dim)` (Li, Hastie and Church 2006): inner products stay as they are on average.
pub fn sparse_projection(
    rows: &[f64],
    dim: usize,
    dimensions: usize,
    stream: &mut ChaCha8Rng,
) -> Vec<f64> {
    let spread = (dim as f64).sqrt();
    let entry = (spread / dimensions as f64).sqrt();
    let mut projected = vec![0.0; rows.len() / dim.max(1) * dimensions];
    for column in 0..dim {
        for to in 0..dimensions {
            let drawn = crate::rng::unit_f64(stream) * spread;
            let entry = match drawn {
                drawn if drawn < 0.5 => entry,
                drawn if drawn < 1.0 => -entry,
                _ => continue,
            };
            for (row, projected) in
                rows.chunks_exact(dim).zip(projected.chunks_exact_mut(dimensions))
            {
                projected[to] += entry * row[column];
            }
        }
    }
    projected
}

/// How far each of m rows (m, dim) is from where the others are: with `z` the rows less their mean,
/// `b_i = z_i^T (ridge I + sum over j of z_j z_j^T)^-1 z_i`, in [0, 1) (the leverage of ridge
/// regression). With `leave_out` the sum is over j != i, and the value `b_i / (1 - b_i)`.
///
/// `ridge` is above 0.
pub fn leverage(rows: &[f64], dim: usize, ridge: f64, leave_out: bool) -> Vec<f64> {
    let m = rows.len() / dim.max(1);
    let mut mean = vec![0.0; dim];
    for row in rows.chunks_exact(dim) {
        mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / m as f64);
    }
    let centred = DMatrix::from_fn(m, dim, |i, k| rows[i * dim + k] - mean[k]);
    // z (ridge I + z^T z)^-1 z^T = I - ridge (ridge I + z z^T)^-1: of size m, not dim.
    let inverse = inverse_diagonal(&centred * centred.transpose(), ridge);
    inverse
        .into_iter()
        .map(|inverse| {
            let leverage = (1.0 - ridge * inverse).max(0.0);
            if leave_out { leverage / (ridge * inverse) } else { leverage }
        })
        .collect()
}

/// What each response adds to the log-volume that its group spans: with the matrix of cosines S,
/// `log(det(S + I) / det(S' + I))`, where S' is S without row and column i. In [0, ln 2]: 0 for
/// what the others hold already in full, ln 2 for a direction of its own.
pub fn determinant_gains(cosines: &CosineMatrix) -> Vec<f64> {
    let m = cosines.size();
    let matrix = DMatrix::from_fn(m, m, |i, j| f64::from(cosines.get(i, j)));
    // The quotient of a determinant and its minor is one over the inverse's diagonal.
    inverse_diagonal(matrix, 1.0).into_iter().map(|inverse| -inverse.ln()).collect()
}

/// The diagonal of `(matrix + ridge I)^-1`, for a matrix that is positive semidefinite up to
/// rounding.
fn inverse_diagonal(matrix: DMatrix<f64>, ridge: f64) -> Vec<f64> {
    let m = matrix.nrows();
    let sum = matrix + DMatrix::identity(m, m) * ridge;
    let inverse = Cholesky::<f64, Dyn>::new(sum.clone())
        .map(|cholesky| cholesky.inverse())
        .or_else(|| sum.try_inverse());
    // Whatever is so far from being positive definite says nothing of any response.
    inverse.map_or(vec![1.0 / ridge; m], |inverse| inverse.diagonal().iter().copied().collect())
}

/// Marginal relevance (Carbonell and Goldstein 1998) of responses with these `rewards`. The first
/// with the highest reward is picked, and its score is its reward. Then the response with the highest
/// score is, again and again: `weight` times its reward less `1 - weight` times its largest cosine
/// with those picked, negative ones counting as 0. Of equal scores the first one counts.
pub fn marginal_relevance(cosines: &CosineMatrix, rewards: &[f32], weight: f64) -> Vec<f64> {
    let mut scores: Vec<f64> = rewards.iter().map(|&reward| f64::from(reward)).collect();
    let mut rest: Vec<usize> = (0..scores.len()).collect();
    let mut nearest = vec![0.0; scores.len()];
    let highest = |rest: &[usize], scores: &[f64]| {
        let mut places = 0..rest.len();
        let first = places.next()?;
        Some(places.fold(first, |best, place| {
            if scores[rest[place]] > scores[rest[best]] { place } else { best }
        }))
    };
    while let Some(place) = highest(&rest, &scores) {
        let picked = rest.remove(place);
        for &i in &rest {
            nearest[i] = f64::max(nearest[i], f64::from(cosines.get(i, picked)));
            scores[i] = weight * f64::from(rewards[i]) - (1.0 - weight) * nearest[i];
        }
    }
    scores
}

/// How many responses of the group are like each one, itself included: the sum of its cosines,
/// negative ones counting as 0.
pub fn density(cosines: &CosineMatrix) -> Vec<f64> {
    (0..cosines.size())
        .map(|i| cosines.row(i).iter().map(|&cosine| f64::from(cosine).clamp(0.0, 1.0)).sum())
        .collect()
}

/// Of each response how many are in its cluster, itself included. Responses whose cosine is above
/// `threshold` are in one cluster, and so are those that others connect (single linkage).
pub fn cluster_sizes(cosines: &CosineMatrix, threshold: f64) -> Vec<usize> {
    let m = cosines.size();
    let mut cluster_of: Vec<usize> = (0..m).collect();
    for (i, j, cosine) in cosines.indexed_pairs() {
        let (kept, gone) = (cluster_of[i], cluster_of[j]);
        if f64::from(cosine) > threshold && kept != gone {
            cluster_of.iter_mut().filter(|cluster| **cluster == gone).for_each(|c| *c = kept);
        }
    }
    let size = |cluster: &usize| cluster_of.iter().filter(|other| *other == cluster).count();
    cluster_of.iter().map(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Domain, stream};
    use proptest::prelude::*;

    fn cosines(rows: &[[f32; 3]]) -> CosineMatrix {
        CosineMatrix::from_features(&rows.concat(), 3).unwrap()
    }

    const X: [f32; 3] = [1.0, 0.0, 0.0];
    const Y: [f32; 3] = [0.0, 1.0, 0.0];
    const Z: [f32; 3] = [0.0, 0.0, 1.0];

    #[test]
    fn a_direction_of_its_own_doubles_the_volume_and_a_copy_adds_half() {
        let gains = determinant_gains(&cosines(&[X, X, Y]));
        // det(S + I) is 2 (4 - 1) = 6; without the third 3, without one of the copies 4.
        for (gain, expected) in gains.iter().zip([1.5f64, 1.5, 2.0]) {
            assert!((gain - expected.ln()).abs() < 1e-5, "{gain}");
        }
        assert!((determinant_gains(&cosines(&[X]))[0] - 2f64.ln()).abs() < 1e-5);
        assert!(determinant_gains(&cosines(&[])).is_empty());
    }

    #[test]
    fn leverage_is_that_of_the_covariance() {
        // About their mean, 0: two opposite points each on two axes.
        let rows = [1.0, 0.0, -1.0, 0.0, 0.0, 2.0, 0.0, -2.0];
        let found = leverage(&rows, 2, 0.5, false);
        let expected = [1.0 / 2.5, 1.0 / 2.5, 4.0 / 8.5, 4.0 / 8.5];
        let left_out = leverage(&rows, 2, 0.5, true);
        let expected_left_out = [1.0 / 1.5, 1.0 / 1.5, 4.0 / 4.5, 4.0 / 4.5];
        for i in 0..4 {
            assert!((found[i] - expected[i]).abs() < 1e-12, "{found:?}");
            assert!((left_out[i] - expected_left_out[i]).abs() < 1e-12, "{left_out:?}");
        }
        assert_eq!(leverage(&[3.0, 4.0], 2, 0.01, true), [0.0], "it is its own mean");
        assert!(leverage(&[], 2, 0.01, false).is_empty());
    }

    #[test]
    fn what_is_like_a_picked_response_falls_behind() {
        let cosines = cosines(&[X, X, Y, [-1.0, 0.0, 0.0]]);
        let scores = marginal_relevance(&cosines, &[1.0, 1.0, 1.0, -1.0], 0.7);
        // The first is picked; the third is next, then the copy of the first, then the wrong one.
        for (score, expected) in scores.iter().zip([1.0, 0.7 - 0.3, 0.7, -0.7]) {
            assert!((score - expected).abs() < 1e-5, "{scores:?}");
        }
        assert!(marginal_relevance(&cosines, &[0.0; 4], 1.0).iter().all(|score| *score == 0.0));
    }

    #[test]
    fn density_counts_what_is_alike() {
        let density = density(&cosines(&[X, X, Y, [-1.0, 0.0, 0.0]]));
        for (density, expected) in density.iter().zip([2.0, 2.0, 1.0, 1.0]) {
            assert!((density - expected).abs() < 1e-5);
        }
    }

    #[test]
    fn clusters_are_connected_by_what_lies_between() {
        let between = [1.0, 1.0, 0.0];
        let cosines = cosines(&[X, Y, between, Z, Z]);
        assert_eq!(cluster_sizes(&cosines, 0.5), [3, 3, 3, 2, 2]);
        assert_eq!(cluster_sizes(&cosines, 0.8), [1, 1, 1, 2, 2]);
        assert!(cluster_sizes(&self::cosines(&[]), 0.5).is_empty());
    }

    #[test]
    fn a_projection_keeps_inner_products_on_average() {
        let dim = 64;
        let rows: Vec<f64> = (0..2 * dim).map(|i| (i as f64).sin()).collect();
        let product = |rows: &[f64], dim: usize| -> f64 {
            rows[..dim].iter().zip(&rows[dim..]).map(|(a, b)| a * b).sum()
        };
        let draws = 4000;
        let mut stream = stream(1, Domain::Tests, [0; 3]);
        let mean = (0..draws)
            .map(|_| product(&sparse_projection(&rows, dim, 8, &mut stream), 8))
            .sum::<f64>()
            / f64::from(draws);
        let norm = rows[..dim].iter().map(|x| x * x).sum::<f64>();
        assert!((mean - product(&rows, dim)).abs() < 0.03 * norm, "{mean}");
    }

    fn group() -> impl Strategy<Value = CosineMatrix> {
        prop::collection::vec(prop::array::uniform3(-1.0f32..1.0), 1..12)
            .prop_map(|rows| cosines(&rows))
    }

    proptest! {
        #[test]
        fn gains_lie_between_nothing_and_a_direction_of_its_own(cosines in group()) {
            for gain in determinant_gains(&cosines) {
                prop_assert!((-1e-6..=2f64.ln() + 1e-6).contains(&gain), "{}", gain);
            }
        }

        #[test]
        fn leverages_lie_in_the_unit_interval(rows in prop::collection::vec(-1.0f64..1.0, 12), ridge in 1e-3f64..10.0) {
            let leverages = leverage(&rows, 3, ridge, false);
            prop_assert!(leverages.iter().all(|b| (0.0..1.0).contains(b)), "{:?}", leverages);
            let left_out = leverage(&rows, 3, ridge, true);
            prop_assert!(leverages.iter().zip(left_out).all(|(b, out)| (out - b / (1.0 - b)).abs() < 1e-6));
        }

        #[test]
        fn relevance_is_a_share_of_the_reward_less_a_share_of_likeness(cosines in group(), weight in 0.0f64..=1.0) {
            let rewards: Vec<f32> = (0..cosines.size()).map(|i| if i % 3 == 0 { 1.0 } else { -1.0 }).collect();
            for (score, reward) in marginal_relevance(&cosines, &rewards, weight).iter().zip(rewards) {
                let own = weight * f64::from(reward);
                prop_assert!((*score - f64::from(reward)).abs() < f64::EPSILON || (own - (1.0 - weight)..=own).contains(score));
            }
        }
    }
}
