//! What a group's directions look like as a whole.

use super::CosineMatrix;
use nalgebra::{DMatrix, SymmetricEigen};

/// Cosines closer to zero than this count as near-orthogonal.
pub const NEAR_ORTHOGONAL: f32 = 0.1;

/// Numbers about the directions of one group, or of several groups pooled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeometryStatistics {
    /// Mean cosine over pairs; NaN where there is no pair.
    pub cosine_mean: f64,
    /// Share of pairs with a negative cosine; NaN where there is no pair.
    pub negative_ratio: f64,
    /// Share of pairs with |cosine| < 0.1; NaN where there is no pair.
    pub orthogonal_ratio: f64,
    /// exp of the entropy of the eigenvalues of the cosine matrix, normalised to sum 1: how many directions the group spans,
    /// from 1 to min(m, d). 0 for a group whose features are all zero. Over several groups: the mean.
    pub effective_rank: f64,
    /// Number of unordered pairs of responses.
    pub pairs: usize,
}

impl GeometryStatistics {
    /// The statistics of one group.
    pub fn new(cosines: &CosineMatrix) -> Self {
        let (mut sum, mut negative, mut orthogonal, mut pairs) = (0.0, 0usize, 0usize, 0usize);
        for cosine in cosines.pairs() {
            sum += f64::from(cosine);
            negative += usize::from(cosine < 0.0);
            orthogonal += usize::from(cosine.abs() < NEAR_ORTHOGONAL);
            pairs += 1;
        }
        let per_pair = |sum: f64| if pairs == 0 { f64::NAN } else { sum / pairs as f64 };
        Self {
            cosine_mean: per_pair(sum),
            negative_ratio: per_pair(negative as f64),
            orthogonal_ratio: per_pair(orthogonal as f64),
            effective_rank: match spectrum(cosines.values(), cosines.size()) {
                None => f64::NAN,
                Some(shares) if shares.is_empty() => 0.0,
                Some(shares) => effective_rank(&shares),
            },
            pairs,
        }
    }

    /// The statistics of several groups together: the mean and the shares over all their pairs, the effective rank as the mean
    /// over groups. `None` where there is no group.
    pub fn pooled(groups: impl IntoIterator<Item = Self>) -> Option<Self> {
        let (mut count, mut pairs, mut rank, mut sums) = (0usize, 0usize, 0.0, [0.0; 3]);
        for group in groups {
            count += 1;
            rank += group.effective_rank;
            if group.pairs > 0 {
                pairs += group.pairs;
                let shares = [group.cosine_mean, group.negative_ratio, group.orthogonal_ratio];
                for (sum, share) in sums.iter_mut().zip(shares) {
                    *sum += share * group.pairs as f64;
                }
            }
        }
        let [cosine_mean, negative_ratio, orthogonal_ratio] =
            sums.map(|sum| if pairs == 0 { f64::NAN } else { sum / pairs as f64 });
        (count > 0).then(|| Self {
            cosine_mean,
            negative_ratio,
            orthogonal_ratio,
            effective_rank: rank / count as f64,
            pairs,
        })
    }
}

/// Eigenvalues of a cosine matrix (size, size) as shares of their sum, largest first; empty where all are zero. `None` where
/// the decomposition does not converge, or the values are not finite or not size x size. The matrix is a Gram matrix, so its eigenvalues
/// are not negative but for rounding, which is clipped.
pub fn spectrum(cosines: &[f32], size: usize) -> Option<Vec<f64>> {
    if cosines.len() != size * size || cosines.iter().any(|cosine| !cosine.is_finite()) {
        return None;
    }
    if size == 0 {
        return Some(Vec::new());
    }
    let matrix = DMatrix::from_iterator(size, size, cosines.iter().map(|&cosine| f64::from(cosine)));
    let decomposition = SymmetricEigen::try_new(matrix, f64::EPSILON, 1000 * size)?;
    let mut shares: Vec<f64> = decomposition.eigenvalues.iter().map(|value| value.max(0.0)).collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    let total: f64 = shares.iter().sum();
    if total <= 0.0 {
        return Some(Vec::new());
    }
    for share in &mut shares {
        *share /= total;
    }
    Some(shares)
}

/// exp of the entropy of a [`spectrum`]: how many directions it spreads over.
pub fn effective_rank(spectrum: &[f64]) -> f64 {
    spectrum.iter().filter(|share| **share > 0.0).map(|share| -share * share.ln()).sum::<f64>().exp()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these results are exact, or equal bit for bit")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn statistics(features: &[f32], dim: usize) -> GeometryStatistics {
        GeometryStatistics::new(&CosineMatrix::from_features(features, dim).unwrap())
    }

    #[test]
    fn effective_rank_counts_directions() {
        let axes = statistics(&[1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 3.0], 3);
        assert!((axes.effective_rank - 3.0).abs() < 1e-9, "{axes:?}");
        assert_eq!((axes.cosine_mean, axes.negative_ratio, axes.orthogonal_ratio, axes.pairs), (0.0, 0.0, 1.0, 3));
        let line = statistics(&[1.0, 1.0, 2.0, 2.0, -1.0, -1.0, 3.0, 3.0], 2);
        assert!((line.effective_rank - 1.0).abs() < 1e-4, "{line:?}");
        assert_eq!((line.negative_ratio, line.orthogonal_ratio, line.pairs), (0.5, 0.0, 6));
        assert_eq!(statistics(&[0.0, 0.0], 1).effective_rank, 0.0);
    }

    #[test]
    fn pooling_weighs_pairs_for_shares_and_groups_for_the_rank() {
        let opposed = statistics(&[1.0, -1.0], 1);
        let lone = statistics(&[1.0], 1);
        let axes = statistics(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], 3);
        let pooled = GeometryStatistics::pooled([opposed, lone, axes]).unwrap();
        assert_eq!(pooled.pairs, 4);
        assert!((pooled.negative_ratio - 0.25).abs() < 1e-12 && (pooled.orthogonal_ratio - 0.75).abs() < 1e-12);
        assert!((pooled.cosine_mean + 0.25).abs() < 1e-5);
        assert!((pooled.effective_rank - 5.0 / 3.0).abs() < 1e-5, "{pooled:?}");
        assert!(GeometryStatistics::pooled([]).is_none());
        assert!(GeometryStatistics::pooled([lone]).unwrap().cosine_mean.is_nan());
    }

    proptest! {
        #[test]
        fn effective_rank_lies_between_one_and_the_number_of_dimensions(
            features in prop::collection::vec(prop::array::uniform3(0.1f32..3.0), 1..14),
        ) {
            let rank = statistics(&features.concat(), 3).effective_rank;
            prop_assert!((1.0 - 1e-9..=3.0 + 1e-4).contains(&rank), "{}", rank);
        }
    }
}
