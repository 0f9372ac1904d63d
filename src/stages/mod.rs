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
mod sample;
mod semantic;
mod tokens;
mod update;
mod verify;

pub use advantage::{AdvantagePlugin, center_group_advantages};
pub use clock::StageClock;
pub use curriculum::{Curriculum, CurriculumPlugin};
pub use dynamic::DynamicSamplingPlugin;
pub use evaluate::{EvaluatePlugin, Evaluations, Suites};
pub use features::{
    FeatureDemand, FeatureWeights, FeaturesPlugin, compute_features, features_are_wanted,
};
pub use fidelity::{FidelityPlugin, measure_fidelity};
pub use geometry::{GeometryPlugin, measure_geometry};
pub use metrics::{DeclareMetrics, DeclaredMetrics};
pub use novelty::{NoveltyPlugin, NoveltySettings, score_novelty};
pub use record::{
    CheckpointRequested, Checkpoints, LiveEdits, RecordPlugin, RunRecorder, StartInfo,
    record_checkpoint,
};
pub use sample::{ProblemCursor, SamplePlugin, sample_completions};
pub use semantic::{Encoder, SemanticPlugin, embed_responses};
pub use tokens::{TokensPlugin, attribute_step_tokens};
pub use update::{EntropyCoefficient, KlCoefficient, Reference, UpdatePlugin, update_policy};
pub use verify::{VerifyPlugin, verify_completions};

/// The stages as system sets of [`TrainStep`], chained in pipeline order.
pub use crate::run::Stage as StageSystems;

use crate::error::Error;
use crate::experiment::{Experiment, Method};
use crate::metrics::{Metric, MetricRow};
use crate::model::LanguageModel;
use crate::optim::AdamW;
use crate::run::{Event, RunState, SnapshotCell, Stage, StageProgress};
use crate::tasks::Task;
use bevy_app::{App, MainScheduleOrder, Plugin, PluginGroup, PluginGroupBuilder, Update};
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::{LogLevel, ScheduleBuildSettings, ScheduleLabel};
use bevy_ecs::system::SystemParam;
use std::marker::PhantomData;
use std::sync::Arc;

/// The schedule of one training step.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TrainStep;

/// The stages Sample and Verify once more within a step, for the further groups of dynamic sampling
/// (`rollout.dynamic`). Systems that change what is sampled or how it is judged belong here as well
/// as in [`TrainStep`].
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SampleRound;

/// What is done with a step's numbers after they have been recorded: plugins that send them
/// elsewhere add their systems here and read [`StepMetrics`].
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SinkSystems;

/// The moments between stages, where the clock is read.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Boundary {
    Before(Stage),
    AfterLast,
}

/// The experiment that is run.
#[derive(Resource, Clone)]
pub struct ActiveExperiment(pub Experiment);

/// A method's settings as they are now, for its systems: what is changed while the run continues
/// holds from the next step on.
#[derive(SystemParam)]
pub struct Settings<'w, M: Method> {
    experiment: Res<'w, ActiveExperiment>,
    method: PhantomData<M>,
}

impl<M: Method> Settings<'_, M> {
    /// The settings. Fails where the experiment has another method.
    pub fn get(&self) -> crate::error::Result<&M> {
        let method = &self.experiment.0.method;
        method.get().ok_or_else(|| {
            let (own, other) = (M::LABEL, method.label());
            Error::failed(format!("a system of {own} runs in an experiment with {other}"))
        })
    }
}

/// The task that is trained on.
#[derive(Resource, Clone)]
pub struct ActiveTask(pub Arc<dyn Task>);

/// The policy.
#[derive(Resource)]
pub struct Policy(pub LanguageModel);

/// The policy's optimizer.
#[derive(Resource)]
pub struct PolicyOptimizer(pub AdamW);

/// The step that is running, from 1; between steps, the last one finished.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepCounter(pub u64);

/// The metrics of the running step.
#[derive(Resource, Default)]
pub struct StepMetrics(pub MetricRow);

impl StepMetrics {
    /// Sets a metric of the running step.
    pub fn set(&mut self, metric: &'static Metric, value: f64) {
        self.0.values.retain(|(known, _)| known.name != metric.name);
        self.0.values.push((metric, value));
    }
}

/// Where the stages tell the outside how far they are.
#[derive(Resource, Clone)]
pub struct Monitor(pub SnapshotCell);

impl Monitor {
    /// Reports the share of the running stage that is done, at most every hundredth.
    pub fn report(&self, stage: Stage, last: &mut f32, done: f32) {
        if done - *last >= 0.01 {
            *last = done;
            self.0.progress(StageProgress { stage: Some(stage), done: Some(done) });
        }
    }
}

/// Records something that a person should know about, and shows it.
fn warn(
    recorder: &RunRecorder,
    monitor: &Monitor,
    step: u64,
    text: String,
) -> crate::error::Result<()> {
    let event = Event::warning(step, text);
    recorder.0.append_event(&event)?;
    monitor.0.update(|snapshot| snapshot.take_in(event));
    Ok(())
}

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
        app.init_resource::<FeatureDemand>().declare_metrics(clock::METRICS);
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

/// Arithmetic mean; 0 for none.
fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) =
        values.into_iter().fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / count as f64 }
}
