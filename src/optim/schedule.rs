//! The learning rate as a function of the step.

use serde::{Deserialize, Serialize};

/// What the learning rate does after warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schedule {
    /// Stays at its peak.
    #[default]
    Constant,
    /// Falls to a tenth of its peak along half a cosine.
    Cosine,
}

impl Schedule {
    /// The learning rate of `step` (from 1) of `steps`, after a linear warm-up over `warmup_steps`.
    pub fn rate(self, peak: f64, step: u64, warmup_steps: u64, steps: u64) -> f64 {
        if step <= warmup_steps {
            return peak * step as f64 / warmup_steps as f64;
        }
        match self {
            Self::Constant => peak,
            Self::Cosine => {
                let done =
                    (step - warmup_steps) as f64 / steps.saturating_sub(warmup_steps).max(1) as f64;
                peak * (0.1 + 0.45 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos()))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these results are exact, or equal bit for bit")]
mod tests {
    use super::*;

    #[test]
    fn warm_up_is_linear_and_the_cosine_ends_at_a_tenth() {
        assert_eq!(Schedule::Constant.rate(1.0, 1, 10, 100), 0.1);
        assert_eq!(Schedule::Constant.rate(1.0, 10, 10, 100), 1.0);
        assert_eq!(Schedule::Constant.rate(1.0, 1, 0, 100), 1.0);
        assert_eq!(Schedule::Cosine.rate(1.0, 55, 10, 100), 0.55);
        assert!((Schedule::Cosine.rate(1.0, 100, 10, 100) - 0.1).abs() < 1e-12);
    }
}
