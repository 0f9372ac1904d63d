//! Values of fields that are left out.

use super::evaluation::EvaluationConfig;
use crate::experiment::Every;

pub(super) fn revision() -> String {
    "main".to_string()
}
pub(super) fn every() -> Every {
    Every(25)
}
pub(super) fn samples() -> usize {
    EvaluationConfig::SAMPLES
}
pub(super) fn k() -> Vec<usize> {
    vec![1, 4, 16]
}
pub(super) fn temperature() -> f64 {
    EvaluationConfig::TEMPERATURE
}
