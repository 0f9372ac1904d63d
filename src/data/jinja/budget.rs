//! What one rendering may cost.

use std::cell::Cell;

/// What one rendering may cost. A byte that is made costs 1, a step 16, a place in a list 32: so it
/// takes at most some tenths of a second and about 64 MiB.
const BUDGET: u64 = 1 << 26;

/// What is left to be spent, and how nothing is treated.
pub(super) struct Budget {
    left: Cell<u64>,
    /// Whether what stands for nothing is a fault wherever something is done with it.
    pub(super) strict: bool,
}

impl Budget {
    pub(super) fn new(strict: bool) -> Self {
        Self { left: Cell::new(BUDGET), strict }
    }

    pub(super) fn spend(&self, cost: u64) -> Result<(), String> {
        let left = self.left.get().checked_sub(cost);
        self.left.set(left.unwrap_or(0));
        left.map(drop).ok_or_else(|| "it takes too many steps or makes too much text".to_string())
    }

    /// Pays for a list of these values.
    pub(super) fn made<T>(&self, items: Vec<T>) -> Result<Vec<T>, String> {
        self.spend(32 * items.len() as u64)?;
        Ok(items)
    }
}
