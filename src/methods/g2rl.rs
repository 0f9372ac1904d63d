//! G2RL (gradient-guided RL, arXiv 2512.15687). Differs from GRPO in:
//!
//! 1. the reward is shaped by the novelty of the response's gradient direction within its group:
//!    r~ = clip(r (1 + lambda r `nu_bar`), -c, c) (eqs. 12-14), with nu the exploration score of the novelty stage.
//!
//! Options beyond the paper's own settings, each a field of [`G2rlConfig`]: a schedule for lambda, tokens weighed by entropy in
//! the direction (alpha), the score without its root, the other sign for incorrect responses, and groups with equal rewards
//! left alone.
//!
//! Features, cosines and scores may be measured for every method; here they act, so every step has them.

use crate::experiment::G2rlConfig;
use crate::geometry::{Shaping, shape_group};
use crate::rollout::{Novelty, PromptGroup, Reward, Rollouts, ShapedReward};
use crate::stages::{
    FeatureDemand, FeatureWeights, NoveltySettings, StageSystems, StepCounter, TrainStep, score_novelty,
};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

/// G2RL.
pub struct G2rlPlugin(pub G2rlConfig);

/// Settings of the shaping, as a resource: what is changed in it holds from the next step on.
#[derive(Resource, Clone)]
pub struct G2rlSettings(pub G2rlConfig);

impl Plugin for G2rlPlugin {
    fn build(&self, app: &mut App) {
        app.insert_resource(FeatureDemand::EveryStep)
            .insert_resource(FeatureWeights(self.0.alpha))
            .insert_resource(NoveltySettings { form: self.0.novelty })
            .insert_resource(G2rlSettings(self.0.clone()))
            .add_systems(TrainStep, shape_rewards_by_novelty.after(score_novelty).in_set(StageSystems::Novelty));
    }
}

/// Adds [`ShapedReward`] to every rollout.
pub fn shape_rewards_by_novelty(
    mut commands: Commands,
    settings: Res<G2rlSettings>,
    step: Res<StepCounter>,
    groups: Query<&Rollouts, With<PromptGroup>>,
    rollouts: Query<(&Reward, &Novelty)>,
) -> Result {
    let config = &settings.0;
    let shaping = Shaping {
        lambda: config.lambda_schedule.strength(config.lambda, step.0) as f32,
        clip: config.clip as f32,
        incorrect: config.incorrect,
        shape_uniform_groups: config.shape_uniform_groups,
    };
    for members in groups {
        let (mut base, mut novelty) = (Vec::new(), Vec::new());
        for member in members.iter() {
            let (reward, score) = rollouts.get(member)?;
            base.push(reward.0);
            novelty.push(score.normalized);
        }
        for (member, shaped) in members.iter().zip(shape_group(&base, &novelty, &shaping)) {
            commands.entity(member).insert(ShapedReward(shaped));
        }
    }
    Ok(())
}
