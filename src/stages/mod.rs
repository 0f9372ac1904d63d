//! The training step: one pass of the [`TrainStep`] schedule is one step, one plugin is one stage.
//!
//! Stages are system sets, chained in pipeline order. Methods and other plugins add systems to a
//! stage's set and order them against its systems; two systems that touch the same data without an
//! order are an error when the schedule is built.

mod advantage;
mod clock;
mod curriculum;
mod dynamic;
mod evaluate;
mod features;
mod fidelity;
mod geometry;
pub mod metrics;
mod novelty;
mod record;
mod resources;
mod sample;
mod schedule;
mod semantic;
mod step_metrics;
mod tokens;
mod update;
mod verify;

pub use advantage::{AdvantagePlugin, center_group_advantages};
pub use clock::StageClock;
pub use curriculum::{Curriculum, CurriculumPlugin};
pub use dynamic::DynamicSamplingPlugin;
pub use evaluate::{EvaluatePlugin, Evaluations, Suites};
pub use features::{
    FeatureDemand, FeatureWeights, FeaturesPlugin, HiddenDemand, compute_features,
    features_are_wanted,
};
pub use fidelity::{FidelityPlugin, measure_fidelity};
pub use geometry::{GeometryPlugin, measure_geometry};
pub use novelty::{NoveltyPlugin, NoveltySettings, score_novelty};
pub use record::{
    CheckpointRequested, Checkpoints, LiveEdits, RecordPlugin, StartInfo, record_checkpoint,
};
pub use resources::{
    ActiveExperiment, ActiveTask, Monitor, Policy, PolicyOptimizer, RunRecorder, Settings,
    StepCounter,
};
pub use sample::{ProblemCursor, SamplePlugin, SampledIn, sample_completions};
pub use schedule::{SampleRound, SinkSystems, StageSystems, TrainStep};
pub use semantic::{Encoder, SemanticPlugin, embed_responses};
pub use step_metrics::{DeclareMetrics, DeclaredMetrics, StepMetrics};
pub use tokens::{TokensPlugin, attribute_step_tokens};
pub use update::{EntropyCoefficient, KlCoefficient, Reference, UpdatePlugin, update_policy};
pub use verify::{VerifyPlugin, verify_completions};

use crate::metrics::MetricRow;
use crate::run::{RunState, Stage, StageProgress};
use bevy_app::{App, MainScheduleOrder, Plugin, PluginGroup, PluginGroupBuilder, Update};
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::{LogLevel, ScheduleBuildSettings, ScheduleLabel};
use schedule::Boundary;

/// Sets up the schedules [`TrainStep`] and [`SampleRound`]: order of stages, strictness, clock,
/// step counter.
pub struct PipelinePlugin;

impl Plugin for PipelinePlugin {
    fn build(&self, app: &mut App) {
        add_stages(app, TrainStep, &StageSystems::ALL);
        add_stages(app, SampleRound, &[Stage::Sample, Stage::Verify]);
        app.world_mut().resource_mut::<MainScheduleOrder>().insert_after(Update, TrainStep);
        app.init_resource::<StepCounter>()
            .init_resource::<StepMetrics>()
            .init_resource::<StageClock>();
        app.init_resource::<FeatureDemand>()
            .init_resource::<HiddenDemand>()
            .declare_metrics(clock::METRICS);
        app.configure_sets(
            TrainStep,
            (StageSystems::Record, Boundary::AfterLast, SinkSystems).chain(),
        );
        app.add_systems(TrainStep, begin_step.before(Boundary::Before(Stage::Sample)));
        app.add_systems(TrainStep, finish_step.in_set(Boundary::AfterLast));
    }
}

/// Puts `stages` in order in a schedule, with a look at the clock before each.
fn add_stages(app: &mut App, schedule: impl ScheduleLabel + Clone, stages: &[Stage]) {
    app.init_schedule(schedule.clone()).edit_schedule(schedule.clone(), |schedule| {
        schedule.set_build_settings(ScheduleBuildSettings {
            ambiguity_detection: LogLevel::Error,
            ..ScheduleBuildSettings::default()
        });
    });
    for &stage in stages {
        app.configure_sets(schedule.clone(), (Boundary::Before(stage), stage).chain());
        let enter = move |mut clock: ResMut<StageClock>, monitor: Res<Monitor>| {
            clock.enter(Some(stage));
            monitor.0.progress(StageProgress { stage: Some(stage), done: None });
        };
        app.add_systems(schedule.clone(), enter.in_set(Boundary::Before(stage)));
    }
    for pair in stages.windows(2) {
        app.configure_sets(schedule.clone(), (pair[0], Boundary::Before(pair[1])).chain());
    }
}

fn begin_step(
    mut step: ResMut<StepCounter>,
    mut metrics: ResMut<StepMetrics>,
    mut clock: ResMut<StageClock>,
    monitor: Res<Monitor>,
) {
    monitor.0.update(|snapshot| {
        // Now the base model has been evaluated.
        if snapshot.state == RunState::Starting {
            snapshot.state = RunState::Training;
        }
    });
    step.0 += 1;
    *clock = StageClock::default();
    metrics.0 = MetricRow { step: step.0, ..MetricRow::default() };
}

fn finish_step(mut clock: ResMut<StageClock>, monitor: Res<Monitor>) {
    clock.enter(None);
    let times = clock.times;
    monitor.0.update(|snapshot| {
        snapshot.progress = StageProgress::default();
        snapshot.stage_times = times;
    });
}

/// All built-in stages. A plugin group: stages can be disabled or replaced with its builder.
pub struct StagePlugins;

impl PluginGroup for StagePlugins {
    fn build(self) -> PluginGroupBuilder {
        PluginGroupBuilder::start::<Self>()
            .add(PipelinePlugin)
            .add(SamplePlugin)
            .add(VerifyPlugin)
            .add(FeaturesPlugin)
            .add(SemanticPlugin)
            .add(FidelityPlugin)
            .add(TokensPlugin)
            .add(NoveltyPlugin)
            .add(GeometryPlugin)
            .add(AdvantagePlugin)
            .add(UpdatePlugin)
            .add(EvaluatePlugin)
            .add(RecordPlugin)
    }
}
