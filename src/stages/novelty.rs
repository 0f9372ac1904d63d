//! Exploration scores: how much of each response's direction its high-reward peers do not explain.
//!
//! They are measured wherever there are features, whatever the method, so that methods can be
//! compared; shaping rewards by them is G2RL's part.

use super::step_metrics::{DeclareMetrics, mean};
use super::{StageSystems, StepMetrics, TrainStep, features_are_wanted};
use crate::geometry::{NoveltyForm, normalize_novelty, novelty};
use crate::metrics::metrics;
use crate::rollout::{Cosines, Groups, Novelty, Reward, Rollouts};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

metrics! {
    GEOMETRY_NOVELTY_MEAN: "geometry/novelty_mean", "", Neither, Asked,
        range(0.0, 1.0), rounding(1e-3),
        "Mean exploration score nu: the part of a direction that high-reward peers do not explain.";
}

/// The novelty stage.
pub struct NoveltyPlugin;

impl Plugin for NoveltyPlugin {
    fn build(&self, app: &mut App) {
        app.declare_metrics(METRICS).init_resource::<NoveltySettings>().add_systems(
            TrainStep,
            score_novelty.run_if(features_are_wanted).in_set(StageSystems::Novelty),
        );
    }
}

/// How novelty is measured.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub struct NoveltySettings {
    /// Length of the unexplained part, or its square.
    pub form: NoveltyForm,
}

/// Adds [`Novelty`] to every rollout.
pub fn score_novelty(
    mut commands: Commands,
    settings: Res<NoveltySettings>,
    groups: Groups<(&Rollouts, &Cosines)>,
    rewards: Query<&Reward>,
    mut metrics: ResMut<StepMetrics>,
) -> Result {
    let mut all = Vec::new();
    for (rollouts, cosines) in groups.iter() {
        let mut group_rewards = Vec::with_capacity(cosines.0.size());
        for rollout in rollouts.iter() {
            group_rewards.push(rewards.get(rollout)?.0);
        }
        let scores = novelty(&cosines.0, &group_rewards, settings.form)?;
        let normalized = normalize_novelty(&scores, settings.form);
        for ((rollout, &score), normalized) in rollouts.iter().zip(&scores).zip(normalized) {
            commands.entity(rollout).insert(Novelty { score, normalized });
        }
        all.extend(scores.iter().map(|&score| f64::from(score)));
    }
    metrics.set(&GEOMETRY_NOVELTY_MEAN, mean(all));
    Ok(())
}
