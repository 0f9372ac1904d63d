//! What panels need beyond the snapshot, computed once per step and choice: orders, histograms,
//! spectra. No egui here.

use crate::dashboard::kit::format;
use crate::geometry::{
    NEAR_ORTHOGONAL, Projection, cluster_order, effective_rank, project, spectrum,
};
use crate::run::{CosineKind, GroupView, StepView};

/// Bins of the histogram of pairs over [-1, 1].
pub(crate) const BINS: usize = 40;

/// Two rollouts of a group, by their indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The row's rollout, i.
    pub(crate) i: usize,
    /// The column's rollout, j.
    pub(crate) j: usize,
}

/// The order of rows and columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Order {
    /// As sampled.
    Index,
    /// Highest reward first, so that blocks of correct and wrong rollouts show.
    #[default]
    Reward,
    /// By hierarchical clustering of the cosines, so that rollouts that push alike stand together.
    Cluster,
}

/// What the ends of the colour maps stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum ColorRange {
    /// Everything that is possible: cosines from -1 to 1, novelty from 0 to 1.
    Full,
    /// The range of the step's values.
    #[default]
    Fitted,
}

/// The values that a colour map stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ColorScale {
    /// What the map's first colour stands for.
    pub(crate) low: f32,
    /// What its last colour stands for.
    pub(crate) high: f32,
}

impl ColorScale {
    /// From `-reach` to `reach`.
    pub(crate) const fn around_zero(reach: f32) -> Self {
        Self { low: -reach, high: reach }
    }

    /// The range of `values` to a hundredth, one value where all are equal; `None` without any.
    fn of(values: impl Iterator<Item = f32>) -> Option<Self> {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if low >= high {
            return (low <= high).then_some(Self { low, high });
        }
        // Within rounding of a hundredth is at it.
        let (low, high) =
            ((100.0 * low + 1e-3).floor() / 100.0, (100.0 * high - 1e-3).ceil() / 100.0);
        Some(Self { low, high: high.max(low) })
    }

    /// What the colour of a cosine between them stands for: `±0.5`, or `0.81 to 0.97`.
    pub(crate) fn name(self) -> String {
        if (self.low + self.high).abs() < 1e-6 {
            return format!("±{}", self.high);
        }
        // The map's lower half is for what pulls against each other.
        Self { low: f32::midpoint(self.low, self.high), ..self }.ends()
    }

    /// What its ends stand for: `0.81 to 0.97`, or the one value that there is.
    pub(crate) fn ends(self) -> String {
        let [low, high] = [self.low, self.high].map(|end| format::number(f64::from(end), 2));
        if low == high { low } else { format!("{low} to {high}") }
    }

    /// Where `value` lies, from 0 to 1; NaN for NaN. The only value that there is lies in the
    /// middle.
    pub(crate) fn place(self, value: f32) -> f32 {
        if self.low < self.high {
            return ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        }
        value
            .partial_cmp(&self.low)
            .map_or(f32::NAN, |order| f32::midpoint(f32::from(order as i8), 1.0))
    }
}

/// The round ranges that cosines of directions are fitted to: 0 stays neutral.
const RANGES: [f32; 4] = [0.1, 0.25, 0.5, 1.0];

/// What the colours of cosines stand for at `step`. Embeddings are all alike, and so are hidden
/// states, so that theirs are told apart from the lowest one on.
pub(crate) fn cosine_scale(
    step: &StepView,
    compared: CosineKind,
    choice: ColorRange,
) -> ColorScale {
    let full = ColorScale::around_zero(1.0);
    if choice == ColorRange::Full {
        return full;
    }
    let cosines = || step.groups.iter().flat_map(|group| group.pair_cosines(compared));
    let Some(range) = ColorScale::of(cosines()) else { return full };
    if matches!(compared, CosineKind::Semantic | CosineKind::Hidden) && range.low >= 0.0 {
        return ColorScale { low: 2.0f32.mul_add(range.low, -range.high), high: range.high };
    }
    let largest = cosines()
        .filter(|cosine| cosine.is_finite())
        .fold(0.0f32, |most, cosine| most.max(cosine.abs()));
    let reach = RANGES.into_iter().find(|&reach| largest <= reach).filter(|_| largest > 0.0);
    ColorScale::around_zero(reach.unwrap_or(1.0))
}

/// What the colours of novelties stand for at `step`.
pub(crate) fn novelty_scale(step: &StepView, choice: ColorRange) -> ColorScale {
    let novelties =
        step.groups.iter().flat_map(|group| &group.rollouts).map(|rollout| rollout.novelty);
    let fitted = if choice == ColorRange::Fitted { ColorScale::of(novelties) } else { None };
    fitted.unwrap_or(ColorScale { low: 0.0, high: 1.0 })
}

/// Rollout indices in display order.
pub(crate) fn display_order(group: &GroupView, compared: CosineKind, order: Order) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..group.rollouts.len()).collect();
    if order == Order::Cluster && !group.cosines[compared].is_empty() {
        return cluster_order(&group.cosines[compared], indices.len());
    }
    if order == Order::Reward {
        // Stable: rollouts of equal reward stay in the order of their indices. NaN sinks to the
        // end.
        let key = |i: usize| -> f32 {
            let reward = group.rollouts[i].reward;
            if reward.is_nan() { f32::NEG_INFINITY } else { reward }
        };
        indices.sort_by(|&a, &b| key(b).total_cmp(&key(a)));
    }
    indices
}

/// How the pairs of a group spread over [-1, 1].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Histogram {
    /// Pairs per bin, from -1 to 1: of two correct rollouts, of a correct and another one, of two
    /// others.
    pub(crate) counts: [[u32; 3]; BINS],
    /// Pairs with a cosine.
    pub(crate) total: u32,
    /// Pairs without one.
    pub(crate) missing: u32,
}

impl Histogram {
    fn new(group: &GroupView, compared: CosineKind) -> Self {
        let mut histogram = Self { counts: [[0; 3]; BINS], total: 0, missing: 0 };
        let m = group.rollouts.len();
        for (i, j) in (0..m).flat_map(|i| (i + 1..m).map(move |j| (i, j))) {
            let cosine = group.cosine(compared, i, j);
            if cosine.is_finite() {
                let correct = [i, j]
                    .into_iter()
                    .filter(|&index| group.rollouts[index].verdict.is_correct())
                    .count();
                histogram.counts[Self::bin(cosine)][2 - correct] += 1;
                histogram.total += 1;
            } else {
                histogram.missing += 1;
            }
        }
        histogram
    }

    /// The bin that `cosine` falls into.
    pub(crate) fn bin(cosine: f32) -> usize {
        let place = f32::midpoint(cosine.clamp(-1.0, 1.0), 1.0) * BINS as f32;
        (place as usize).min(BINS - 1)
    }

    /// The cosines between which `bin` lies.
    pub(crate) fn edges(bin: usize) -> (f32, f32) {
        let edge = |bin: usize| 2.0 * bin as f32 / BINS as f32 - 1.0;
        (edge(bin), edge(bin + 1))
    }

    /// Pairs in the fullest bin.
    pub(crate) fn highest(&self) -> u32 {
        self.counts.iter().map(|kinds| kinds.iter().sum()).max().unwrap_or(0)
    }
}

/// The geometry of one group in one display order.
#[derive(Clone, Debug)]
pub(crate) struct GroupGeometry {
    /// Rollout indices by display position.
    pub(crate) order: Vec<usize>,
    /// Pairs by cosine.
    pub(crate) histogram: Histogram,
    /// Mean cosine over pairs; NaN without pairs.
    pub(crate) mean: f64,
    /// Share of pairs with a negative cosine; NaN without pairs.
    pub(crate) negative: f64,
    /// Share of near-orthogonal pairs; NaN without pairs.
    pub(crate) orthogonal: f64,
    /// Eigenvalues of the cosine matrix as shares of their sum, largest first; empty where the
    /// matrix has gaps.
    pub(crate) spectrum: Vec<f64>,
    /// exp(entropy of the spectrum); NaN without a spectrum.
    pub(crate) effective_rank: f64,
    /// The directions in the plane in which they spread most, where there is one.
    pub(crate) projection: Option<Projection>,
    /// The pair with the lowest cosine, shown until another is chosen.
    pub(crate) lowest: Option<Pair>,
}

impl GroupGeometry {
    /// The geometry of `group`.
    pub(crate) fn new(group: &GroupView, compared: CosineKind, order: Order) -> Self {
        let histogram = Histogram::new(group, compared);
        let finite: Vec<f64> = group
            .pair_cosines(compared)
            .filter(|cosine| cosine.is_finite())
            .map(f64::from)
            .collect();
        let share = |holds: fn(f64) -> bool| {
            finite.iter().filter(|cosine| holds(**cosine)).count() as f64 / finite.len() as f64
        };
        let m = group.rollouts.len();
        let spectrum = spectrum(&group.cosines[compared], m).unwrap_or_default();
        let effective_rank = if spectrum.is_empty() { f64::NAN } else { effective_rank(&spectrum) };
        let lowest = (0..m)
            .flat_map(|i| (i + 1..m).map(move |j| Pair { i, j }))
            .filter(|pair| group.cosine(compared, pair.i, pair.j).is_finite())
            .min_by(|a, b| {
                group.cosine(compared, a.i, a.j).total_cmp(&group.cosine(compared, b.i, b.j))
            })
            .or(if m >= 2 { Some(Pair { i: 0, j: 1 }) } else { None });
        Self {
            order: display_order(group, compared, order),
            mean: finite.iter().sum::<f64>() / finite.len() as f64,
            negative: share(|cosine| cosine < 0.0),
            orthogonal: share(|cosine| cosine.abs() < f64::from(NEAR_ORTHOGONAL)),
            histogram,
            spectrum,
            effective_rank,
            projection: project(&group.cosines[compared], m),
            lowest,
        }
    }

    /// The display position of rollout `index`.
    pub(crate) fn position(&self, index: usize) -> Option<usize> {
        self.order.iter().position(|&at| at == index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::tests::testing;
    use crate::verify::Verdict;

    #[test]
    fn identical_directions_have_rank_one_and_orthogonal_ones_full_rank() {
        let mut group = testing::group(0, 4, 1);
        group.cosines[CosineKind::Feature] = vec![1.0; 16];
        let same = GroupGeometry::new(&group, CosineKind::Feature, Order::Index);
        assert!((same.effective_rank - 1.0).abs() < 1e-9, "{}", same.effective_rank);
        assert!((same.mean - 1.0).abs() < 1e-9);

        group.cosines[CosineKind::Feature] =
            (0..16).map(|k| if k % 5 == 0 { 1.0 } else { 0.0 }).collect();
        let apart = GroupGeometry::new(&group, CosineKind::Feature, Order::Index);
        assert!((apart.effective_rank - 4.0).abs() < 1e-9);
        assert!((apart.orthogonal - 1.0).abs() < 1e-9);
        assert!(apart.negative.abs() < 1e-9);
    }

    #[test]
    fn missing_cosines_are_counted_and_leave_no_spectrum() {
        let mut group = testing::group(0, 3, 1);
        group.cosines[CosineKind::Feature] =
            vec![1.0, f32::NAN, 0.5, f32::NAN, 1.0, -0.5, 0.5, -0.5, 1.0];
        let geometry = GroupGeometry::new(&group, CosineKind::Feature, Order::Index);
        assert_eq!((geometry.histogram.total, geometry.histogram.missing), (2, 1));
        assert!(geometry.mean.abs() < 1e-9);
        assert!(geometry.effective_rank.is_nan());
        assert_eq!(geometry.lowest, Some(Pair { i: 1, j: 2 }));
    }

    #[test]
    fn a_group_without_cosines_has_numbers_that_say_so() {
        let mut group = testing::group(0, 2, 1);
        group.cosines[CosineKind::Feature].clear();
        let geometry = GroupGeometry::new(&group, CosineKind::Feature, Order::Reward);
        assert!(
            geometry.mean.is_nan()
                && geometry.negative.is_nan()
                && geometry.effective_rank.is_nan()
        );
        assert_eq!(geometry.lowest, Some(Pair { i: 0, j: 1 }));
        group.rollouts.clear();
        assert_eq!(GroupGeometry::new(&group, CosineKind::Feature, Order::Reward).lowest, None);
    }

    #[test]
    fn order_by_reward_is_stable_and_puts_nan_last() {
        let mut group = testing::group(0, 4, 1);
        for (rollout, reward) in group.rollouts.iter_mut().zip([-1.0, 1.0, f32::NAN, 1.0]) {
            rollout.reward = reward;
        }
        assert_eq!(display_order(&group, CosineKind::Feature, Order::Reward), [1, 3, 0, 2]);
        assert_eq!(display_order(&group, CosineKind::Feature, Order::Index), [0, 1, 2, 3]);
    }

    #[test]
    fn the_fitted_range_is_the_smallest_round_one_that_holds_every_pair() {
        let mut group = testing::group(0, 2, 1);
        group.cosines[CosineKind::Feature] = vec![1.0, -0.2, -0.2, 1.0];
        let mut step = StepView { step: 1, groups: vec![group] };
        let scale = |step: &StepView, choice| cosine_scale(step, CosineKind::Feature, choice);
        assert_eq!(scale(&step, ColorRange::Fitted), ColorScale::around_zero(0.25));
        assert_eq!(scale(&step, ColorRange::Full), ColorScale::around_zero(1.0));
        step.groups[0].cosines[CosineKind::Feature].clear();
        assert_eq!(scale(&step, ColorRange::Fitted), ColorScale::around_zero(1.0));
    }

    #[test]
    fn fitted_embeddings_run_from_neutral_at_their_lowest_to_the_end_at_their_highest() {
        let mut group = testing::group(0, 3, 1);
        group.cosines[CosineKind::Semantic] = vec![1.0, 0.9, 0.8, 0.9, 1.0, 0.85, 0.8, 0.85, 1.0];
        let mut step = StepView { step: 1, groups: vec![group] };
        let scale = |step: &StepView| cosine_scale(step, CosineKind::Semantic, ColorRange::Fitted);
        assert_eq!(scale(&step).name(), "0.80 to 0.90");
        assert!(
            (scale(&step).place(0.8) - 0.5).abs() < 1e-3
                && (scale(&step).place(0.9) - 1.0).abs() < 1e-3
        );
        step.groups[0].cosines[CosineKind::Semantic][1] = -0.3;
        assert_eq!(scale(&step).name(), "±1", "what pulls apart keeps its colour");
    }

    #[test]
    fn fitted_novelties_have_the_range_of_the_step() {
        let mut group = testing::group(0, 3, 1);
        group
            .rollouts
            .iter_mut()
            .zip([0.912, f32::NAN, 0.934])
            .for_each(|(rollout, novelty)| rollout.novelty = novelty);
        let step = StepView { step: 1, groups: vec![group] };
        let ends = ColorScale::ends;
        assert_eq!(ends(novelty_scale(&step, ColorRange::Fitted)), "0.91 to 0.94");
        assert_eq!(ends(novelty_scale(&step, ColorRange::Full)), "0.00 to 1.00");
    }

    #[test]
    fn equal_values_have_no_range_that_nobody_measured() {
        let mut group = testing::group(0, 3, 1);
        group.cosines[CosineKind::Semantic] = vec![0.9; 9];
        group.rollouts.iter_mut().for_each(|rollout| rollout.novelty = 1.0);
        let step = StepView { step: 1, groups: vec![group] };
        let novelty = novelty_scale(&step, ColorRange::Fitted);
        assert_eq!((novelty.ends().as_str(), novelty.place(1.0)), ("1.00", 0.5));
        let meanings = cosine_scale(&step, CosineKind::Semantic, ColorRange::Fitted);
        assert_eq!((meanings.name().as_str(), meanings.place(0.9)), ("0.90", 0.5));
        assert_eq!(
            (meanings.place(0.5), meanings.place(1.0), meanings.place(f32::NAN).is_nan()),
            (0.0, 1.0, true)
        );
    }

    #[test]
    fn pairs_are_counted_by_how_many_of_the_two_are_correct() {
        let mut group = testing::group(0, 3, 1);
        let verdicts = [Verdict::Correct, Verdict::Correct, Verdict::NoAnswer];
        group
            .rollouts
            .iter_mut()
            .zip(verdicts)
            .for_each(|(rollout, verdict)| rollout.verdict = verdict);
        group.cosines[CosineKind::Feature] = vec![1.0, 0.9, 0.0, 0.9, 1.0, -0.9, 0.0, -0.9, 1.0];
        let histogram = GroupGeometry::new(&group, CosineKind::Feature, Order::Index).histogram;
        let at = |cosine| histogram.counts[Histogram::bin(cosine)];
        assert_eq!((at(0.9), at(0.0), at(-0.9)), ([1, 0, 0], [0, 1, 0], [0, 1, 0]));
    }

    #[test]
    fn bins_cover_the_whole_range() {
        assert_eq!(Histogram::bin(-1.0), 0);
        assert_eq!(Histogram::bin(1.0), BINS - 1);
        assert_eq!(Histogram::bin(0.0), BINS / 2);
        for bin in 0..BINS {
            let (low, high) = Histogram::edges(bin);
            assert_eq!(Histogram::bin(f32::midpoint(low, high)), bin);
        }
    }
}
