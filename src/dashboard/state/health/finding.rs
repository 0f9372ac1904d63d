//! What a person should look after, and what is watched for it.

use crate::metrics::Metric;

/// The path of the setting that a run which falls apart is usually mended by.
pub(super) const LEARNING_RATE: &str = "optimizer.learning_rate";

/// How much something matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Worth knowing.
    Note,
    /// Training suffers from it.
    Warning,
    /// Nothing that follows from it can be trusted.
    Error,
}

/// Something that a person should look after.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// How much it matters.
    pub(crate) level: Level,
    /// What it is.
    pub(crate) title: &'static str,
    /// The numbers behind it, and the rule.
    pub(crate) detail: String,
    /// What to try.
    pub(crate) advice: String,
    /// The metric that shows it.
    pub(crate) metric: &'static Metric,
}

/// Something that is watched.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Check {
    /// What is watched.
    pub(crate) name: &'static str,
    /// Its value now, in words; `None` where the run does not measure it or not yet.
    pub(crate) value: Option<String>,
    /// When it is listed, where it is about other steps than the last ones: which.
    pub(crate) rule: &'static str,
    /// The metric that shows it.
    pub(crate) metric: &'static Metric,
    /// What a person should look after.
    pub(crate) finding: Option<Finding>,
}
