//! G2RL (gradient-guided RL, arXiv 2512.15687). Differs from GRPO in:
//!
//! 1. the reward is shaped by the novelty of the response's gradient direction within its group:
//!    r~ = clip(r (1 + lambda r `nu_bar`), -c, c) (eqs. 12-14), with nu the exploration score of the novelty stage.
//!
//! Options beyond the paper's own settings, each a field of [`G2rlConfig`]: a schedule for lambda, tokens weighed by entropy in
//! the direction (alpha), the score without its root, the other sign for incorrect responses, and groups with equal rewards
//! left alone.
//!
//! Features, cosines and scores are measured for every method; here they act.

use crate::experiment::G2rlConfig;
use crate::geometry::shaped_reward;
use crate::rollout::{Novelty, PromptGroup, Reward, Rollouts, ShapedReward};
use crate::stages::{FeatureWeights, NoveltySettings, StageSystems, StepCounter, TrainStep, score_novelty};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

/// G2RL.
pub struct G2rlPlugin(pub G2rlConfig);

/// Settings of the shaping, as a resource.
#[derive(Resource, Clone)]
struct Shaping(G2rlConfig);

impl Plugin for G2rlPlugin {
    fn build(&self, app: &mut App) {
        app.insert_resource(NoveltySettings { form: self.0.novelty })
            .insert_resource(FeatureWeights(self.0.alpha))
            .insert_resource(Shaping(self.0.clone()))
            .add_systems(TrainStep, shape_rewards_by_novelty.after(score_novelty).in_set(StageSystems::Novelty));
    }
}

/// Adds [`ShapedReward`] to every rollout.
#[allow(private_interfaces, reason = "the system is public so that others can order against it, not to be called")]
pub fn shape_rewards_by_novelty(
    mut commands: Commands,
    shaping: Res<Shaping>,
    step: Res<StepCounter>,
    groups: Query<&Rollouts, With<PromptGroup>>,
    rollouts: Query<(&Reward, &Novelty)>,
) -> Result {
    let config = &shaping.0;
    let strength = config.lambda_schedule.strength(config.lambda, step.0);
    for members in groups {
        let first = members.iter().next().map(|first| rollouts.get(first)).transpose()?;
        let mut uniform = true;
        for member in members.iter() {
            uniform &= Some(rollouts.get(member)?.0) == first.map(|(reward, _)| reward);
        }
        let lambda = if uniform && !config.shape_uniform_groups { 0.0 } else { strength };
        for member in members.iter() {
            let (reward, novelty) = rollouts.get(member)?;
            let shaped =
                shaped_reward(reward.0, novelty.normalized, lambda as f32, config.clip as f32, config.incorrect);
            commands.entity(member).insert(ShapedReward(shaped));
        }
    }
    Ok(())
}
