//! Gradient directions: sequence features Phi = sum of alpha phi over response tokens / (sum of alpha + eps), and their cosines
//! within each group. The sums were accumulated while sampling, so this costs no forward pass.

use super::{StageSystems, TrainStep};
use crate::geometry::{CosineMatrix, TokenWeights};
use crate::rollout::{Cosines, Feature, PromptGroup, Response, Rollouts};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

/// The features stage.
pub struct FeaturesPlugin;

impl Plugin for FeaturesPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<FeatureWeights>().add_systems(TrainStep, compute_features.in_set(StageSystems::Features));
    }
}

/// How tokens are weighed in [`Feature`]; the sample stage sums by the same weights.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeatureWeights(pub TokenWeights);

/// Adds [`Feature`] to every rollout and [`Cosines`] to every group.
pub fn compute_features(
    mut commands: Commands,
    weights: Res<FeatureWeights>,
    groups: Query<(Entity, &Rollouts), With<PromptGroup>>,
    responses: Query<&Response>,
) -> Result {
    for (group, rollouts) in groups {
        let mut features = Vec::new();
        let mut dim = 0;
        for rollout in rollouts.iter() {
            let response = &responses.get(rollout)?.0;
            let feature = weights.0.feature(&response.feature_sum, &response.entropies);
            dim = feature.len();
            features.extend_from_slice(&feature);
            commands.entity(rollout).insert(Feature(feature));
        }
        let cosines = CosineMatrix::from_features(&features, dim)?;
        commands.entity(group).insert(Cosines(cosines));
    }
    Ok(())
}
