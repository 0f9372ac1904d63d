//! MMR-GRPO (maximal marginal relevance, arXiv 2601.09085). Differs from GRPO in:
//!
//! 1. the reward is replaced by the response's marginal relevance: the first response with the
//!    highest reward keeps it, then the next one with the highest score is picked, again and again,
//!    by `weight r_i - (1 - weight) max over those picked of S_ij`, with S the cosines between the
//!    responses' unit vectors ([`marginal_relevance`]); that score is r~;
//! 2. `weight` follows the group where it is left out: the sigmoid of the standard deviation of its
//!    rewards (of the population).

use super::shaping::{Features, ShapedGroup, ShapesGroups, base};
use crate::error::Result;
use crate::experiment::{Experiment, Method, MethodColor, MethodKind, within};
use crate::geometry::marginal_relevance;
use bevy_app::{App, Plugin};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// MMR.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mmr {
    /// The vectors that are compared.
    pub features: Features,
    /// How much the reward counts beside likeness, 0 to 1, such as 0.7; left out, as the group's
    /// rewards say.
    pub weight: Option<f64>,
}

impl Default for Mmr {
    fn default() -> Self {
        Self { features: Features::Semantic, weight: None }
    }
}

inventory::submit! { MethodKind::built_in::<Mmr>() }

impl Method for Mmr {
    const NAME: &'static str = "Mmr";
    const LABEL: &'static str = "MMR";
    const COLOR: Option<MethodColor> =
        Some(MethodColor { on_dark: [0xf4, 0x8f, 0xc1], on_light: [0xa8, 0x2b, 0x6e] });

    fn validate(&self, _: &Experiment) -> Result<()> {
        within("method.weight", self.weight.unwrap_or(0.5), 0.0, 1.0)
    }

    fn needs_encoder(&self) -> bool {
        self.features.need_encoder()
    }
}

impl Plugin for Mmr {
    fn build(&self, app: &mut App) {
        self.add_shaping(app);
    }
}

impl ShapesGroups for Mmr {
    fn features(&self) -> Features {
        self.features
    }

    fn shape(&self, group: &ShapedGroup, _: ChaCha8Rng) -> Vec<f64> {
        let weight = self.weight.unwrap_or_else(|| sigmoid(deviation(group.rewards)));
        marginal_relevance(group.cosines, group.rewards, weight)
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The standard deviation of the population.
fn deviation(rewards: &[f32]) -> f64 {
    let count = rewards.len().max(1) as f64;
    let mean = base(rewards).sum::<f64>() / count;
    (base(rewards).map(|reward| (reward - mean).powi(2)).sum::<f64>() / count).sqrt()
}
