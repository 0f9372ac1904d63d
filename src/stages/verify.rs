//! Judges every completion with the task's verifier, and gives the base reward r that the task
//! makes of the verdict: by default +1 for a correct answer, -1 otherwise. A reward may have named
//! parts, each of which is a metric.
//!
//! In a [`SampleRound`] it judges what is new, and the metrics become those of all that was
//! sampled.

use super::step_metrics::{DeclareMetrics, mean};
use super::{ActiveTask, SampleRound, StageSystems, StepMetrics, TrainStep};
use crate::metrics::{self, Metric, metrics};
use crate::rollout::{CompletionText, GroupProblem, InGroup, Judged, Reward, RewardParts};
use crate::tasks::{Problem, RewardPart, Task};
use crate::verify::Verdict;
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use rayon::prelude::*;

metrics! {
    REWARD_ACCURACY: "reward/accuracy", "", Higher, Always("Training accuracy"),
        range(0.0, 1.0), finite(),
        "Share of the completions sampled in the step that are correct.";
    REWARD_MEAN: "reward/mean", "", Higher, Always("Reward"), finite(),
        "Mean base reward of the completions sampled in the step: +1 for a correct answer and -1 \
         otherwise, unless the task gives others.";
    COMPLETION_NO_ANSWER_RATIO: "completion/no_answer_ratio", "", Lower, Asked, range(0.0, 1.0),
        "Share of responses without a final answer.";
}

/// The verify stage.
pub struct VerifyPlugin;

impl Plugin for VerifyPlugin {
    fn build(&self, app: &mut App) {
        let task = app.world().get_resource::<ActiveTask>();
        let parts = task.map_or(Vec::new(), |task| part_metrics(task.0.as_ref()));
        app.declare_metrics(METRICS)
            .declare_metrics(&parts)
            .add_systems(TrainStep, verify_completions.in_set(StageSystems::Verify))
            .add_systems(SampleRound, verify_completions.in_set(StageSystems::Verify));
    }
}

/// The metrics of the named parts of the task's reward.
fn part_metrics(task: &dyn Task) -> Vec<&'static Metric> {
    let metric = |part: &RewardPart| {
        let help = format!("Mean of the part `{}` of the reward: {}", part.name, part.help);
        metrics::own(&part.metric(), &help)
    };
    task.reward_parts().iter().map(metric).collect()
}

/// Adds [`Judged`], [`Reward`] and, where the task gives some, [`RewardParts`] to every rollout
/// that has not been judged.
pub fn verify_completions(
    mut commands: Commands,
    task: Res<ActiveTask>,
    groups: Query<&GroupProblem>,
    rollouts: Query<(Entity, &InGroup, &CompletionText), Without<Judged>>,
    earlier: Query<(&Judged, &Reward, Option<&RewardParts>)>,
    mut metrics: ResMut<StepMetrics>,
) -> Result {
    let task = task.0.as_ref();
    let mut work = Vec::new();
    for (rollout, group, text) in rollouts {
        work.push((rollout, &groups.get(group.0)?.0, text));
    }
    let judge = |(rollout, problem, text): &(Entity, &Problem, &CompletionText)| {
        let verification = task.verify(problem, &text.0);
        let reward = task.reward(problem, &text.0, &verification);
        reward.check(task.name(), task.reward_parts())?;
        Ok((*rollout, verification, reward))
    };
    let judged = work.par_iter().map(judge).collect::<crate::error::Result<Vec<_>>>()?;

    let mut summary = Summary::default();
    for (judged, reward, parts) in earlier {
        summary.add(judged.0.verdict, reward.0, parts.map_or(&[], |parts| &parts.0));
    }
    for (_, verification, reward) in &judged {
        summary.add(verification.verdict, reward.total, &reward.parts);
    }
    summary.set(task.reward_parts(), &mut metrics);

    for (rollout, verification, reward) in judged {
        let mut rollout = commands.entity(rollout);
        rollout.insert((Judged(verification), Reward(reward.total)));
        if !reward.parts.is_empty() {
            rollout.insert(RewardParts(reward.parts));
        }
    }
    Ok(())
}

/// What was judged in a step.
#[derive(Default)]
struct Summary {
    verdicts: Vec<Verdict>,
    rewards: Vec<f64>,
    parts: Vec<(&'static str, f64)>,
}

impl Summary {
    fn add(&mut self, verdict: Verdict, reward: f32, parts: &[(&'static str, f32)]) {
        self.verdicts.push(verdict);
        self.rewards.push(f64::from(reward));
        self.parts.extend(parts.iter().map(|&(name, value)| (name, f64::from(value))));
    }

    /// Sets the metrics. A completion without a part counts as 0 in its mean.
    fn set(self, declared: &[RewardPart], metrics: &mut StepMetrics) {
        let share = |holds: fn(&Verdict) -> bool| {
            mean(self.verdicts.iter().map(|verdict| f64::from(u8::from(holds(verdict)))))
        };
        metrics.set(&REWARD_ACCURACY, share(|verdict| verdict.is_correct()));
        metrics.set(&COMPLETION_NO_ANSWER_RATIO, share(|verdict| *verdict == Verdict::NoAnswer));
        let count = self.rewards.len().max(1) as f64;
        for part in declared {
            let Some(metric) = metrics::find(&part.metric()) else { continue };
            let of_part = self.parts.iter().filter(|(name, _)| *name == part.name);
            metrics.set(metric, of_part.map(|(_, value)| value).sum::<f64>() / count);
        }
        metrics.set(&REWARD_MEAN, mean(self.rewards));
    }
}
