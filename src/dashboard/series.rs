//! Curves over training steps, extended by the new rows of each snapshot.

use crate::metrics::{self, History, Metric};
use crate::trainer::{Estimate, EvaluationRecord};
use egui_plot::PlotPoint;

/// Steps over which the smoothed curve averages, as in an exponential average with weight 2 / (n + 1).
pub(crate) const SMOOTHING_STEPS: f64 = 10.0;

/// The metrics shown as curves, with their titles, in reading order.
pub(crate) const CURVES: [(&str, &Metric); 11] = [
    ("Training accuracy", &metrics::REWARD_ACCURACY),
    ("Reward", &metrics::REWARD_MEAN),
    ("Entropy", &metrics::POLICY_ENTROPY),
    ("KL to reference", &metrics::POLICY_KL),
    ("Length", &metrics::COMPLETION_LENGTH_MEAN),
    ("Mean cosine", &metrics::GEOMETRY_COSINE_MEAN),
    ("Negative pairs", &metrics::GEOMETRY_NEGATIVE_RATIO),
    ("Near-orthogonal pairs", &metrics::GEOMETRY_ORTHOGONAL_RATIO),
    ("Effective rank", &metrics::GEOMETRY_EFFECTIVE_RANK),
    ("Semantic cosine", &metrics::SEMANTIC_COSINE_MEAN),
    ("Proxy fidelity", &metrics::FIDELITY_PEARSON),
];

/// Of [`CURVES`] the last ones, which not every run measures: they have a place only where there is something to draw.
const OPTIONAL: usize = 2;

/// One metric over steps. Lines are broken where a value is not a number.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// The panel's title.
    pub(crate) title: &'static str,
    /// The metric.
    pub(crate) metric: &'static Metric,
    /// Values as recorded.
    pub(crate) raw: Vec<Vec<PlotPoint>>,
    /// Values averaged over [`SMOOTHING_STEPS`].
    pub(crate) smooth: Vec<Vec<PlotPoint>>,
    average: Option<f64>,
    broken: bool,
}

impl Series {
    fn new(title: &'static str, metric: &'static Metric) -> Self {
        Self { title, metric, raw: Vec::new(), smooth: Vec::new(), average: None, broken: true }
    }

    fn push(&mut self, step: u64, value: f64) {
        if !value.is_finite() {
            self.broken = true;
            return;
        }
        let weight = 2.0 / (SMOOTHING_STEPS + 1.0);
        let average = self.average.map_or(value, |average| weight.mul_add(value - average, average));
        self.average = Some(average);
        if std::mem::take(&mut self.broken) {
            self.raw.push(Vec::new());
            self.smooth.push(Vec::new());
        }
        if let (Some(raw), Some(smooth)) = (self.raw.last_mut(), self.smooth.last_mut()) {
            raw.push(PlotPoint::new(step as f64, value));
            smooth.push(PlotPoint::new(step as f64, average));
        }
    }

    /// The recorded value at `step`.
    pub(crate) fn at(&self, step: u64) -> Option<f64> {
        let step = step as f64;
        self.raw.iter().find_map(|line| {
            let place = line.partition_point(|point| point.x < step);
            line.get(place).filter(|point| (point.x - step).abs() < 0.5).map(|point| point.y)
        })
    }

    /// Whether there is nothing to draw.
    pub(crate) fn is_empty(&self) -> bool {
        self.raw.is_empty()
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
    /// Metrics over steps, as in [`CURVES`].
    pub(crate) series: Vec<Series>,
    /// pass@k over evaluations, one per suite; one empty before the first evaluation, so that its place is kept.
    pub(crate) passes: Vec<PassCurves>,
    rows: usize,
    evaluations: usize,
}

impl Default for Curves {
    fn default() -> Self {
        Self {
            series: CURVES.iter().map(|&(title, metric)| Series::new(title, metric)).collect(),
            passes: vec![PassCurves::default()],
            rows: 0,
            evaluations: 0,
        }
    }
}

impl Curves {
    /// The curves that have a place in the window.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &Series> {
        let always = CURVES.len() - OPTIONAL;
        self.series
            .iter()
            .enumerate()
            .filter(move |(place, series)| *place < always || !series.is_empty())
            .map(|(_, s)| s)
    }

    /// Takes in what is new.
    pub(crate) fn extend(&mut self, history: &History, evaluations: &[EvaluationRecord]) {
        if history.len() < self.rows {
            *self = Self::default();
        }
        if history.len() > self.rows {
            for row in history.iter().skip(self.rows) {
                for series in &mut self.series {
                    if let Some(value) = row.get(series.metric) {
                        series.push(row.step, value);
                    }
                }
            }
            self.rows = history.len();
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
        let place = curves.iter().position(|curve| curve.suite == record.suite).unwrap_or_else(|| {
            let largest = record.pass_at.iter().map(|(k, _)| *k).max().unwrap_or(1);
            let by_k = if largest == 1 { vec![(1, Vec::new())] } else { vec![(1, Vec::new()), (largest, Vec::new())] };
            curves.push(PassCurves { suite: record.suite.clone(), problems: 0, samples: 0, by_k });
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
    use crate::dashboard::testing;
    use crate::metrics::MetricRow;

    fn row(step: u64, value: f64) -> MetricRow {
        MetricRow { step, wall_s: 0.0, values: vec![(&metrics::REWARD_MEAN, value)] }
    }

    #[test]
    fn curves_grow_by_new_rows_only_and_break_at_nan() {
        let mut history = History::default();
        history.push(row(1, 0.5));
        history.push(row(2, f64::NAN));
        let mut curves = Curves::default();
        curves.extend(&history, &[]);
        history.push(row(3, 1.0));
        history.push(row(4, 1.0));
        curves.extend(&history, &[]);
        let reward = curves.series.iter().find(|series| series.metric.name == "reward/mean").unwrap();
        assert_eq!(reward.raw.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(reward.at(3), Some(1.0));
        assert_eq!(reward.at(2), None);
        assert!(reward.smooth[1][0].y < 1.0);
        assert!(curves.series.iter().find(|series| series.metric.name == "policy/kl").unwrap().is_empty());
    }

    #[test]
    fn a_shorter_history_starts_the_curves_anew() {
        let mut long = History::default();
        (1..=3).for_each(|step| long.push(row(step, 0.0)));
        let mut short = History::default();
        short.push(row(1, 0.0));
        let mut curves = Curves::default();
        curves.extend(&long, &[]);
        curves.extend(&short, &[]);
        assert_eq!(curves.series[1].raw[0].len(), 1);
    }

    #[test]
    fn suites_get_a_curve_each_for_one_and_for_many_samples() {
        let snapshot = testing::snapshot(40, 2, 4);
        let mut curves = Curves::default();
        curves.extend(&snapshot.history, &snapshot.evaluations);
        assert_eq!(curves.passes.len(), 1);
        assert_eq!(curves.passes[0].by_k.iter().map(|(k, _)| *k).collect::<Vec<_>>(), [1, 16]);
        assert_eq!(curves.passes[0].by_k[0].1.len(), snapshot.evaluations.len());
    }
}
