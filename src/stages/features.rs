//! Gradient directions: sequence features Phi = sum of phi over response tokens / (length + eps), and their cosines within each
//! group. The sums were accumulated while sampling, so this costs no forward pass.

use super::{StageSystems, TrainStep};
use crate::geometry::{CosineMatrix, EPSILON};
use crate::rollout::{Cosines, Feature, PromptGroup, Response, Rollouts};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

/// The features stage.
pub struct FeaturesPlugin;

impl Plugin for FeaturesPlugin {
    fn build(&self, app: &mut App) {
        app.add_systems(TrainStep, compute_features.in_set(StageSystems::Features));
    }
}

/// Adds [`Feature`] to every rollout and [`Cosines`] to every group.
pub fn compute_features(
    mut commands: Commands,
    groups: Query<(Entity, &Rollouts), With<PromptGroup>>,
    responses: Query<&Response>,
) -> Result {
    for (group, rollouts) in groups {
        let mut features = Vec::new();
        let mut dim = 0;
        for rollout in rollouts.iter() {
            let response = &responses.get(rollout)?.0;
            let scale = 1.0 / (response.ids.len() as f64 + EPSILON);
            let feature: Vec<f32> = response.feature_sum.iter().map(|&sum| (f64::from(sum) * scale) as f32).collect();
            dim = feature.len();
            features.extend_from_slice(&feature);
            commands.entity(rollout).insert(Feature(feature));
        }
        let cosines = CosineMatrix::from_features(&features, dim)?;
        commands.entity(group).insert(Cosines(cosines));
    }
    Ok(())
}
