//! Refusals of values out of range, each by its field's name.

use crate::error::{Error, Result};
use crate::escape::number;
use std::fmt;

/// The numbers that a setting can have, both ends included. [`f64::MAX`] stands for no upper end,
/// and the least positive number, of `f64` or of `f32`, for a lower end that is 0 and not included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    low: f64,
    high: f64,
}

impl Bounds {
    /// Numbers from `low` to `high`.
    pub(crate) const fn new(low: f64, high: f64) -> Self {
        Self { low, high }
    }

    /// Whether a setting can have this value.
    pub(crate) fn contains(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Refuses a value outside, naming the field.
    pub(crate) fn check(self, field: &str, value: f64) -> Result<()> {
        if self.contains(value) {
            return Ok(());
        }
        Err(Error::field(field, format!("is {}; it must be {self}", number(value))))
    }
}

/// In words, as what a number must be.
impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self { low, high } = self;
        let is_open = low > 0.0 && low <= f64::from(f32::MIN_POSITIVE);
        match (is_open, high.total_cmp(&f64::MAX).is_eq()) {
            (true, true) => write!(f, "greater than 0"),
            (true, false) => write!(f, "greater than 0 and at most {}", number(high)),
            (false, true) => write!(f, "at least {}", number(low)),
            (false, false) => write!(f, "between {} and {}", number(low), number(high)),
        }
    }
}

/// Refuses `value` outside `[low, high]`, naming the field.
pub fn within(field: &str, value: f64, low: f64, high: f64) -> Result<()> {
    Bounds::new(low, high).check(field, value)
}

/// Refuses `value` outside `low..=high`, naming the field.
pub fn count(field: &str, value: usize, low: usize, high: usize) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let bounds = if high == usize::MAX {
        format!("at least {low}")
    } else {
        format!("between {low} and {high}")
    };
    Err(Error::field(field, format!("is {value}; it must be {bounds}")))
}

/// Refuses `value` outside `low..=high`, naming the field and what its upper bound comes from.
pub(super) fn count_up_to(
    field: &str,
    value: usize,
    low: usize,
    (bound, high): (&str, usize),
) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::field(field, format!("is {value}; it must be between {low} and {high} (`{bound}`)")))
}

/// Characters of the longest name of an experiment.
const LONGEST_NAME: usize = 200;

pub(super) fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Error::field(
            "name",
            format!(
                "is {name:?}; it names a folder, so use letters, digits, `-`, `_` and `.`, not \
                 starting with a dot"
            ),
        ));
    }
    // A run folder adds seed and time to it, and file systems allow names of 255 bytes.
    if name.len() > LONGEST_NAME {
        let problem = format!(
            "has {} characters; it names a folder, so use at most {LONGEST_NAME}",
            name.len()
        );
        return Err(Error::field("name", problem));
    }
    Ok(())
}
