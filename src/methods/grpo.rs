//! GRPO (group relative policy optimization, arXiv 2402.03300): what the pipeline does when no method changes it.
//!
//! ```text
//! A_i  = (r_i - mean r) / sqrt(variance of r + eps)                        within the group of prompt x
//! rho  = pi(y_t | x, y_<t) / pi_old(y_t | x, y_<t)
//! J    = mean over responses of mean over tokens of  min(rho A, clip(rho, 1 - low, 1 + high) A) - beta KL(pi || pi_ref)
//! ```
//!
//! Differs from GRPO in: nothing. The other methods' lists count from here.

use bevy_app::{App, Plugin};

/// GRPO.
pub struct GrpoPlugin;

impl Plugin for GrpoPlugin {
    fn build(&self, _: &mut App) {}
}
