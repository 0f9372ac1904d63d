//! A look at the steps around the one that is shown.

use crate::dashboard::kit::format;
use crate::dashboard::state::health::finding::LEARNING_RATE;
use crate::dashboard::state::health::wrong::LARGEST;
use crate::metrics::{Metric, MetricRow};
use crate::run::RunSnapshot;
use crate::stages::metrics;

/// Steps up to the cursor whose mean counts as the present.
pub(super) const WINDOW: u64 = 10;

/// A run, and the step that is looked at.
pub(super) struct Look<'a> {
    pub(super) snapshot: &'a RunSnapshot,
    pub(super) step: u64,
}

impl Look<'_> {
    /// The last steps up to `end`.
    fn rows(&self, end: u64) -> impl Iterator<Item = &MetricRow> {
        (end.saturating_sub(WINDOW - 1).max(1)..=end)
            .filter_map(|step| self.snapshot.history.at(step))
    }

    /// The steps that count as the present, in words.
    pub(super) fn present(&self) -> String {
        match self.step {
            0 | 1 => "the first step".to_owned(),
            step if step < WINDOW => format!("the first {step} steps"),
            _ => format!("the last {WINDOW} steps"),
        }
    }

    /// Mean over the last steps up to `end`, where there is any.
    pub(super) fn mean(&self, metric: &Metric, end: u64) -> Option<f64> {
        let values: Vec<f64> = self
            .rows(end)
            .filter_map(|row| row.get(metric))
            .filter(|value| value.is_finite() && value.abs() <= LARGEST)
            .collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// Mean over the steps that count as the present.
    pub(super) fn now(&self, metric: &Metric) -> Option<f64> {
        self.mean(metric, self.step)
    }

    /// The learning rate, and whether it was raised: the first thing to suspect where a policy gets
    /// worse.
    pub(super) fn learning_rate(&self) -> String {
        let path = LEARNING_RATE;
        let rate = |step: u64| self.snapshot.history.at(step)?.get(&metrics::POLICY_LEARNING_RATE);
        let Some(now) = rate(self.step) else { return path.to_owned() };
        let edits = self.snapshot.events.iter().rev().filter(|event| event.step < self.step);
        // An edit holds from the step after it on.
        let edited =
            edits.into_iter().find(|event| event.edit().is_some_and(|edit| edit.path == path));
        let before = edited
            .and_then(|event| Some((event.step, rate(event.step)?)))
            .filter(|(_, before)| now > *before);
        match before {
            Some((step, before)) => {
                let (now, before) = (format::compact(now), format::compact(before));
                format!("{path} ({now} now, raised from {before} at step {step})")
            }
            None => format!("{path} ({} now)", format::compact(now)),
        }
    }

    /// The best mean over as many steps as the present has, of those before the present, and where
    /// it ends.
    pub(super) fn best_before(&self, metric: &Metric) -> Option<(u64, f64)> {
        let ends =
            (1..=self.step.saturating_sub(WINDOW) / WINDOW).map(|place| self.step - place * WINDOW);
        let means = ends.filter_map(|end| Some((end, self.mean(metric, end)?)));
        means.max_by(|a, b| a.1.total_cmp(&b.1))
    }
}
