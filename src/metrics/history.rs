//! The values of metrics, step by step.

use super::{Metric, named};
use std::sync::Arc;

/// The values of one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricRow {
    /// The step, counted from 1.
    pub step: u64,
    /// Seconds since the run began, without those between an end and a resume.
    pub wall_s: f64,
    /// The values that apply, in the order in which they were set.
    pub values: Vec<(&'static Metric, f64)>,
}

impl MetricRow {
    /// Reads a line of `metrics.jsonl`; `None` where it is not one, as without any metric. What is
    /// null is not a number.
    pub fn from_json(line: &str) -> Option<Self> {
        let fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).or_else(|_| serde_json::from_str(&with_nulls(line))).ok()?;
        let step = fields.get("step")?.as_u64()?;
        let mut metrics = fields.iter().filter(|(name, _)| name.contains('/')).peekable();
        metrics.peek()?;
        let number = |value: &serde_json::Value| {
            if value.is_null() { Some(f64::NAN) } else { value.as_f64() }
        };
        // A name becomes known last, when all else of it is sound.
        let value = |(name, value): (&String, _)| {
            number(value).and_then(|value| Some((named(name)?, value)))
        };
        let values = metrics.filter_map(value).collect();
        let wall_s = fields.get("wall_s").and_then(serde_json::Value::as_f64).unwrap_or(0.0);
        Some(Self { step, wall_s, values })
    }

    /// The value of `metric` at this step, if it applies.
    pub fn get(&self, metric: &Metric) -> Option<f64> {
        self.value(metric.name)
    }

    /// The value of the metric of that name at this step, if it applies.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(metric, _)| metric.name == name).map(|(_, value)| *value)
    }
}

/// `line` with null in place of the words for what is not a number, which JSON does not have.
fn with_nulls(line: &str) -> String {
    let mut text = line.to_owned();
    for word in ["-Infinity", "Infinity", "NaN"] {
        // Only as a value: names of metrics are not touched.
        for before in [":", ": "] {
            text = text.replace(&format!("\"{before}{word}"), &format!("\"{before}null"));
        }
    }
    text
}

/// Rows per shared chunk of a [`History`].
const CHUNK: usize = 256;

/// All rows so far: append-only, and cheap to clone because full chunks are shared.
#[derive(Clone, Debug, Default)]
pub struct History {
    full: Arc<Vec<Arc<Vec<MetricRow>>>>,
    tail: Arc<Vec<MetricRow>>,
}

impl History {
    /// Appends the row of the next step.
    pub fn push(&mut self, row: MetricRow) {
        let tail = Arc::make_mut(&mut self.tail);
        tail.push(row);
        if tail.len() == CHUNK {
            let chunk = std::mem::take(tail);
            Arc::make_mut(&mut self.full).push(Arc::new(chunk));
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.full.len() * CHUNK + self.tail.len()
    }

    /// Whether there is no row yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &MetricRow> {
        self.full.iter().flat_map(|chunk| chunk.iter()).chain(self.tail.iter())
    }

    /// The row of `step`, if there is one. Rows stand in the order of their steps.
    pub fn at(&self, step: u64) -> Option<&MetricRow> {
        let chunk =
            self.full.partition_point(|chunk| chunk.last().is_some_and(|row| row.step < step));
        let rows = self.full.get(chunk).unwrap_or(&self.tail);
        rows.get(rows.partition_point(|row| row.step < step)).filter(|row| row.step == step)
    }

    /// The newest row.
    pub fn last(&self) -> Option<&MetricRow> {
        self.tail.last().or_else(|| self.full.last().and_then(|chunk| chunk.last()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_keeps_order_across_chunks_and_clones_do_not_change() {
        let mut history = History::default();
        for step in 1..=600 {
            history.push(MetricRow { step, ..MetricRow::default() });
        }
        let before = history.clone();
        history.push(MetricRow { step: 601, ..MetricRow::default() });
        assert_eq!(before.len(), 600);
        assert_eq!(
            history.iter().map(|row| row.step).collect::<Vec<_>>(),
            (1..=601).collect::<Vec<_>>()
        );
        assert_eq!(before.last().map(|row| row.step), Some(600));
        assert!((1..=601).all(|step| history.at(step).is_some_and(|row| row.step == step)));
        assert!(before.at(0).is_none() && before.at(601).is_none());
    }

    #[test]
    fn null_is_not_a_number_and_what_is_absent_is_not_there() {
        let line = r#"{"step":3,"wall_s":1.5,"policy/kl":null,"policy/entropy":0.5}"#;
        let row = MetricRow::from_json(line).unwrap();
        assert_eq!((row.step, row.wall_s, row.values.len()), (3, 1.5, 2));
        assert!(row.value("policy/kl").is_some_and(f64::is_nan));
        assert_eq!((row.value("policy/entropy"), row.value("reward/mean")), (Some(0.5), None));
        for line in
            ["", "{}", "[]", r#"{"step":3}"#, r#"{"step":3,"wall_s":1.5}"#, r#"{"policy/kl":0.1}"#]
        {
            assert_eq!(MetricRow::from_json(line), None, "{line}");
        }
    }

    #[test]
    fn a_metric_that_nobody_has_declared_is_read_under_its_name() {
        let row = MetricRow::from_json(r#"{"step":1,"wall_s":0,"mine/luck":0.25}"#).unwrap();
        assert_eq!(row.value("mine/luck"), Some(0.25));
        assert_eq!((row.values[0].0.name, row.values[0].0.help), ("mine/luck", ""));
    }

    #[test]
    fn a_name_becomes_known_only_with_a_step_and_a_number() {
        let row =
            MetricRow::from_json(r#"{"step":1,"mine/word":"x","mine_no_area":2,"mine/number":3}"#)
                .unwrap();
        assert_eq!(
            row.values.iter().map(|(metric, _)| metric.name).collect::<Vec<_>>(),
            ["mine/number"]
        );
        assert_eq!(MetricRow::from_json(r#"{"step":-1,"mine/stepless":1}"#), None);
        for name in ["mine/word", "mine_no_area", "mine/stepless"] {
            assert!(crate::metrics::find(name).is_none(), "{name}");
        }
        let long = format!("mine/{}", "x".repeat(1000));
        assert_eq!(
            MetricRow::from_json(&format!(r#"{{"step":1,"{long}":1}}"#)).unwrap().values,
            []
        );
    }

    #[test]
    fn words_for_what_is_no_number_are_read_as_such() {
        let line = r#"{"step": 2, "policy/loss": NaN, "policy/kl":-Infinity,"policy/entropy":Infinity, "wall_s": 3.0}"#;
        let row = MetricRow::from_json(line).unwrap();
        assert_eq!((row.step, row.wall_s), (2, 3.0));
        for metric in ["policy/loss", "policy/kl", "policy/entropy"] {
            assert!(row.value(metric).is_some_and(f64::is_nan), "{metric}");
        }
        assert_eq!(MetricRow::from_json(r#"{"step": 2, "policy/loss": NaNa}"#), None);
    }
}
