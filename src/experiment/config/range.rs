//! Refusals of values out of range, each by its field's name.

use crate::error::{Error, Result};
use crate::escape::number;

/// Refuses `value` outside `[low, high]`, naming the field.
pub fn within(field: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if value >= low && value <= high {
        return Ok(());
    }
    let is = number(value);
    // The extremes stand for "no limit on this side".
    let bounds =
        match (low.total_cmp(&f64::MIN_POSITIVE).is_eq(), high.total_cmp(&f64::MAX).is_eq()) {
            (true, true) => "greater than 0".to_string(),
            (true, false) => format!("greater than 0 and at most {}", number(high)),
            (false, true) => format!("at least {}", number(low)),
            (false, false) => format!("between {} and {}", number(low), number(high)),
        };
    Err(Error::field(field, format!("is {is}; it must be {bounds}")))
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
