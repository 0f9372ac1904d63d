//! Curves over training steps, extended by the new rows of each snapshot, and thinned for drawing.
//!
//! A curve keeps its points and, above them, their ranges over ever longer stretches, so that what
//! is drawn of it is bounded by the width of the picture and not by the length of the run.

use crate::metrics::{History, Metric, MetricRow};
use crate::run::{Estimate, EvaluationRecord};
use egui_plot::PlotPoint;

/// Steps over which curves are smoothed at first.
pub(crate) const SMOOTHING_STEPS: u32 = 10;

/// What the x axis shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Axis {
    /// Training steps.
    #[default]
    Step,
    /// Seconds since the run's start.
    Time,
    /// Seconds since the start of the earliest open run.
    Clock,
}

/// How curves lie over the steps of a run, in every panel that draws some.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CurveView {
    /// Steps over which curves are smoothed; 0 shows them as recorded.
    pub(crate) span: u32,
    /// What the x axis shows.
    pub(crate) axis: Axis,
    /// Whether runs that differ in their seed only are drawn as their mean with a band.
    pub(crate) joins_seeds: bool,
    /// Steps whose values are written into the plots.
    pub(crate) pins: Vec<u64>,
}

impl Default for CurveView {
    fn default() -> Self {
        Self { span: SMOOTHING_STEPS, axis: Axis::default(), joins_seeds: false, pins: Vec::new() }
    }
}

/// Points that a stretch stands for, per level.
const FACTOR: usize = 4;
/// Levels above the points: the highest stands for `FACTOR^LEVELS` = 65,536 of them.
const LEVELS: u32 = 8;

/// The range of the values in a stretch of points.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stretch {
    /// Between the first and the last step.
    first: f64,
    last: f64,
    low: f64,
    high: f64,
}

/// An unbroken line: its points, and ranges of ever longer stretches of them.
#[derive(Clone, Debug, Default)]
struct Pyramid {
    points: Vec<PlotPoint>,
    levels: Vec<Vec<Stretch>>,
}

impl Pyramid {
    fn push(&mut self, x: f64, y: f64) {
        let place = self.points.len();
        self.points.push(PlotPoint::new(x, y));
        self.levels.resize(LEVELS as usize, Vec::new());
        for (level, stretches) in (1u32..).zip(&mut self.levels) {
            match stretches.get_mut(place / FACTOR.pow(level)) {
                Some(stretch) => {
                    stretch.last = x;
                    stretch.low = stretch.low.min(y);
                    stretch.high = stretch.high.max(y);
                }
                None => stretches.push(Stretch { first: x, last: x, low: y, high: y }),
            }
        }
    }

    /// The line between `from` and `to`, with a neighbour on either side, in about `most` points at
    /// most. Longer lines are drawn by the lowest and the highest value of each stretch, so that no
    /// spike is lost; where `is_average` is set, by the middle between the two, for the spikes
    /// stand behind an average anyway.
    fn visible(&self, from: f64, to: f64, most: usize, is_average: bool) -> Vec<PlotPoint> {
        let first = self.points.partition_point(|point| point.x < from).saturating_sub(1);
        let end = (self.points.partition_point(|point| point.x <= to) + 1).min(self.points.len());
        if first >= end {
            return Vec::new();
        }
        if end - first <= most {
            return self.points[first..end].to_vec();
        }
        let fits = |level: &u32| 2 * (end - first).div_ceil(FACTOR.pow(*level)) <= most;
        let level = (1..LEVELS).find(fits).unwrap_or(LEVELS);
        let stretches = &self.levels[level as usize - 1];
        let size = FACTOR.pow(level);
        let shown = &stretches[first / size..=(end - 1) / size];
        if is_average {
            let middle = |stretch: &Stretch| {
                PlotPoint::new(
                    f64::midpoint(stretch.first, stretch.last),
                    f64::midpoint(stretch.low, stretch.high),
                )
            };
            return shown.iter().map(middle).collect();
        }
        let two = |stretch: &Stretch| {
            let (at, length) = (stretch.first, stretch.last - stretch.first);
            [
                PlotPoint::new(at + 0.25 * length, stretch.low),
                PlotPoint::new(at + 0.75 * length, stretch.high),
            ]
        };
        shown.iter().flat_map(two).collect()
    }
}

/// Values beyond this cannot be drawn: differences of them would overflow.
const LARGEST: f64 = 1e300;

/// Whether a value has a height in a plot.
fn is_drawable(value: f64) -> bool {
    value.abs() <= LARGEST
}

/// Kinds of values that a line has and cannot show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NotDrawn {
    /// Some are not numbers.
    pub(crate) not_numbers: bool,
    /// Some are numbers beyond [`LARGEST`].
    pub(crate) too_large: bool,
}

impl NotDrawn {
    /// Notes a value that is not drawn.
    fn note(&mut self, value: f64) {
        self.too_large |= value.is_finite();
        self.not_numbers |= !value.is_finite();
    }

    /// Why nothing of a line is drawn, in words; `None` where it has no values at all.
    pub(crate) fn reason(self) -> Option<&'static str> {
        match (self.not_numbers, self.too_large) {
            (false, false) => None,
            (true, false) => Some("no value is a number"),
            (false, true) => Some("values over 1e300 are not drawn"),
            (true, true) => Some("not numbers, or over 1e300"),
        }
    }
}

/// A line that is broken where a value is not a number, or too large to be drawn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Curve {
    /// What of its values is not drawn.
    pub(crate) not_drawn: NotDrawn,
    pieces: Vec<Pyramid>,
    /// The first and the last step of every stretch without such a value.
    gaps: Vec<(u64, u64)>,
    is_broken: bool,
    is_average: bool,
}

impl Curve {
    /// Breaks the line between two steps, both included.
    fn skip(&mut self, first: u64, last: u64) {
        match self.gaps.last_mut() {
            Some((_, end)) if self.is_broken => *end = last,
            _ => self.gaps.push((first, last)),
        }
        self.is_broken = true;
    }

    fn push(&mut self, step: u64, value: f64) {
        if !is_drawable(value) {
            self.not_drawn.note(value);
            self.skip(step, step);
            return;
        }
        if std::mem::take(&mut self.is_broken) || self.pieces.is_empty() {
            self.pieces.push(Pyramid::default());
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.push(step as f64, value);
        }
    }

    /// The pieces between two steps, in about `most` points each at most.
    pub(crate) fn visible(&self, from: f64, to: f64, most: usize) -> Vec<Vec<PlotPoint>> {
        // Of very many pieces each gets its share.
        let most = (most / self.pieces.len().max(1)).max(16);
        let pieces = self.pieces.iter().filter(|piece| {
            piece.points.last().is_some_and(|last| last.x >= from)
                && piece.points.first().is_some_and(|first| first.x <= to)
        });
        pieces
            .map(|piece| piece.visible(from, to, most, self.is_average))
            .filter(|points| !points.is_empty())
            .collect()
    }

    /// The first and the last step of every stretch without a value that can be drawn.
    pub(crate) fn gaps(&self) -> &[(u64, u64)] {
        &self.gaps
    }

    /// The value at `step`.
    pub(crate) fn at(&self, step: u64) -> Option<f64> {
        let step = step as f64;
        let place = self
            .pieces
            .partition_point(|piece| piece.points.last().is_some_and(|last| last.x < step));
        let points = &self.pieces.get(place)?.points;
        let place = points.partition_point(|point| point.x < step);
        points.get(place).filter(|point| (point.x - step).abs() < 0.5).map(|point| point.y)
    }

    /// All points in order.
    pub(crate) fn points(&self) -> impl Iterator<Item = &PlotPoint> {
        self.pieces.iter().flat_map(|piece| &piece.points)
    }

    fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.points.len()).sum()
    }
}

/// One metric over steps.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// The metric.
    pub(crate) metric: &'static Metric,
    /// Values as recorded.
    pub(crate) raw: Curve,
    /// Values averaged with weights that fall exponentially with age, divided by the sum of the
    /// weights so that the start is not biased (as the moments of Adam, arXiv 1412.6980, section
    /// 3).
    pub(crate) smooth: Curve,
    span: u32,
    weighted: f64,
    weights: f64,
}

impl Series {
    fn new(metric: &'static Metric, span: u32) -> Self {
        let smooth = Curve { is_average: true, ..Curve::default() };
        Self { metric, raw: Curve::default(), smooth, span, weighted: 0.0, weights: 0.0 }
    }

    fn push(&mut self, step: u64, value: f64) {
        self.raw.push(step, value);
        self.push_smooth(step, value);
    }

    /// Takes in what the row of a step says; `before` is the step of the row before it, and steps
    /// between them have none.
    fn push_row(&mut self, before: Option<u64>, row: &MetricRow) {
        if let Some(before) = before.filter(|before| before + 1 < row.step) {
            self.raw.skip(before + 1, row.step - 1);
            self.smooth.is_broken = true;
        }
        if let Some(value) = row.get(self.metric) {
            self.push(row.step, value);
        }
    }

    fn push_smooth(&mut self, step: u64, value: f64) {
        if !is_drawable(value) {
            self.smooth.is_broken = true;
            return;
        }
        let weight = 2.0 / (f64::from(self.span) + 1.0);
        self.weighted = weight.mul_add(value - self.weighted, self.weighted);
        self.weights = weight.mul_add(1.0 - self.weights, self.weights);
        self.smooth.push(step, self.weighted / self.weights);
    }

    /// Smooths over another number of steps.
    fn set_span(&mut self, span: u32) {
        if span == self.span || span == 0 {
            return;
        }
        let mut again = Self::new(self.metric, span);
        for (number, piece) in self.raw.pieces.iter().enumerate() {
            again.smooth.is_broken = number > 0;
            piece.points.iter().for_each(|point| again.push_smooth(point.x as u64, point.y));
        }
        again.smooth.is_broken = self.raw.is_broken;
        again.raw = std::mem::take(&mut self.raw);
        *self = again;
    }

    /// The recorded value at `step`.
    pub(crate) fn at(&self, step: u64) -> Option<f64> {
        self.raw.at(step)
    }

    /// Whether there is nothing to draw.
    pub(crate) fn is_empty(&self) -> bool {
        self.raw.pieces.is_empty()
    }

    /// Whether the average over `span` steps is drawn: where there are enough points for it to tell
    /// something.
    pub(crate) fn is_averaged(&self, span: u32) -> bool {
        span > 0 && self.raw.len() > 20
    }

    /// The value that is drawn at `step`.
    pub(crate) fn shown_at(&self, step: u64, span: u32) -> Option<f64> {
        if self.is_averaged(span) { self.smooth.at(step) } else { self.at(step) }
    }
}

/// pass@k of one suite over evaluations; without any k before the first evaluation.
#[derive(Clone, Debug, Default)]
pub(crate) struct PassCurves {
    /// The suite's name.
    pub(crate) suite: String,
    /// Problems of the newest evaluation.
    pub(crate) problems: usize,
    /// Samples per problem of the newest evaluation.
    pub(crate) samples: usize,
    /// For k = 1 and for the largest k: (step, estimate).
    pub(crate) by_k: Vec<(usize, Vec<(u64, Estimate)>)>,
}

/// All curves of a run.
#[derive(Clone, Debug)]
pub(crate) struct Curves {
    series: Vec<Series>,
    /// pass@k over evaluations, one per suite; one empty before the first evaluation, so that its
    /// place is kept.
    pub(crate) passes: Vec<PassCurves>,
    /// Step and seconds since the start of every row.
    times: Vec<(u64, f64)>,
    evaluations: usize,
}

impl Default for Curves {
    fn default() -> Self {
        Self {
            series: Vec::new(),
            passes: vec![PassCurves::default()],
            times: Vec::new(),
            evaluations: 0,
        }
    }
}

impl Curves {
    /// The curve of `metric`, if it is one of those that were asked for.
    pub(crate) fn of(&self, metric: &Metric) -> Option<&Series> {
        self.series.iter().find(|series| series.metric.name == metric.name)
    }

    /// Seconds since the run's start at `step`; of a step between two rows, that of the later one.
    pub(crate) fn time_of(&self, step: f64) -> f64 {
        let place = self.times.partition_point(|(at, _)| (*at as f64) < step);
        self.times.get(place).or(self.times.last()).map_or(0.0, |(_, seconds)| *seconds)
    }

    /// The first step that ended after `seconds` since the run's start.
    pub(crate) fn step_at(&self, seconds: f64) -> f64 {
        let place = self.times.partition_point(|(_, at)| *at < seconds);
        self.times.get(place).or(self.times.last()).map_or(0.0, |(step, _)| *step as f64)
    }

    /// Keeps curves of `metrics` from now on, of the past too.
    pub(crate) fn require(&mut self, metrics: &[&'static Metric], history: &History, span: u32) {
        for metric in metrics {
            if self.of(metric).is_some() {
                continue;
            }
            let mut series = Series::new(metric, span.max(1));
            let mut before = None;
            for row in history.iter().take(self.times.len()) {
                series.push_row(before, row);
                before = Some(row.step);
            }
            self.series.push(series);
        }
    }

    /// Takes in what is new; averages are over `span` steps.
    pub(crate) fn extend(
        &mut self,
        history: &History,
        evaluations: &[EvaluationRecord],
        span: u32,
    ) {
        let known = self.times.len();
        for series in &mut self.series {
            series.set_span(span);
        }
        if history.len() > known {
            for row in history.iter().skip(known) {
                let before = self.times.last().map(|(step, _)| *step);
                for series in &mut self.series {
                    series.push_row(before, row);
                }
                self.times.push((row.step, row.wall_s));
            }
        }
        if evaluations.len() != self.evaluations && !evaluations.is_empty() {
            self.passes = pass_curves(evaluations);
            self.evaluations = evaluations.len();
        }
    }
}

fn pass_curves(evaluations: &[EvaluationRecord]) -> Vec<PassCurves> {
    let mut curves: Vec<PassCurves> = Vec::new();
    for record in evaluations {
        let place =
            curves.iter().position(|curve| curve.suite == record.suite).unwrap_or_else(|| {
                let largest = record.pass_at.iter().map(|(k, _)| *k).max().unwrap_or(1);
                let by_k = if largest == 1 {
                    vec![(1, Vec::new())]
                } else {
                    vec![(1, Vec::new()), (largest, Vec::new())]
                };
                curves.push(PassCurves {
                    suite: record.suite.clone(),
                    problems: 0,
                    samples: 0,
                    by_k,
                });
                curves.len() - 1
            });
        let curve = &mut curves[place];
        curve.problems = record.problems;
        curve.samples = record.samples;
        for (k, points) in &mut curve.by_k {
            if let Some(estimate) = record.pass(*k).filter(|estimate| estimate.value.is_finite()) {
                points.push((record.step, estimate));
            }
        }
    }
    curves
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::tests::testing;
    use crate::stages::metrics as measured;
    use proptest::prelude::*;

    fn row(step: u64, value: f64) -> MetricRow {
        MetricRow { step, wall_s: 2.0 * step as f64, values: vec![(&measured::REWARD_MEAN, value)] }
    }

    fn reward(curves: &Curves) -> &Series {
        curves.of(&measured::REWARD_MEAN).unwrap()
    }

    #[test]
    fn curves_grow_by_new_rows_only_and_break_at_nan() {
        let mut history = History::default();
        history.push(row(1, 0.5));
        history.push(row(2, f64::NAN));
        let mut curves = Curves::default();
        curves.require(&[&measured::REWARD_MEAN, &measured::POLICY_KL], &history, SMOOTHING_STEPS);
        curves.extend(&history, &[], SMOOTHING_STEPS);
        history.push(row(3, 1.0));
        history.push(row(4, 1.0));
        curves.extend(&history, &[], SMOOTHING_STEPS);
        let reward = reward(&curves);
        assert_eq!(
            reward.raw.pieces.iter().map(|piece| piece.points.len()).collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!((reward.at(3), reward.at(2)), (Some(1.0), None));
        assert_eq!(reward.raw.gaps(), [(2, 2)]);
        assert!(reward.smooth.at(3).unwrap() < 1.0);
        assert!(curves.of(&measured::POLICY_KL).unwrap().is_empty());
        assert!(
            (curves.time_of(3.0) - 6.0).abs() < 1e-9 && (curves.step_at(6.0) - 3.0).abs() < 1e-9
        );
    }

    #[test]
    fn a_step_without_a_row_is_a_gap_whenever_the_metric_is_asked_for() {
        let mut history = History::default();
        for step in [1, 2, 5, 6] {
            history.push(row(step, 1.0));
        }
        let reward_mean: [&Metric; 1] = [&measured::REWARD_MEAN];
        let mut late = Curves::default();
        late.extend(&history, &[], SMOOTHING_STEPS);
        late.require(&reward_mean, &history, SMOOTHING_STEPS);
        let mut early = Curves::default();
        early.require(&reward_mean, &history, SMOOTHING_STEPS);
        early.extend(&history, &[], SMOOTHING_STEPS);
        for curves in [&late, &early] {
            assert_eq!(reward(curves).raw.gaps(), [(3, 4)]);
            assert_eq!(
                (reward(curves).raw.pieces.len(), reward(curves).smooth.pieces.len()),
                (2, 2)
            );
        }
    }

    #[test]
    fn a_value_too_large_to_be_drawn_is_a_gap_and_spoils_no_average() {
        let mut series = Series::new(&measured::REWARD_MEAN, 10);
        for (step, value) in (1..).zip([1.0, 1e308, -1e308, f64::INFINITY, 1.0, f64::NAN]) {
            series.push(step, value);
        }
        assert_eq!(series.raw.gaps(), [(2, 4), (6, 6)]);
        assert_eq!(series.raw.not_drawn, NotDrawn { not_numbers: true, too_large: true });
        assert!((series.smooth.at(5).unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_not_drawn_is_called_what_it_is() {
        let reason = |values: &[f64]| {
            let mut series = Series::new(&measured::REWARD_MEAN, 10);
            (1..).zip(values).for_each(|(step, value)| series.push(step, *value));
            series.raw.not_drawn.reason()
        };
        assert_eq!(reason(&[]), None);
        assert_eq!(reason(&[f64::NAN, f64::INFINITY]), Some("no value is a number"));
        assert_eq!(reason(&[1e308, -1e301]), Some("values over 1e300 are not drawn"));
        assert_eq!(reason(&[1e308, f64::NAN]), Some("not numbers, or over 1e300"));
    }

    #[test]
    fn averages_are_not_biased_at_the_start() {
        let mut series = Series::new(&measured::REWARD_MEAN, 10);
        (1..=5).for_each(|step| series.push(step, 3.0));
        assert!(series.smooth.points().all(|point| (point.y - 3.0).abs() < 1e-12));
        series.push(6, 4.0);
        let after = series.smooth.at(6).unwrap();
        assert!(after > 3.0 && after < 3.5, "{after}");
    }

    #[test]
    fn another_span_smooths_the_whole_curve_anew() {
        let values = [1.0, 2.0, f64::NAN, 0.5, 4.0];
        let filled = |span| {
            let mut series = Series::new(&measured::REWARD_MEAN, span);
            (1u64..).zip(values).for_each(|(step, value)| series.push(step, value));
            series
        };
        let mut changed = filled(10);
        changed.set_span(3);
        let values =
            |series: &Series| series.smooth.points().map(|point| point.y).collect::<Vec<_>>();
        assert_eq!(values(&changed), values(&filled(3)));
        assert_ne!(values(&changed), values(&filled(10)));
        assert_eq!(changed.smooth.pieces.len(), 2);
    }

    #[test]
    fn a_metric_that_is_asked_for_later_has_its_whole_past() {
        let mut history = History::default();
        (1..=30).for_each(|step| history.push(row(step, step as f64)));
        let mut curves = Curves::default();
        curves.extend(&history, &[], SMOOTHING_STEPS);
        assert!(curves.of(&measured::REWARD_MEAN).is_none());
        curves.require(&[&measured::REWARD_MEAN], &history, SMOOTHING_STEPS);
        assert_eq!(reward(&curves).raw.len(), 30);
    }

    #[test]
    fn suites_get_a_curve_each_for_one_and_for_many_samples() {
        let snapshot = testing::snapshot(40, 2, 4);
        let mut curves = Curves::default();
        curves.extend(&snapshot.history, &snapshot.evaluations, SMOOTHING_STEPS);
        assert_eq!(curves.passes.len(), 1);
        assert_eq!(curves.passes[0].by_k.iter().map(|(k, _)| *k).collect::<Vec<_>>(), [1, 16]);
        assert_eq!(curves.passes[0].by_k[0].1.len(), snapshot.evaluations.len());
    }

    proptest! {
        #[test]
        fn thinned_lines_are_short_and_lose_no_extreme(
            values in proptest::collection::vec(-1e3f64..1e3, 1..3000),
            from in 0usize..3000,
            length in 0usize..3000,
        ) {
            let mut line = Pyramid::default();
            values.iter().enumerate().for_each(|(place, value)| line.push(place as f64, *value));
            let (low, high) = (from as f64, (from + length) as f64);
            let shown = line.visible(low, high, 100, false);
            prop_assert!(shown.len() <= 110, "{}", shown.len());
            prop_assert!(shown.windows(2).all(|pair| pair[0].x <= pair[1].x));
            let inside = values.iter().enumerate().filter(|(place, _)| (from..=from + length).contains(place));
            for (_, value) in inside {
                let most = shown.iter().map(|point| point.y).fold(f64::NEG_INFINITY, f64::max);
                let least = shown.iter().map(|point| point.y).fold(f64::INFINITY, f64::min);
                prop_assert!(least <= *value && *value <= most);
            }
            // An average runs between the extremes.
            let average = line.visible(low, high, 100, true);
            prop_assert!(average.len() <= 110 && average.windows(2).all(|pair| pair[0].x <= pair[1].x));
            for point in &average {
                prop_assert!(values.iter().any(|value| *value <= point.y) && values.iter().any(|value| *value >= point.y));
            }
        }
    }
}
