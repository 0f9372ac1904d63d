//! GRPO (group relative policy optimization, arXiv 2402.03300): what the pipeline does when no
//! method changes it.
//!
//! ```text
//! A_i  = (r_i - mean r) / sqrt(variance of r + eps)                        within the group of prompt x
//! rho  = pi(y_t | x, y_<t) / pi_old(y_t | x, y_<t)
//! J    = mean over responses of mean over tokens of  min(rho A, clip(rho, 1 - low, 1 + high) A) - beta KL(pi || pi_ref)
//! ```
//!
//! Differs from GRPO in: nothing. The other methods' lists count from here.

use crate::experiment::{Method, MethodColor, MethodKind};
use bevy_app::{App, Plugin};
use serde::{Deserialize, Serialize};

/// GRPO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grpo;

inventory::submit! { MethodKind::built_in::<Grpo>().by_default() }

impl Method for Grpo {
    const NAME: &'static str = "Grpo";
    const LABEL: &'static str = "GRPO";
    const COLOR: Option<MethodColor> =
        Some(MethodColor { on_dark: [0xa9, 0xb3, 0xbf], on_light: [0x5f, 0x69, 0x75] });
}

impl Plugin for Grpo {
    fn build(&self, _: &mut App) {}
}
