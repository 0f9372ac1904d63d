//! Whether a run is still there, and how one that has ended early can be continued.

use crate::metrics::MetricRow;
use crate::stages::metrics;
use crate::trainer::continues;

/// A watched run that has not written for this long may have been killed, seconds; and for this
/// many of its steps.
const SILENT_S: f64 = 60.0;
const SILENT_STEPS: f64 = 3.0;

/// Why a run without a checkpoint cannot be continued.
pub(crate) const NO_CHECKPOINT: &str = "The run has no checkpoint to continue from; start its \
                                        experiment again, with a smaller record.checkpoint_every";

/// How a run that has ended before its last step can be continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumption {
    /// From the checkpoint of this step.
    From(u64),
    /// Not at all: it has no checkpoint.
    Never,
}

/// How a run of `last` steps can be continued whose newest checkpoint is `checkpoint`.
pub(crate) fn resumption(
    has_ended: bool,
    is_finished: bool,
    checkpoint: Option<u64>,
    last: u64,
) -> Option<Resumption> {
    match checkpoint {
        _ if !has_ended => None,
        Some(step) => continues(step, last, is_finished).then_some(Resumption::From(step)),
        None => (!is_finished).then_some(Resumption::Never),
    }
}

/// For how many seconds a run whose newest step is `last` writes nothing before one has to ask
/// whether it is still there.
pub(crate) fn silence_s(last: Option<&MetricRow>) -> f64 {
    let step = last.and_then(|row| row.get(&metrics::TIME_STEP_S)).unwrap_or(0.0);
    SILENT_S.max(SILENT_STEPS * step)
}
