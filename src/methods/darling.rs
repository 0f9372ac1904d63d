//! DARLING (diversity-aware reinforcement learning, arXiv 2509.02534). Differs from GRPO in:
//!
//! 1. the reward of a correct response is multiplied by how few are like it: r~ = r max(0.1, (m -
//!    n) / (m - 1)), with n the size of its cluster in the group of m. Responses whose unit vectors
//!    have a cosine above `threshold` are in one cluster ([`cluster_sizes`]).
//!
//! The paper's clusters are those of a trained classifier of equivalent answers.

use super::shaping::{Features, ShapedGroup, ShapesGroups, base, check_threshold};
use crate::error::Result;
use crate::experiment::{Experiment, Method, MethodColor, MethodKind};
use crate::geometry::cluster_sizes;
use bevy_app::{App, Plugin};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The least that the reward of a correct response is multiplied by.
const LEAST: f64 = 0.1;

/// DARLING.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Darling {
    /// The vectors that are compared.
    pub features: Features,
    /// Responses with a cosine above this count as the same.
    pub threshold: f64,
}

impl Default for Darling {
    fn default() -> Self {
        Self { features: Features::Semantic, threshold: 0.5 }
    }
}

inventory::submit! { MethodKind::built_in::<Darling>() }

impl Method for Darling {
    const NAME: &'static str = "Darling";
    const LABEL: &'static str = "DARLING";
    const COLOR: Option<MethodColor> =
        Some(MethodColor { on_dark: [0xe5, 0x73, 0x73], on_light: [0xb0, 0x2a, 0x2a] });

    fn validate(&self, _: &Experiment) -> Result<()> {
        check_threshold(self.threshold)
    }

    fn needs_encoder(&self) -> bool {
        self.features.need_encoder()
    }
}

impl Plugin for Darling {
    fn build(&self, app: &mut App) {
        self.add_shaping(app);
    }
}

impl ShapesGroups for Darling {
    fn features(&self) -> Features {
        self.features
    }

    fn shape(&self, group: &ShapedGroup, _: ChaCha8Rng) -> Vec<f64> {
        let m = group.rewards.len();
        let factor = |alike: usize| ((m - alike) as f64 / (m - 1).max(1) as f64).max(LEAST);
        base(group.rewards)
            .zip(group.correct)
            .zip(cluster_sizes(group.cosines, self.threshold))
            .map(
                |((reward, &correct), alike)| if correct { reward * factor(alike) } else { reward },
            )
            .collect()
    }
}
