//! How a run ends.

use crate::guard::panic_text;
use std::any::Any;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// All steps were done.
    Finished,
    /// It was stopped on request, after saving a checkpoint.
    Stopped,
}

/// What is said of a panic that ended it.
pub(super) fn panicked(payload: &(dyn Any + Send)) -> String {
    format!("panic: {}", panic_text(payload))
}
