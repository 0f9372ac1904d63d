//! Measures the policy on held-out problems: the base model before the first step, then on
//! schedule, and after the last step.

use super::resources::warn;
use super::{
    ActiveExperiment, Monitor, Policy, RunRecorder, SampledIn, StageSystems, StepCounter, TrainStep,
};
use crate::evaluation::{Suite, evaluate};
use crate::experiment::EvaluationConfig;
use crate::run::{EvaluationRecord, Stage, StageProgress};
use bevy_app::{App, Plugin, Startup};
use bevy_ecs::prelude::*;
use std::sync::Arc;

/// The evaluate stage.
pub struct EvaluatePlugin;

impl Plugin for EvaluatePlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Evaluations>()
            .add_systems(Startup, evaluate_policy.run_if(is_new_run))
            .add_systems(TrainStep, evaluate_policy.in_set(StageSystems::Evaluate));
    }
}

/// All evaluations so far, oldest first.
#[derive(Resource, Default)]
pub struct Evaluations(pub Arc<Vec<EvaluationRecord>>);

/// The suites of the experiment's evaluations, in the same order.
#[derive(Resource)]
pub struct Suites(pub Vec<Suite>);

/// A resumed run has its base evaluation already.
fn is_new_run(step: Res<StepCounter>) -> bool {
    step.0 == 0
}

fn is_due(evaluation: &EvaluationConfig, step: u64, last: u64) -> bool {
    evaluation.every.is_due(step) || step == last
}

fn evaluate_policy(
    experiment: Res<ActiveExperiment>,
    suites: Res<Suites>,
    policy: Res<Policy>,
    step: Res<StepCounter>,
    sampled_in: Option<Res<SampledIn>>,
    monitor: Res<Monitor>,
    recorder: Res<RunRecorder>,
    mut evaluations: ResMut<Evaluations>,
) -> Result {
    let experiment = &experiment.0;
    let all = experiment.evaluations.iter().zip(&suites.0);
    for (config, suite) in all.filter(|(config, _)| is_due(config, step.0, experiment.stop.steps)) {
        monitor.0.progress(StageProgress { stage: Some(Stage::Evaluate), done: Some(0.0) });
        if let Some(memory) = &sampled_in {
            // Keys and values of another size take its place.
            memory.0.clear();
        }
        let mut last = 0.0;
        let tokens = experiment.rollout.max_new_tokens;
        let record = evaluate(&policy.0, suite, config, tokens, experiment.seed, step.0, |done| {
            monitor.report(Stage::Evaluate, &mut last, done);
        })?;
        recorder.0.append_evaluation(&record)?;
        recorder.0.log(&record.to_string())?;
        if record.no_answer_ratio > 0.5 {
            let text = format!(
                "{:.0} % of held-out completions have no answer",
                100.0 * record.no_answer_ratio
            );
            warn(&recorder, &monitor, step.0, text)?;
        }
        Arc::make_mut(&mut evaluations.0).push(record);
        let all = evaluations.0.clone();
        monitor.0.update(|snapshot| snapshot.evaluations = all);
    }
    Ok(())
}
