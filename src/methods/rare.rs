//! Rare (uniqueness-aware advantages, arXiv 2601.08763). Differs from GRPO in:
//!
//! 1. the advantage is divided by how common the response's strategy is in its group: A~ = A /
//!    n^alpha, with n the size of its cluster. Responses whose unit vectors have a cosine above
//!    `threshold` are in one cluster ([`cluster_sizes`]).
//!
//! The paper's clusters are those of a language model that judges strategies.

use super::shaping::{Features, GroupVectors, check_threshold};
use crate::error::Result;
use crate::experiment::{Experiment, Method, MethodColor, MethodKind, within};
use crate::geometry::cluster_sizes;
use crate::rollout::{Advantage, PromptGroup, Rollouts};
use crate::stages::{Settings, StageSystems, TrainStep, center_group_advantages};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use serde::{Deserialize, Serialize};

/// Rare.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rare {
    /// The vectors that are compared.
    pub features: Features,
    /// How much a strategy's being common takes from its responses: 0 nothing, 1 all of a response's
    /// weight over the cluster.
    pub alpha: f64,
    /// Responses with a cosine above this have one strategy.
    pub threshold: f64,
}

impl Default for Rare {
    fn default() -> Self {
        Self { features: Features::Semantic, alpha: 0.5, threshold: 0.5 }
    }
}

inventory::submit! { MethodKind::built_in::<Rare>() }

impl Method for Rare {
    const NAME: &'static str = "Rare";
    const LABEL: &'static str = "Rare";
    const COLOR: Option<MethodColor> =
        Some(MethodColor { on_dark: [0x4d, 0xd0, 0xe1], on_light: [0x00, 0x6f, 0x83] });

    fn validate(&self, _: &Experiment) -> Result<()> {
        within("method.alpha", self.alpha, 0.0, 10.0)?;
        check_threshold(self.threshold)
    }

    fn needs_encoder(&self) -> bool {
        self.features.need_encoder()
    }
}

impl Plugin for Rare {
    fn build(&self, app: &mut App) {
        self.features.demand(app);
        app.add_systems(
            TrainStep,
            favour_rare_strategies.after(center_group_advantages).in_set(StageSystems::Advantage),
        );
    }
}

/// Divides the [`Advantage`] of every rollout.
pub fn favour_rare_strategies(
    settings: Settings<Rare>,
    groups: Query<(Entity, &Rollouts), With<PromptGroup>>,
    vectors: GroupVectors,
    mut advantages: Query<&mut Advantage>,
) -> bevy_ecs::error::Result {
    let method = settings.get()?;
    for (group, members) in groups {
        let sizes = cluster_sizes(vectors.cosines(group, method.features)?, method.threshold);
        for (member, alike) in members.iter().zip(sizes) {
            advantages.get_mut(member)?.0 /= (alike as f64).powf(method.alpha) as f32;
        }
    }
    Ok(())
}
