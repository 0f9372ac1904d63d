//! Gradient directions: sequence features Phi = sum of alpha phi over response tokens / (sum of
//! alpha + eps), and their cosines within each group. The sums were accumulated while sampling, so
//! this costs no forward pass.
//!
//! They are there in the steps that [`FeatureDemand`] names: every step where the method acts on
//! them, and otherwise the steps in which something is recorded of them. In other steps sampling
//! leaves them out and rollouts have no [`Feature`] and no `Novelty`, groups no [`Cosines`], and
//! `metrics.jsonl` no geometry.
//!
//! Where a method asks for them ([`HiddenDemand`]), the means of the final hidden states are there
//! too, summed while sampling like the features.

use super::{ActiveExperiment, StageSystems, StepCounter, TrainStep};
use crate::experiment::Experiment;
use crate::geometry::{CosineMatrix, TokenWeights};
use crate::rollout::{
    Cosines, Feature, HiddenCosines, HiddenMean, PromptGroup, Response, Rollouts,
};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

/// The features stage.
pub struct FeaturesPlugin;

impl Plugin for FeaturesPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<FeatureDemand>()
            .init_resource::<FeatureWeights>()
            .init_resource::<HiddenDemand>()
            .add_systems(
                TrainStep,
                (
                    compute_features.run_if(features_are_wanted),
                    compute_hidden_means.run_if(hidden_means_are_wanted),
                )
                    .in_set(StageSystems::Features),
            );
    }
}

/// In which steps sequence features are recorded. A method that reads features, cosines or novelty
/// inserts [`FeatureDemand::EveryStep`].
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeatureDemand {
    /// In steps for which something is recorded of them: cosines (`record.geometry_every`), tokens
    /// (`record.tokens_every`) or their fidelity (`fidelity.every`).
    #[default]
    WhereRecorded,
    /// In every step.
    EveryStep,
}

impl FeatureDemand {
    /// Whether features are recorded in `step`.
    pub fn holds(self, step: StepCounter, experiment: &Experiment) -> bool {
        self == Self::EveryStep
            || experiment.record.geometry_every.is_due(step.0)
            || experiment.record.tokens_every.is_due(step.0)
            || experiment.fidelity.is_some_and(|fidelity| fidelity.every.is_due(step.0))
    }
}

/// How tokens are weighed in [`Feature`]; the sample stage sums by the same weights.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeatureWeights(pub TokenWeights);

/// Whether every step has the means of the final hidden states, [`HiddenMean`].
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HiddenDemand(pub bool);

fn hidden_means_are_wanted(demand: Res<HiddenDemand>) -> bool {
    demand.0
}

/// Adds [`HiddenMean`] to every rollout and [`HiddenCosines`] to every group.
fn compute_hidden_means(
    mut commands: Commands,
    groups: Query<(Entity, &Rollouts), With<PromptGroup>>,
    responses: Query<&Response>,
) -> Result {
    for (group, rollouts) in groups {
        let mut means = Vec::new();
        let mut dim = 0;
        for rollout in rollouts.iter() {
            let response = &responses.get(rollout)?.0;
            let tokens = response.ids.len().max(1) as f32;
            let mean: Vec<f32> = response.hidden_sum.iter().map(|sum| sum / tokens).collect();
            dim = mean.len();
            means.extend_from_slice(&mean);
            commands.entity(rollout).insert(HiddenMean(mean));
        }
        commands.entity(group).insert(HiddenCosines(CosineMatrix::from_features(&means, dim)?));
    }
    Ok(())
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
