//! How long the stages of a step take.

use super::StepMetrics;
use crate::metrics::{Metric, metrics};
use crate::run::{Stage, StageTimes};
use bevy_ecs::prelude::*;
use std::time::Instant;

metrics! {
    TIME_SAMPLE_S: "time/sample_s", "s", Lower, Asked, at_least(0.0),
        "Time of the sampling stage.";
    TIME_VERIFY_S: "time/verify_s", "s", Lower, Asked, at_least(0.0),
        "Time of the verification stage.";
    TIME_FEATURE_S: "time/feature_s", "s", Lower, Asked, at_least(0.0),
        "Time of the stages between verification and update: features, cosines, novelty, \
         advantages.";
    TIME_NOVELTY_S: "time/novelty_s", "s", Lower, Asked, at_least(0.0),
        "Time of the novelty stage, which is part of `time/feature_s`.";
    TIME_ADVANTAGE_S: "time/advantage_s", "s", Lower, Asked, at_least(0.0),
        "Time of the advantage stage, which is part of `time/feature_s`.";
    TIME_UPDATE_S: "time/update_s", "s", Lower, Asked, at_least(0.0),
        "Time of the update stage: forward, loss, backward and optimizer.";
    TIME_EVALUATE_S: "time/evaluate_s", "s", Lower, Asked, at_least(0.0),
        "Time of held-out evaluations in the step; not part of the step's time.";
    TIME_STEP_S: "time/step_s", "s", Lower, Asked, at_least(0.0),
        "Time of the whole step without evaluations.";
}

/// The metric that has a stage's time, in the order of the stages. Record has none: it is the stage
/// that writes them.
pub(crate) const STAGE_TIMES: [(Stage, &Metric); 7] = [
    (Stage::Sample, &TIME_SAMPLE_S),
    (Stage::Verify, &TIME_VERIFY_S),
    (Stage::Features, &TIME_FEATURE_S),
    (Stage::Novelty, &TIME_NOVELTY_S),
    (Stage::Advantage, &TIME_ADVANTAGE_S),
    (Stage::Update, &TIME_UPDATE_S),
    (Stage::Evaluate, &TIME_EVALUATE_S),
];

/// Measures how long each stage takes.
#[derive(Resource)]
pub struct StageClock {
    /// Seconds per stage of the running step.
    pub times: StageTimes,
    running: Option<(Stage, Instant)>,
    step_started: Instant,
}

impl Default for StageClock {
    fn default() -> Self {
        Self { times: StageTimes::default(), running: None, step_started: Instant::now() }
    }
}

impl StageClock {
    pub(super) fn enter(&mut self, stage: Option<Stage>) {
        let now = Instant::now();
        if let Some((running, since)) = self.running.take() {
            self.times[running as usize] += (now - since).as_secs_f64();
        }
        self.running = stage.map(|stage| (stage, now));
    }

    /// Seconds since the step began, without evaluation.
    pub fn step_seconds(&self) -> f64 {
        self.step_started.elapsed().as_secs_f64() - self.times[Stage::Evaluate as usize]
    }
}

/// Metrics of the stages' times, for the record stage.
pub(super) fn time_metrics(clock: &StageClock, metrics: &mut StepMetrics) {
    let time = |stage: Stage| clock.times[stage as usize];
    for (stage, metric) in STAGE_TIMES {
        let seconds = match stage {
            Stage::Features => {
                time(Stage::Features) + time(Stage::Novelty) + time(Stage::Advantage)
            }
            stage => time(stage),
        };
        // Evaluations are not due in every step.
        if stage != Stage::Evaluate || seconds > 0.0 {
            metrics.set(metric, seconds);
        }
    }
    metrics.set(&TIME_STEP_S, clock.step_seconds());
}
