//! Steps until the end, and the commands that are carried out between them.

use super::end::RunEnd;
use super::orders::Orders;
use super::resume::with_edit;
use crate::error::{Error, Result};
use crate::run::{
    Event, EventKind, LiveSetting, Refusal, RunState, SettingEdit, SnapshotCell, TrainerCommand,
};
use crate::stages::{
    ActiveExperiment, CheckpointRequested, LiveEdits, RunRecorder, StepCounter, record_checkpoint,
};
use bevy_app::App;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Whether there is a step to make, or a command to wait for.
#[derive(Default)]
struct Pace {
    paused: bool,
    /// One step is to be made all the same.
    single: bool,
}

impl Pace {
    fn waits(&self) -> bool {
        self.paused && !self.single
    }
}

/// Runs steps until the end, carrying out commands between them.
pub(super) fn drive(app: &mut App, snapshots: &SnapshotCell, orders: &Orders) -> Result<RunEnd> {
    let last = app.world().resource::<ActiveExperiment>().0.stop.steps;
    let mut pace = Pace::default();
    while app.world().resource::<StepCounter>().0 < last {
        tell_wait(app, snapshots, orders)?;
        // A paused trainer waits for a command; a running one only looks.
        match if pace.waits() { orders.wait() } else { orders.now() } {
            Some(command) => {
                if carry_out(app, snapshots, &mut pace, command)?.is_break() {
                    return Ok(RunEnd::Stopped);
                }
            }
            None if pace.waits() => return Ok(RunEnd::Stopped), // nobody is left who could resume
            None => {
                pace.single = false;
                app.update();
            }
        }
    }
    Ok(RunEnd::Finished)
}

/// Carries out a command between steps; breaks off where that stops the run.
fn carry_out(
    app: &mut App,
    snapshots: &SnapshotCell,
    pace: &mut Pace,
    command: TrainerCommand,
) -> Result<ControlFlow<()>> {
    match command {
        TrainerCommand::Pause => {
            pace.paused = true;
            note(app, snapshots, EventKind::Paused, RunState::Paused)?;
        }
        TrainerCommand::Resume => {
            pace.paused = false;
            note(app, snapshots, EventKind::Resumed, RunState::Training)?;
        }
        TrainerCommand::StepOnce => pace.single = true,
        TrainerCommand::Checkpoint if pace.paused => save(app)?,
        TrainerCommand::Checkpoint => {
            app.world_mut().resource_mut::<CheckpointRequested>().0 = true;
        }
        TrainerCommand::Set(setting, value) => set_live(app, snapshots, setting, value)?,
        TrainerCommand::Stop => {
            save(app)?;
            return Ok(ControlFlow::Break(()));
        }
        TrainerCommand::WindowLost => return without_window(app, snapshots, pace.paused),
    }
    Ok(ControlFlow::Continue(()))
}

/// Continues where the window is gone. A paused run stops, for nobody could resume it.
fn without_window(
    app: &mut App,
    snapshots: &SnapshotCell,
    paused: bool,
) -> Result<ControlFlow<()>> {
    let what = if paused {
        "saved and stopped, because it was paused"
    } else {
        "continues without a window"
    };
    warn(app, snapshots, format!("the window is gone; the run {what}"))?;
    if paused {
        save(app)?;
        return Ok(ControlFlow::Break(()));
    }
    Ok(ControlFlow::Continue(()))
}

fn note(app: &mut App, snapshots: &SnapshotCell, kind: EventKind, state: RunState) -> Result<()> {
    let step = app.world().resource::<StepCounter>().0;
    snapshots.update(|snapshot| snapshot.state = state);
    record_event(app, snapshots, Event::now(step, kind, ""))
}

/// Records a warning.
pub(super) fn warn(app: &App, snapshots: &SnapshotCell, text: String) -> Result<()> {
    let step = app.world().resource::<StepCounter>().0;
    record_event(app, snapshots, Event::warning(step, text))
}

/// Records that the run waited for room, now that it has some.
fn tell_wait(app: &App, snapshots: &SnapshotCell, orders: &Orders) -> Result<()> {
    orders.waited().map_or(Ok(()), |text| warn(app, snapshots, text))
}

fn record_event(app: &App, snapshots: &SnapshotCell, event: Event) -> Result<()> {
    app.world().resource::<RunRecorder>().0.append_event(&event)?;
    snapshots.update(|snapshot| snapshot.take_in(event));
    Ok(())
}

/// Changes a setting from the next step on. What cannot be is a warning, and the run continues as
/// it was.
fn set_live(
    app: &mut App,
    snapshots: &SnapshotCell,
    setting: LiveSetting,
    value: f64,
) -> Result<()> {
    let step = app.world().resource::<StepCounter>().0;
    let experiment = &app.world().resource::<ActiveExperiment>().0;
    let path = setting.path();
    let is_offered = setting.is_offered(&snapshots.load().info.experiment);
    let tried = match setting.of(experiment).filter(|_| is_offered) {
        Some(from) if from.to_bits() == value.to_bits() => return Ok(()),
        Some(from) => setting.changed(experiment, value).map(|experiment| (from, experiment)),
        None => Err(Error::input(format!("this run has no {path} that could be changed"))),
    };
    let (from, experiment) = match tried {
        Ok(tried) => tried,
        Err(error) => {
            let refusal = Refusal { setting, reason: error.to_string() };
            snapshots
                .update(|snapshot| Arc::make_mut(&mut snapshot.refusals).push(refusal.clone()));
            return warn(app, snapshots, refusal.to_string());
        }
    };
    let world = app.world_mut();
    world.resource_mut::<ActiveExperiment>().0 = experiment;
    setting.apply(world, value);
    let (from, to) = (setting.json(from), setting.json(value));
    let edit = SettingEdit { path: path.into(), from, to };
    let edits = &mut world.resource_mut::<LiveEdits>().0;
    *edits = with_edit(std::mem::take(edits), edit.clone());
    record_event(app, snapshots, Event::edited(step, edit))
}

/// Writes a checkpoint between steps. Before the first step there is nothing to save.
fn save(app: &mut App) -> Result<()> {
    if app.world().resource::<StepCounter>().0 == 0 {
        return Ok(());
    }
    match app.world_mut().run_system_cached::<bevy_ecs::error::Result, _, _>(record_checkpoint) {
        Ok(result) => result.map_err(|error| Error::failed(error.to_string().trim())),
        Err(error) => Err(Error::failed(format!("cannot write a checkpoint: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{RunDir, RunHandle, RunInfo, RunSnapshot};
    use std::time::Duration;

    #[test]
    fn waiting_for_room_is_an_event_once_there_is_some() {
        let folder = tempfile::tempdir().unwrap();
        let mut app = App::new();
        app.insert_resource(StepCounter(3)).insert_resource(RunRecorder(RunDir::at(folder.path())));
        let (handle, receiver) = RunHandle::new(RunSnapshot::starting(RunInfo::small()));
        let orders = Orders::new(receiver);
        tell_wait(&app, &handle.snapshots, &orders).unwrap();
        orders.add_wait("writing failed", Duration::from_secs(30));
        orders.add_wait("again", Duration::from_secs(12));
        tell_wait(&app, &handle.snapshots, &orders).unwrap();
        tell_wait(&app, &handle.snapshots, &orders).unwrap();
        let [event] = &RunDir::at(folder.path()).read_events().unwrap()[..] else {
            panic!("one event")
        };
        let text = "writing failed; the run waited 42 s until it could be written";
        assert_eq!((event.step, &event.kind, event.text.as_str()), (3, &EventKind::Warning, text));
        assert_eq!(handle.snapshots.load().warnings.as_slice(), [(3, text.to_string())]);
    }
}
