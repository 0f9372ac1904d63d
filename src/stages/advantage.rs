//! Advantages within each group: A = (r~ - mean) / sqrt(variance + eps), from shaped rewards where a method shaped them and
//! base rewards otherwise.

use super::{StageSystems, StepMetrics, TrainStep, mean};
use crate::metrics;
use crate::objective::group_advantages;
use crate::rollout::{Advantage, PromptGroup, Reward, Rollouts, ShapedReward};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

/// The advantage stage.
pub struct AdvantagePlugin;

impl Plugin for AdvantagePlugin {
    fn build(&self, app: &mut App) {
        app.add_systems(
            TrainStep,
            (keep_unshaped_rewards, center_group_advantages).chain().in_set(StageSystems::Advantage),
        );
    }
}

/// Where no method shaped a reward, the base reward stands.
fn keep_unshaped_rewards(mut commands: Commands, rollouts: Query<(Entity, &Reward), Without<ShapedReward>>) {
    for (rollout, reward) in rollouts {
        commands.entity(rollout).insert(ShapedReward(reward.0));
    }
}

/// Adds [`Advantage`] to every rollout.
pub fn center_group_advantages(
    mut commands: Commands,
    groups: Query<(&PromptGroup, &Rollouts)>,
    rewards: Query<(&Reward, &ShapedReward)>,
    mut metrics: ResMut<StepMetrics>,
) -> Result {
    let (mut uniform, mut shaping_only, mut shaped_means) = (Vec::new(), Vec::new(), Vec::new());
    for (_, rollouts) in groups.iter().sort::<&PromptGroup>() {
        let (mut base, mut shaped) = (Vec::new(), Vec::new());
        for rollout in rollouts.iter() {
            let (reward, shaped_reward) = rewards.get(rollout)?;
            base.push(reward.0);
            shaped.push(shaped_reward.0);
        }
        let advantages = group_advantages(&shaped);
        let is_uniform = base.iter().all(|reward| reward.to_bits() == base[0].to_bits());
        let has_signal = advantages.iter().any(|advantage| *advantage != 0.0);
        uniform.push(f64::from(u8::from(is_uniform)));
        shaping_only.push(f64::from(u8::from(is_uniform && has_signal)));
        shaped_means.extend(shaped.iter().map(|&reward| f64::from(reward)));
        for (rollout, advantage) in rollouts.iter().zip(advantages) {
            commands.entity(rollout).insert(Advantage(advantage));
        }
    }
    metrics.set(&metrics::GROUP_UNIFORM_RATIO, mean(uniform));
    metrics.set(&metrics::GROUP_SHAPING_ONLY_RATIO, mean(shaping_only));
    metrics.set(&metrics::REWARD_SHAPED_MEAN, mean(shaped_means));
    Ok(())
}
