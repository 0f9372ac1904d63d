//! Which values a metric can have.

/// The values that a metric can have: from `low` to `high`, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The least of them, minus infinity where there is none.
    pub low: f64,
    /// The greatest of them, infinity where there is none.
    pub high: f64,
    /// How far beyond these rounding may carry a value.
    pub rounding: f64,
}

impl Range {
    /// Every number.
    pub const ANY: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY, rounding: 0.0 };

    /// Whether `value` is in it, but for rounding.
    pub fn contains(&self, value: f64) -> bool {
        (self.low - self.rounding..=self.high + self.rounding).contains(&value)
    }
}
