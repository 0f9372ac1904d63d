//! Values of fields that are left out.

use crate::experiment::Every;

pub(super) fn revision() -> String {
    "main".to_string()
}
pub(super) fn every() -> Every {
    Every(25)
}
pub(super) fn samples() -> usize {
    16
}
pub(super) fn k() -> Vec<usize> {
    vec![1, 4, 16]
}
pub(super) fn temperature() -> f64 {
    0.8
}
