//! Schedules by steps.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Something is done every so many steps; 0 is never. In files it is the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Every(pub u64);

impl Every {
    /// Whether it is done in `step`, counted from 1.
    pub fn is_due(self, step: u64) -> bool {
        self.0 > 0 && step.is_multiple_of(self.0)
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_a_number_in_files_and_zero_is_never() {
        assert_eq!((1..=7).filter(|&step| Every(3).is_due(step)).collect::<Vec<_>>(), [3, 6]);
        assert!(!(1..=7).any(|step| Every(0).is_due(step)));
        assert_eq!(crate::experiment::from_text::<Every>("25", "test").unwrap(), Every(25));
        assert_eq!(crate::experiment::to_text(&Every(25)).unwrap(), "25");
    }
}
