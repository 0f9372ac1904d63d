//! Advantages: by default A = (r~ - mean of the group) / deviation, from shaped rewards where a
//! method shaped them and base rewards otherwise, less the penalty for length where
//! `objective.truncated` has one. `objective.advantage` says what rewards are compared with, and
//! `objective.advantage_scale` whose deviation it is.
//!
//! The penalty comes after the shaping, so that it means the same for every method: EVOL-RL
//! replaces the base reward, and G2RL shapes by its sign. Base rewards, and with them accuracy and
//! uniform groups, do not know of it.

use super::step_metrics::{DeclareMetrics, mean};
use super::{ActiveExperiment, ActiveTask, StageSystems, StepMetrics, TrainStep};
use crate::metrics::metrics;
use crate::objective::{Truncated, is_uniform};
use crate::rollout::{
    Advantage, GroupProblem, Groups, Judged, Response, Reward, Rollouts, ShapedReward,
};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use std::collections::BTreeSet;

metrics! {
    REWARD_SHAPED_MEAN: "reward/shaped_mean", "", Neither, Asked, finite(),
        "Mean of the rewards that advantages are made of: base rewards after the method's shaping \
         and the penalty for length.";
    REWARD_LENGTH_PENALTY_MEAN: "reward/length_penalty_mean", "", Higher, Asked, at_most(0.0),
        "Mean of what responses near the token limit lose of their reward, 0 or less \
         (objective.truncated).";
    GROUP_UNIFORM_RATIO: "group/uniform_ratio", "", Lower, Asked, range(0.0, 1.0),
        "Share of the groups trained on whose base rewards are all equal. GRPO learns nothing from \
         them.";
    GROUP_SHAPING_ONLY_RATIO: "group/shaping_only_ratio", "", Neither, Asked, range(0.0, 1.0),
        "Share of groups whose signal comes from shaping or the penalty for length alone: equal \
         base rewards, unequal shaped rewards.";
    GROUP_STRATEGIES_MEAN: "group/strategies_mean", "", Higher, WhereMeasured("Strategies"),
        at_least(0.0),
        "Mean over the groups trained on of how many ways there are among their correct responses, \
         where the task tells ways apart: for countdown, expressions that are not the same up to \
         the order of operands and brackets.";
}

/// The advantage stage.
pub struct AdvantagePlugin;

impl Plugin for AdvantagePlugin {
    fn build(&self, app: &mut App) {
        app.declare_metrics(METRICS).add_systems(
            TrainStep,
            (
                keep_unshaped_rewards,
                penalize_length.run_if(length_is_penalized),
                center_group_advantages,
                count_strategies.run_if(strategies_are_told),
            )
                .chain()
                .in_set(StageSystems::Advantage),
        );
    }
}

/// Where no method shaped a reward, the base reward stands.
fn keep_unshaped_rewards(
    mut commands: Commands,
    rollouts: Query<(Entity, &Reward), Without<ShapedReward>>,
) {
    for (rollout, reward) in rollouts {
        commands.entity(rollout).insert(ShapedReward(reward.0));
    }
}

fn length_is_penalized(experiment: Res<ActiveExperiment>) -> bool {
    matches!(experiment.0.objective.truncated, Truncated::SoftPenalty { .. })
}

/// Takes from the rewards of responses near the token limit what [`Truncated::penalty`] says.
fn penalize_length(
    experiment: Res<ActiveExperiment>,
    mut rollouts: Query<(&Response, &mut ShapedReward)>,
    groups: Groups<&Rollouts>,
    mut metrics: ResMut<StepMetrics>,
) -> Result {
    let (truncated, limit) =
        (experiment.0.objective.truncated, experiment.0.rollout.max_new_tokens);
    let mut penalties = Vec::new();
    for members in groups.iter() {
        for member in members.iter() {
            let (response, mut reward) = rollouts.get_mut(member)?;
            let penalty = truncated.penalty(response.0.ids.len(), limit);
            reward.0 += penalty;
            penalties.push(f64::from(penalty));
        }
    }
    metrics.set(&REWARD_LENGTH_PENALTY_MEAN, mean(penalties));
    Ok(())
}

fn strategies_are_told(task: Res<ActiveTask>) -> bool {
    task.0.tells_strategies()
}

/// Counts the ways of the correct responses of each group.
fn count_strategies(
    task: Res<ActiveTask>,
    groups: Groups<(&GroupProblem, &Rollouts)>,
    judgements: Query<&Judged>,
    mut metrics: ResMut<StepMetrics>,
) -> Result {
    let mut counts = Vec::new();
    for (problem, rollouts) in groups.iter() {
        let mut ways = BTreeSet::new();
        for rollout in rollouts.iter() {
            let judged = &judgements.get(rollout)?.0;
            let answer = judged.extracted.as_ref().filter(|_| judged.verdict.is_correct());
            ways.extend(answer.and_then(|answer| task.0.strategy(&problem.0, answer)));
        }
        counts.push(ways.len() as f64);
    }
    metrics.set(&GROUP_STRATEGIES_MEAN, mean(counts));
    Ok(())
}

/// Adds [`Advantage`] to every rollout.
pub fn center_group_advantages(
    mut commands: Commands,
    experiment: Res<ActiveExperiment>,
    groups: Groups<&Rollouts>,
    rewards: Query<(&Reward, &ShapedReward, &Response)>,
    mut metrics: ResMut<StepMetrics>,
) -> Result {
    let groups: Vec<&Rollouts> = groups.iter().collect();
    let (mut uniform, mut shaped, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for rollouts in &groups {
        let mut base = Vec::new();
        let (mut group, mut tokens) = (Vec::new(), Vec::new());
        for rollout in rollouts.iter() {
            let (reward, shaped_reward, response) = rewards.get(rollout)?;
            base.push(reward.0);
            group.push(shaped_reward.0);
            tokens.push(response.0.ids.len());
        }
        uniform.push(is_uniform(&base));
        shaped.push(group);
        lengths.push(tokens);
    }
    let advantages = experiment.0.objective.advantages(&shaped, &lengths);
    let share = |condition: bool| f64::from(u8::from(condition));
    let has_signal = |group: &[f32]| group.iter().any(|advantage| *advantage != 0.0);
    let shaping_only = uniform
        .iter()
        .zip(&advantages)
        .map(|(&uniform, group)| share(uniform && has_signal(group)));
    metrics.set(&GROUP_SHAPING_ONLY_RATIO, mean(shaping_only));
    metrics.set(&GROUP_UNIFORM_RATIO, mean(uniform.iter().copied().map(share)));
    metrics.set(&REWARD_SHAPED_MEAN, mean(shaped.iter().flatten().copied().map(f64::from)));
    for (rollouts, advantages) in groups.into_iter().zip(advantages) {
        for (rollout, advantage) in rollouts.iter().zip(advantages) {
            commands.entity(rollout).insert(Advantage(advantage));
        }
    }
    Ok(())
}
