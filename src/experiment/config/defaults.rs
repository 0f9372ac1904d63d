//! Values of fields that are left out.

use crate::experiment::Every;

/// Completions per problem of an evaluation.
pub(super) const SAMPLES: usize = 16;
/// Sampling temperature of an evaluation.
pub(super) const TEMPERATURE: f64 = 0.8;

pub(super) fn revision() -> String {
    "main".to_string()
}
pub(super) fn every() -> Every {
    Every(25)
}
pub(super) fn samples() -> usize {
    SAMPLES
}
pub(super) fn k() -> Vec<usize> {
    vec![1, 4, 16]
}
pub(super) fn temperature() -> f64 {
    TEMPERATURE
}
