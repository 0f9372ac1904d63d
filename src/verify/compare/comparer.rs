//! What compares two answers. How it does is in the other files, a kind of answer each.

use crate::verify::budget::{Budget, Exhausted};

/// Compares within a budget.
pub(super) struct Comparer {
    pub(super) budget: Budget,
}

/// Whether two things are the same.
pub(super) type Decided = Result<bool, Exhausted>;

impl Comparer {
    pub(super) fn new() -> Self {
        Self { budget: Budget::new() }
    }
}
