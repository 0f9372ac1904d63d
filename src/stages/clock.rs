//! How long the stages of a step take.

use super::StepMetrics;
use crate::metrics::metrics;
use crate::run::{Stage, StageTimes};
use bevy_ecs::prelude::*;
use std::time::Instant;

metrics! {
    TIME_SAMPLE_S: "time/sample_s", "s", Lower, Asked,
        "Time of the sampling stage.";
    TIME_VERIFY_S: "time/verify_s", "s", Lower, Asked,
        "Time of the verification stage.";
    TIME_FEATURE_S: "time/feature_s", "s", Lower, Asked,
        "Time of the stages between verification and update: features, cosines, novelty, \
         advantages.";
    TIME_NOVELTY_S: "time/novelty_s", "s", Lower, Asked,
        "Time of the novelty stage, which is part of `time/feature_s`.";
    TIME_ADVANTAGE_S: "time/advantage_s", "s", Lower, Asked,
        "Time of the advantage stage, which is part of `time/feature_s`.";
    TIME_UPDATE_S: "time/update_s", "s", Lower, Asked,
        "Time of the update stage: forward, loss, backward and optimizer.";
    TIME_EVALUATE_S: "time/evaluate_s", "s", Lower, Asked,
        "Time of held-out evaluations in the step; not part of the step's time.";
    TIME_STEP_S: "time/step_s", "s", Lower, Asked,
        "Time of the whole step without evaluations.";
}

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
    metrics.set(&TIME_SAMPLE_S, time(Stage::Sample));
    metrics.set(&TIME_VERIFY_S, time(Stage::Verify));
    metrics.set(
        &TIME_FEATURE_S,
        time(Stage::Features) + time(Stage::Novelty) + time(Stage::Advantage),
    );
    metrics.set(&TIME_NOVELTY_S, time(Stage::Novelty));
    metrics.set(&TIME_ADVANTAGE_S, time(Stage::Advantage));
    metrics.set(&TIME_UPDATE_S, time(Stage::Update));
    if time(Stage::Evaluate) > 0.0 {
        metrics.set(&TIME_EVALUATE_S, time(Stage::Evaluate));
    }
    metrics.set(&TIME_STEP_S, clock.step_seconds());
}
