//! DRA-GRPO (diversity-aware reward adjustment, arXiv 2505.09655). Differs from GRPO in:
//!
//! 1. the reward is divided by how crowded the response's place in its group is: `r~_i = r_i / (sum
//!    over j of S_ij + 1e-6)`, with S the cosines between the responses' unit vectors, negative ones
//!    counting as 0, and j = i among them ([`density`]).

use super::shaping::{Features, ShapedGroup, ShapesGroups, base};
use crate::experiment::{Method, MethodColor, MethodKind};
use crate::geometry::{EPSILON, density};
use bevy_app::{App, Plugin};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// DRA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dra {
    /// The vectors that are compared.
    pub features: Features,
}

impl Default for Dra {
    fn default() -> Self {
        Self { features: Features::Semantic }
    }
}

inventory::submit! { MethodKind::built_in::<Dra>() }

impl Method for Dra {
    const NAME: &'static str = "Dra";
    const LABEL: &'static str = "DRA";
    const COLOR: Option<MethodColor> =
        Some(MethodColor { on_dark: [0x9c, 0xcc, 0x65], on_light: [0x4a, 0x74, 0x17] });

    fn needs_encoder(&self) -> bool {
        self.features.need_encoder()
    }
}

impl Plugin for Dra {
    fn build(&self, app: &mut App) {
        self.add_shaping(app);
    }
}

impl ShapesGroups for Dra {
    fn features(&self) -> Features {
        self.features
    }

    fn shape(&self, group: &ShapedGroup, _: ChaCha8Rng) -> Vec<f64> {
        base(group.rewards)
            .zip(density(group.cosines))
            .map(|(reward, density)| reward / (density + EPSILON))
            .collect()
    }
}
