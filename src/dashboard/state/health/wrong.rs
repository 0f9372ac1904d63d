//! Values that a metric cannot have, by what is declared of it.

use crate::dashboard::kit::format;
use crate::dashboard::state::health::finding::{Check, Finding, LEARNING_RATE, Level};
use crate::metrics::{History, Metric, Range};

/// No metric comes to more than this.
pub(super) const LARGEST: f64 = 1e30;

/// Why a metric cannot have that value, if it cannot.
fn wrong(metric: &Metric, value: f64) -> Option<String> {
    let Range { low, high, .. } = metric.range;
    if !value.is_finite() {
        return metric.is_finite.then(|| "it is a number in every sound step".to_owned());
    }
    if value.abs() > LARGEST {
        return Some("it is far larger than it can be".to_owned());
    }
    if metric.range.contains(value) {
        return None;
    }
    let (least, most) = (bound(low), bound(high));
    Some(if low.is_finite() && high.is_finite() {
        format!("it lies between {least} and {most}")
    } else if value < low {
        format!("it is never below {least}")
    } else {
        format!("it is never above {most}")
    })
}

/// The end of a range in words.
fn bound(value: f64) -> String {
    if value.fract() == 0.0 { format::number(value, 0) } else { format::compact(value) }
}

/// A metric with a value that it cannot have.
#[derive(Clone, Debug)]
pub(super) struct WrongValue {
    metric: &'static Metric,
    /// The first step with such a value, and why it cannot be.
    first: (u64, f64, String),
    /// How many steps have one.
    pub(super) count: usize,
}

/// Values that cannot be, of the whole run: nothing that follows from them can be trusted, however
/// long ago they were.
#[derive(Clone, Debug, Default)]
pub(crate) struct WrongValues {
    /// Rows that have been looked at.
    pub(super) rows: usize,
    pub(super) values: Vec<WrongValue>,
}

impl WrongValues {
    /// Looks at the rows that have come since, up to `step`.
    pub(crate) fn look(&mut self, history: &History, step: u64) {
        for row in history.iter().skip(self.rows).take_while(|row| row.step <= step) {
            for &(metric, value) in &row.values {
                if let Some(why) = wrong(metric, value) {
                    self.note(metric, (row.step, value, why));
                }
            }
            self.rows += 1;
        }
    }

    fn note(&mut self, metric: &'static Metric, first: (u64, f64, String)) {
        match self.values.iter_mut().find(|known| known.metric.name == metric.name) {
            Some(known) => known.count += 1,
            None => self.values.push(WrongValue { metric, first, count: 1 }),
        }
    }

    /// Gives every such metric a finding, in place of what its check says, or in a check of its
    /// own.
    pub(super) fn list(&self, checks: &mut Vec<Check>) {
        for WrongValue { metric, first: (step, value, why), count } in &self.values {
            let said =
                if value.is_finite() { format::compact(*value) } else { "not a number".to_owned() };
            let later = match count - 1 {
                0 => String::new(),
                later => {
                    format!(" {} since.", format::count(later, "more such step", "more such steps"))
                }
            };
            let finding = Some(Finding {
                level: Level::Error,
                title: "A value that cannot be",
                detail: format!("{} is {said} at step {step}; {why}.{later}", metric.name),
                advice: format!(
                    "Look at step {step} in metrics.jsonl; where training came to this, continue \
                     from an earlier checkpoint with a lower {LEARNING_RATE}."
                ),
                metric,
            });
            let value = Some(said);
            if let Some(check) = checks.iter_mut().find(|check| check.metric.name == metric.name) {
                (check.finding, check.value) = (finding, value);
            } else {
                let rule = "where it cannot be, in any step of the run";
                checks.push(Check { name: metric.name, value, rule, metric, finding });
            }
        }
    }
}
