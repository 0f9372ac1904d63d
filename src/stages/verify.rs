//! Judges every completion with the task's verifier and gives base rewards: r = +1 for a correct answer, -1 otherwise.
//!
//! In a [`SampleRound`] it judges what is new, and the metrics become those of all that was sampled.

use super::metrics::DeclareMetrics;
use super::{ActiveTask, SampleRound, StageSystems, StepMetrics, TrainStep, mean};
use crate::metrics::metrics;
use crate::rollout::{CompletionText, GroupProblem, InGroup, Judged, Reward};
use crate::verify::Verdict;
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use rayon::prelude::*;

metrics! {
    REWARD_ACCURACY: "reward/accuracy", "", Higher, Always("Training accuracy"), "Share of the completions sampled in the step that are correct.";
    REWARD_MEAN: "reward/mean", "", Higher, Always("Reward"), "Mean base reward of the completions sampled in the step: +1 for a correct answer, -1 otherwise.";
    COMPLETION_NO_ANSWER_RATIO: "completion/no_answer_ratio", "", Lower, Asked, "Share of responses without a final answer.";
}

/// The verify stage.
pub struct VerifyPlugin;

impl Plugin for VerifyPlugin {
    fn build(&self, app: &mut App) {
        app.declare_metrics(METRICS)
            .add_systems(TrainStep, verify_completions.in_set(StageSystems::Verify))
            .add_systems(SampleRound, verify_completions.in_set(StageSystems::Verify));
    }
}

/// Adds [`Judged`] and [`Reward`] to every rollout that has not been judged.
pub fn verify_completions(
    mut commands: Commands,
    task: Res<ActiveTask>,
    groups: Query<&GroupProblem>,
    rollouts: Query<(Entity, &InGroup, &CompletionText), Without<Judged>>,
    earlier: Query<&Judged>,
    mut metrics: ResMut<StepMetrics>,
) -> Result {
    let mut work = Vec::new();
    for (rollout, group, text) in rollouts {
        work.push((rollout, &groups.get(group.0)?.0, text));
    }
    let judged: Vec<_> =
        work.par_iter().map(|(rollout, problem, text)| (*rollout, task.0.verify(problem, &text.0))).collect();
    let verdicts: Vec<Verdict> =
        earlier.iter().map(|judged| judged.0.verdict).chain(judged.iter().map(|(_, v)| v.verdict)).collect();
    let share = |holds: fn(&Verdict) -> bool| mean(verdicts.iter().map(|verdict| f64::from(u8::from(holds(verdict)))));
    let accuracy = share(|verdict| verdict.is_correct());
    metrics.set(&REWARD_ACCURACY, accuracy);
    metrics.set(&REWARD_MEAN, 2.0 * accuracy - 1.0);
    metrics.set(&COMPLETION_NO_ANSWER_RATIO, share(|verdict| *verdict == Verdict::NoAnswer));
    for (rollout, verification) in judged {
        let reward = if verification.verdict.is_correct() { 1.0 } else { -1.0 };
        commands.entity(rollout).insert((Judged(verification), Reward(reward)));
    }
    Ok(())
}
