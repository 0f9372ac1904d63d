//! What a group's directions look like as a whole.

use super::CosineMatrix;
use nalgebra::{DMatrix, SymmetricEigen};
use serde::Serialize;

/// Cosines closer to zero than this count as near-orthogonal.
pub const NEAR_ORTHOGONAL: f32 = 0.1;

/// Bins of a [`PairStatistics::histogram`], equally wide over [-1, 1].
pub const HISTOGRAM_BINS: usize = 20;

/// The levels of [`PairStatistics::quantiles`].
pub const QUANTILE_LEVELS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// The cosines of some pairs of responses as a whole. Numbers are NaN (null in JSON) where there is
/// no pair.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairStatistics {
    /// Number of unordered pairs.
    pub pairs: usize,
    /// Mean cosine.
    pub mean: f64,
    /// Share of negative cosines.
    pub negative_ratio: f64,
    /// Share of cosines with |cosine| < 0.1.
    pub orthogonal_ratio: f64,
    /// At the [`QUANTILE_LEVELS`], linear between the order statistics.
    pub quantiles: [f64; 5],
    /// Pairs in each of [`HISTOGRAM_BINS`] bins from -1 to 1; a bin holds its lower bound, the last
    /// one its upper bound too.
    pub histogram: [usize; HISTOGRAM_BINS],
}

impl PairStatistics {
    /// The statistics of these cosines.
    pub fn of(cosines: impl IntoIterator<Item = f32>) -> Self {
        let mut sorted: Vec<f64> = cosines.into_iter().map(f64::from).collect();
        sorted.sort_by(f64::total_cmp);
        let pairs = sorted.len();
        let share = |count: usize| count as f64 / pairs as f64; // 0 / 0 is NaN
        let mut histogram = [0; HISTOGRAM_BINS];
        for cosine in &sorted {
            let bin = ((cosine + 1.0) / 2.0 * HISTOGRAM_BINS as f64).max(0.0) as usize;
            histogram[bin.min(HISTOGRAM_BINS - 1)] += 1;
        }
        let quantile = |level: f64| {
            let place = level * pairs.saturating_sub(1) as f64;
            let at = |place: f64| sorted.get(place as usize).copied().unwrap_or(f64::NAN);
            at(place.floor()) + (at(place.ceil()) - at(place.floor())) * place.fract()
        };
        Self {
            pairs,
            mean: sorted.iter().sum::<f64>() / pairs as f64,
            negative_ratio: share(sorted.iter().filter(|cosine| **cosine < 0.0).count()),
            orthogonal_ratio: share(
                sorted.iter().filter(|cosine| cosine.abs() < f64::from(NEAR_ORTHOGONAL)).count(),
            ),
            quantiles: QUANTILE_LEVELS.map(quantile),
            histogram,
        }
    }
}

/// What two responses of a pair are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairKind {
    /// Both are correct.
    Correct,
    /// One is correct, the other is not.
    Mixed,
    /// Neither is correct.
    Incorrect,
}

impl PairKind {
    /// The kind of a pair by whether its two responses are correct.
    pub fn of(first: bool, second: bool) -> Self {
        match (first, second) {
            (true, true) => Self::Correct,
            (false, false) => Self::Incorrect,
            _ => Self::Mixed,
        }
    }
}

/// The geometry of one group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupGeometry {
    /// All pairs.
    pub all: PairStatistics,
    /// Pairs of correct responses.
    pub correct: PairStatistics,
    /// Pairs of a correct and an incorrect response.
    pub mixed: PairStatistics,
    /// Pairs of incorrect responses.
    pub incorrect: PairStatistics,
    /// The [`spectrum`] of the cosine matrix; empty where all features are zero.
    pub spectrum: Vec<f64>,
    /// The [`effective_rank`] of that spectrum: how many directions the group spans, from 1 to
    /// min(m, d); 0 where all features are zero.
    pub effective_rank: f64,
}

impl GroupGeometry {
    /// The geometry of a group with these cosines (m, m), whose responses are correct or not (m).
    pub fn new(cosines: &CosineMatrix, correct: &[bool]) -> Self {
        let of_kind = |kind: PairKind| {
            let members = cosines
                .indexed_pairs()
                .filter(|(i, j, _)| PairKind::of(correct[*i], correct[*j]) == kind);
            PairStatistics::of(members.map(|(_, _, cosine)| cosine))
        };
        let spectrum = spectrum(cosines.values(), cosines.size());
        Self {
            all: PairStatistics::of(cosines.pairs()),
            correct: of_kind(PairKind::Correct),
            mixed: of_kind(PairKind::Mixed),
            incorrect: of_kind(PairKind::Incorrect),
            effective_rank: spectrum.as_deref().map_or(f64::NAN, effective_rank),
            spectrum: spectrum.unwrap_or_default(),
        }
    }
}

/// Eigenvalues of a cosine matrix (size, size) as shares of their sum, largest first; empty where
/// all are zero. `None` where the decomposition does not converge, or the values are not finite or
/// not size x size. The matrix is a Gram matrix, so its eigenvalues are not negative but for
/// rounding, which is clipped.
pub fn spectrum(cosines: &[f32], size: usize) -> Option<Vec<f64>> {
    if cosines.len() != size * size || cosines.iter().any(|cosine| !cosine.is_finite()) {
        return None;
    }
    if size == 0 {
        return Some(Vec::new());
    }
    let matrix =
        DMatrix::from_iterator(size, size, cosines.iter().map(|&cosine| f64::from(cosine)));
    let decomposition = SymmetricEigen::try_new(matrix, f64::EPSILON, 1000 * size)?;
    let mut shares: Vec<f64> =
        decomposition.eigenvalues.iter().map(|value| value.max(0.0)).collect();
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

/// exp of the entropy of a [`spectrum`]: how many directions it spreads over. 0 for an empty one.
pub fn effective_rank(spectrum: &[f64]) -> f64 {
    if spectrum.is_empty() {
        return 0.0;
    }
    spectrum
        .iter()
        .filter(|share| **share > 0.0)
        .map(|share| -share * share.ln())
        .sum::<f64>()
        .exp()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these results are exact, or equal bit for bit")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn geometry(features: &[f32], dim: usize, correct: &[bool]) -> GroupGeometry {
        GroupGeometry::new(&CosineMatrix::from_features(features, dim).unwrap(), correct)
    }

    #[test]
    fn effective_rank_counts_directions() {
        let axes = geometry(&[1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 3.0], 3, &[true; 3]);
        assert!((axes.effective_rank - 3.0).abs() < 1e-9, "{axes:?}");
        let all = &axes.all;
        assert_eq!(
            (all.mean, all.negative_ratio, all.orthogonal_ratio, all.pairs),
            (0.0, 0.0, 1.0, 3)
        );
        let line = geometry(&[1.0, 1.0, 2.0, 2.0, -1.0, -1.0, 3.0, 3.0], 2, &[true; 4]);
        assert!((line.effective_rank - 1.0).abs() < 1e-4, "{line:?}");
        assert_eq!(
            (line.all.negative_ratio, line.all.orthogonal_ratio, line.all.pairs),
            (0.5, 0.0, 6)
        );
        assert_eq!(geometry(&[0.0, 0.0], 1, &[false; 2]).effective_rank, 0.0);
    }

    #[test]
    fn pairs_are_told_apart_by_what_their_responses_are() {
        // Directions 0, 0, 90 and 180 degrees; the first and third are correct.
        let group =
            geometry(&[1.0, 0.0, 1.0, 0.0, 0.0, 1.0, -1.0, 0.0], 2, &[true, false, true, false]);
        let means = [&group.correct, &group.mixed, &group.incorrect]
            .map(|s| (s.pairs, (s.mean * 1e3).round() / 1e3));
        assert_eq!(means, [(1, 0.0), (4, 0.0), (1, -1.0)]);
        assert_eq!(group.mixed.negative_ratio, 0.25);
        let lone = geometry(&[1.0], 1, &[true]);
        assert!(
            lone.all.pairs == 0
                && lone.all.mean.is_nan()
                && lone.correct.quantiles.iter().all(|q| q.is_nan())
        );
        assert!(serde_json::to_value(&lone).unwrap()["all"]["mean"].is_null());
    }

    #[test]
    fn quantiles_and_histogram_describe_the_distribution() {
        // As numpy.quantile of these values, method "linear".
        let statistics = PairStatistics::of([0.5, -1.0, 0.0, 1.0, 0.25]);
        for (found, expected) in statistics.quantiles.iter().zip([-0.8, 0.0, 0.25, 0.5, 0.9]) {
            assert!((found - expected).abs() < 1e-12, "{statistics:?}");
        }
        let filled: Vec<usize> =
            (0..HISTOGRAM_BINS).filter(|&bin| statistics.histogram[bin] == 1).collect();
        assert_eq!(filled, [0, 10, 12, 15, 19]);
        assert_eq!(statistics.histogram.iter().sum::<usize>(), 5);
    }

    proptest! {
        #[test]
        fn effective_rank_lies_between_one_and_the_number_of_dimensions(
            features in prop::collection::vec(prop::array::uniform3(0.1f32..3.0), 1..14),
        ) {
            let rank = geometry(&features.concat(), 3, &vec![true; features.len()]).effective_rank;
            prop_assert!((1.0 - 1e-9..=3.0 + 1e-4).contains(&rank), "{}", rank);
        }
    }
}
