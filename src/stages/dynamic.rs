//! Dynamic sampling (DAPO, arXiv 2503.14476): groups whose base rewards are all equal are replaced
//! by groups of further problems.
//!
//! Runs between Verify and Features where the experiment has `rollout.dynamic`. Each round runs the
//! [`SampleRound`] schedule, which is the stages Sample and Verify once more, for as many new
//! groups as are missing; then the step keeps `prompts_per_step` groups and numbers them anew from
//! 0: those with a signal in the order in which they were sampled, and, where the rounds did not
//! bring enough of them, the first ones without.
//!
//! It asks for *base* rewards, whatever the method: a method such as G2RL that gets a signal from
//! uniform groups too trains on fewer of them with this option. What sampling and verification
//! measure (rewards, accuracy, lengths, entropy) is of all that was sampled, so that these numbers
//! still describe the policy; everything later is of the groups kept.

use super::schedule::Boundary;
use super::step_metrics::DeclareMetrics;
use super::{ActiveExperiment, SampleRound, StageSystems, StepMetrics, TrainStep};
use crate::error::Error;
use crate::metrics::metrics;
use crate::objective::is_uniform;
use crate::rollout::{Groups, PromptGroup, Reward, Rollouts};
use crate::run::Stage;
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use bevy_ecs::system::{SystemParam, SystemState};

metrics! {
    GROUP_RESAMPLED_RATIO: "group/resampled_ratio", "", Lower, Asked, at_least(0.0),
        "Groups sampled in further rounds of dynamic sampling, per prompt of the step: 0 where the \
         first round had a signal everywhere.";
}

/// Dynamic sampling.
pub struct DynamicSamplingPlugin;

impl Plugin for DynamicSamplingPlugin {
    fn build(&self, app: &mut App) {
        app.declare_metrics(METRICS).add_systems(
            TrainStep,
            (sample_further_rounds, keep_groups)
                .chain()
                .after(StageSystems::Verify)
                .before(Boundary::Before(Stage::Features)),
        );
    }
}

/// The groups of the step that have been sampled so far.
#[derive(SystemParam)]
pub(super) struct SampledGroups<'w, 's> {
    groups: Groups<'w, 's, (Entity, &'static PromptGroup, &'static Rollouts)>,
    rewards: Query<'w, 's, &'static Reward>,
}

impl SampledGroups<'_, '_> {
    /// Every group in order, and whether its base rewards differ.
    pub(super) fn with_signal(&self) -> crate::error::Result<Vec<(Entity, bool)>> {
        let has_signal = |rollouts: &Rollouts| -> crate::error::Result<bool> {
            let rewards = rollouts.iter().map(|rollout| {
                self.rewards.get(rollout).map(|reward| reward.0).map_err(|_| {
                    Error::failed(
                        "a completion has no reward; with `rollout.dynamic`, systems that give \
                         rewards belong to the schedule SampleRound too",
                    )
                })
            });
            Ok(!is_uniform(&rewards.collect::<crate::error::Result<Vec<f32>>>()?))
        };
        self.groups.iter().map(|(group, _, rollouts)| Ok((group, has_signal(rollouts)?))).collect()
    }
}

/// Samples and verifies further groups until enough have a signal or the rounds are used up.
pub(super) fn sample_further_rounds(world: &mut World) -> Result {
    let rollout = &world.resource::<ActiveExperiment>().0.rollout;
    let (prompts, rounds) =
        (rollout.prompts_per_step, rollout.dynamic.map_or(0, |dynamic| dynamic.rounds));
    let mut sampled = SystemState::<SampledGroups>::new(world);
    for _ in 0..rounds {
        let groups = sampled.get(world)?.with_signal()?;
        if groups.iter().filter(|(_, signal)| *signal).count() >= prompts {
            break;
        }
        world.run_schedule(SampleRound);
    }
    Ok(())
}

/// Keeps the step's groups, numbered from 0, and despawns the others.
pub(super) fn keep_groups(
    mut commands: Commands,
    experiment: Res<ActiveExperiment>,
    sampled: SampledGroups,
    mut metrics: ResMut<StepMetrics>,
) -> Result {
    let prompts = experiment.0.rollout.prompts_per_step;
    let mut groups = sampled.with_signal()?;
    metrics
        .set(&GROUP_RESAMPLED_RATIO, groups.len().saturating_sub(prompts) as f64 / prompts as f64);
    groups.sort_by_key(|(_, signal)| !signal); // stable: in order among themselves
    for (index, (group, _)) in groups.into_iter().enumerate() {
        if index < prompts {
            commands.entity(group).insert(PromptGroup(index as u32));
        } else {
            commands.entity(group).despawn();
        }
    }
    Ok(())
}
