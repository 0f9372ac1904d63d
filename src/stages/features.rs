//! Gradient directions: sequence features Phi = sum of phi over response tokens / (length + eps), and their cosines within each
//! group. The sums were accumulated while sampling, so this costs no forward pass.
//!
//! They are there in the steps that [`FeatureDemand`] names: every step where the method acts on them, and otherwise the
//! steps whose geometry is recorded. In other steps sampling leaves them out and rollouts have no [`Feature`] and no
//! `Novelty`, groups no [`Cosines`], and `metrics.jsonl` no geometry.

use super::{ActiveExperiment, StageSystems, StepCounter, TrainStep};
use crate::experiment::Experiment;
use crate::geometry::{CosineMatrix, EPSILON};
use crate::rollout::{Cosines, Feature, PromptGroup, Response, Rollouts};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

/// The features stage.
pub struct FeaturesPlugin;

impl Plugin for FeaturesPlugin {
    fn build(&self, app: &mut App) {
        app.add_systems(TrainStep, compute_features.run_if(features_are_wanted).in_set(StageSystems::Features));
    }
}

/// In which steps sequence features are recorded. A method that reads features, cosines or novelty inserts
/// [`FeatureDemand::EveryStep`].
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeatureDemand {
    /// In steps for which something is recorded of them: cosines (`record.geometry_every`), tokens (`record.tokens_every`) or their
    /// fidelity (`fidelity.every`).
    #[default]
    WhereRecorded,
    /// In every step.
    EveryStep,
}

impl FeatureDemand {
    /// Whether features are recorded in `step`.
    pub fn holds(self, step: StepCounter, experiment: &Experiment) -> bool {
        self == Self::EveryStep
            || experiment.record.geometry_is_due(step.0)
            || experiment.record.tokens_are_due(step.0)
            || experiment.fidelity.is_some_and(|fidelity| fidelity.is_due(step.0))
    }
}

/// Run condition: the running step has features.
pub fn features_are_wanted(
    demand: Res<FeatureDemand>,
    step: Res<StepCounter>,
    experiment: Res<ActiveExperiment>,
) -> bool {
    demand.holds(*step, &experiment.0)
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
