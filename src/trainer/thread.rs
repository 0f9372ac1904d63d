//! The trainer's thread: the app, its end, and how an error leaves the schedule.

use super::commands::{drive, warn};
use super::end::{RunEnd, panicked};
use super::orders::Orders;
use super::past::Past;
use super::policy::FrozenBase;
use super::run::Brought;
use crate::error::{Error, Result};
use crate::evaluation::Suite;
use crate::experiment::Experiment;
use crate::files::lock::FolderLock;
use crate::guard;
use crate::kernels::{flush_subnormals, trim_gpu_memory};
use crate::metrics::Metric;
use crate::model::LanguageModel;
use crate::optim::AdamW;
use crate::run::{
    Event, EventKind, Manifest, RecordedState, RunDir, RunState, SnapshotCell, TrainerState,
};
use crate::stages::{
    ActiveExperiment, ActiveTask, Checkpoints, Curriculum, CurriculumPlugin, DeclaredMetrics,
    DynamicSamplingPlugin, Encoder, Evaluations, KlCoefficient, LiveEdits, Monitor, Policy,
    PolicyOptimizer, ProblemCursor, Reference, RunRecorder, SampleRound, StagePlugins, StartInfo,
    StepCounter, Suites, TrainStep,
};
use crate::tasks::Task;
use bevy_app::{App, PluginGroup};
use bevy_ecs::error::{BevyError, ErrorContext};
use bevy_ecs::schedule::ScheduleLabel;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Instant;

/// What the trainer's thread takes over.
pub(super) struct Trained {
    pub(super) experiment: Experiment,
    pub(super) task: Arc<dyn Task>,
    pub(super) suites: Vec<Suite>,
    pub(super) model: LanguageModel,
    pub(super) frozen: FrozenBase,
    pub(super) optimizer: AdamW,
    pub(super) state: TrainerState,
    pub(super) directory: RunDir,
    pub(super) manifest: Manifest,
    pub(super) past: Past,
    pub(super) brought: Brought,
}

/// The body of the trainer's thread. Whatever happens, the snapshot, the manifest and the events
/// say how it ended.
pub(super) fn train(
    trained: Trained,
    lock: FolderLock,
    snapshots: &SnapshotCell,
    orders: &Orders,
) -> Result<RunEnd> {
    flush_subnormals();
    let mut manifest = trained.manifest.clone();
    let directory = trained.directory.clone();
    let device = trained.model.trainable.device().clone();
    let result = guard::unwound(|| {
        let mut app = build_app(trained, snapshots);
        let declared = &app.world().resource::<DeclaredMetrics>().0;
        check_names(declared)?;
        if let Some(text) = directory.keep_declarations(declared)? {
            warn(&app, snapshots, text)?;
        }
        check_order(&mut app)?;
        drive(&mut app, snapshots, orders)
    })
    .unwrap_or_else(|payload| {
        Err(match payload.downcast::<StageFailure>() {
            Ok(failure) => Error::Stage { stage: failure.system, message: failure.message },
            Err(payload) => Error::failed(panicked(payload.as_ref())),
        })
    });
    let (state, recorded, kind, text) = match &result {
        Ok(RunEnd::Finished) => {
            (RunState::Finished, RecordedState::Finished, EventKind::Finished, String::new())
        }
        Ok(RunEnd::Stopped) => {
            (RunState::Stopped, RecordedState::Stopped, EventKind::Stopped, String::new())
        }
        Err(error) => {
            let message = error.to_string();
            (
                RunState::Failed { message: message.clone() },
                RecordedState::Failed,
                EventKind::Error,
                message,
            )
        }
    };
    let step = snapshots.load().step;
    manifest.step = step;
    manifest.state = recorded;
    let ended = Event::now(step, kind, text);
    // What comes between steps is recorded there.
    let waited = orders.waited().map(|text| Event::warning(step, text));
    // Each by itself: where one finds no room another may.
    let recorded = [
        waited.iter().try_for_each(|event| directory.append_event(event)),
        directory.append_event(&ended),
        directory.log(&format!("{} after step {step} {}", ended.kind.name(), ended.text)),
        directory.sync_logs(),
        directory.write_manifest(&manifest),
    ];
    let recorded = recorded.into_iter().collect::<Result<()>>();
    // Everything of the run is dropped by now. What cannot be given back stays for the next one.
    let _ignored = trim_gpu_memory(&device);
    // Whoever sees the end may continue with the run.
    drop(lock);
    snapshots.update(|snapshot| {
        waited.into_iter().chain([ended]).for_each(|event| snapshot.take_in(event));
        snapshot.state = state;
    });
    result.and_then(|end| recorded.map(|()| end))
}

fn build_app(trained: Trained, snapshots: &SnapshotCell) -> App {
    let mut app = App::new();
    app.set_error_handler(end_the_step)
        .insert_resource(ActiveTask(trained.task.clone()))
        .insert_resource(Suites(trained.suites))
        .insert_resource(Policy(trained.model))
        .insert_resource(PolicyOptimizer(trained.optimizer))
        .insert_resource(Monitor(snapshots.clone()))
        .insert_resource(RunRecorder(trained.directory))
        .insert_resource(StartInfo {
            started: Instant::now(),
            earlier_s: trained.past.rows.last().map_or(0.0, |row| row.wall_s),
        });
    if let Some(reference) = trained.frozen.reference {
        app.insert_resource(Reference(reference));
    }
    if let Some(encoder) = trained.frozen.encoder {
        app.insert_resource(Encoder(encoder));
    }
    app.add_plugins(
        trained
            .brought
            .stage_changes
            .into_iter()
            .fold(StagePlugins.build(), |group, change| change(group)),
    )
    .insert_resource(StepCounter(trained.past.step))
    .insert_resource(Evaluations(trained.past.evaluations))
    .insert_resource(Checkpoints(trained.past.checkpoints));
    let kl = &trained.experiment.objective.kl;
    let adapted = trained.state.kl_coefficient.filter(|_| kl.target.is_some());
    app.insert_resource(KlCoefficient(adapted.unwrap_or(kl.coefficient)));
    let rollout = &trained.experiment.rollout;
    // Checkpoints without a cursor are of runs in which every step dealt as many problems as it
    // kept.
    let dealt =
        trained.state.problems.unwrap_or(trained.state.step * rollout.prompts_per_step as u64);
    app.insert_resource(ProblemCursor(dealt));
    app.insert_resource(LiveEdits(trained.state.edits));
    if rollout.dynamic.is_some() {
        app.add_plugins(DynamicSamplingPlugin);
    }
    if let Some(config) = rollout.curriculum {
        let curriculum =
            Curriculum::new(config, trained.task.levels()).resumed(trained.state.solve_rates);
        app.add_plugins(CurriculumPlugin(curriculum));
    }
    trained.experiment.method.add_to(&mut app);
    app.insert_resource(ActiveExperiment(trained.experiment));
    for extension in trained.brought.extensions {
        extension(&mut app);
    }
    app.finish();
    app.cleanup();
    app
}

/// Refuses metrics whose names no reader of the run folder would take for a metric's.
fn check_names(declared: &[&Metric]) -> Result<()> {
    match declared.iter().find(|metric| !metric.name.contains('/')) {
        Some(metric) => Err(Error::failed(format!(
            "a plugin declares the metric `{}`; its name must be `area/name`",
            metric.name
        ))),
        None => Ok(()),
    }
}

/// Puts the systems of a step in order, before any work: two that touch the same data without an
/// order are an error.
fn check_order(app: &mut App) -> Result<()> {
    for label in [TrainStep.intern(), SampleRound.intern()] {
        app.world_mut().schedule_scope(label, |world, schedule| {
            match schedule.initialize(world) {
                Ok(_) => Ok(()),
                Err(error) => Err(Error::failed(format!(
                    "the systems of the training step cannot be put in order: {}",
                    error.to_string(schedule.graph(), world).trim()
                ))),
            }
        })?;
    }
    Ok(())
}

/// A system's error on its way out of the schedule.
struct StageFailure {
    system: String,
    message: String,
}

/// Leaves the schedule at once, so that no later stage runs, least of all the optimizer. Unwinding
/// without a panic keeps the terminal quiet; the error is shown once, by whoever waits for the run.
///
/// Every schedule on the way out calls this again; the first call has named the system.
fn end_the_step(mut error: BevyError, context: ErrorContext) {
    let message = match error.take_payload() {
        Some(payload) if payload.is::<StageFailure>() => resume_unwind(payload),
        Some(payload) => panicked(payload.as_ref()),
        None => error.to_string().trim().to_string(),
    };
    resume_unwind(Box::new(StageFailure { system: context.name().to_string(), message }));
}
