//! The step budget of one comparison.
//!
//! Every stage pays for what it does before it does it, so that no text, however hostile, costs
//! more than a fixed amount of work. A step is roughly ten nanoseconds.

/// The budget is used up, or a part of an answer is nested too deeply to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

/// Steps that are left.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    left: u64,
}

/// Steps of one comparison.
const STEPS: u64 = 1_000_000;

/// How deep brackets, arguments and exponents may be nested.
pub(super) const MAX_DEPTH: usize = 120;

impl Budget {
    /// The whole budget.
    pub(super) fn new() -> Self {
        Self { left: STEPS }
    }

    /// Pays for `steps`.
    pub(super) fn spend(&mut self, steps: u64) -> Result<(), Exhausted> {
        self.left = self.left.checked_sub(steps).ok_or(Exhausted)?;
        Ok(())
    }
}
