//! `orthant` without a command: the desktop, with experiments to start and runs to look at.

use super::arguments::WindowArguments;
use super::ends::{Ended, tell_of_ends};
use super::interrupt::{INTERRUPTED, stop_on_interrupt};
use super::terminal::{note, status};
use crate::dashboard::{self, Places, StartedRuns, WindowEnd};
use crate::error::{Error, Result};
use crate::run::{RunHandle, RunState, TrainerCommand};
use crate::trainer::Run;
use clap::Args;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

/// Where the start screen looks.
#[derive(Args)]
pub(super) struct StartArguments {
    /// The folder of experiment files.
    #[arg(long, value_name = "DIR", default_value = "experiments")]
    experiments: PathBuf,
    /// The folder of run folders.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    #[command(flatten)]
    window: WindowArguments,
}

pub(super) fn run(arguments: StartArguments) -> Result<u8> {
    if !dashboard::display_available() {
        return Err(Error::input(
            "no display found to open the desktop on; `orthant run EXPERIMENT.ron` trains without \
             one, and `orthant --help` lists the commands",
        ));
    }
    let started = StartedRuns::default();
    let interrupted = stop_on_interrupt(handles(&started))?;
    let places = Places { experiments: arguments.experiments, runs: arguments.runs };
    let (runs, options) = (StartedRuns::clone(&started), arguments.window.options(&interrupted));
    let conclude = move |end| status(conclude(end, &runs, &interrupted));
    Ok(dashboard::open_start(places, started, options, conclude))
}

/// What sends commands to the runs that a window started.
pub(super) fn handles(runs: &StartedRuns) -> impl Fn() -> Vec<RunHandle> + Send + 'static {
    let runs = StartedRuns::clone(runs);
    move || lock(&runs).iter().map(|run| run.handle.clone()).collect()
}

/// The handle of the run that a window started as its `place`-th, where it has started so many.
pub(super) fn handle(runs: &StartedRuns, place: usize) -> Option<RunHandle> {
    lock(runs).get(place).map(|run| run.handle.clone())
}

fn lock(runs: &StartedRuns) -> MutexGuard<'_, Vec<Run>> {
    runs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What comes after a window that has no run of its own: waits for those that were started in it.
/// Gives the exit status.
pub(super) fn conclude(end: WindowEnd, runs: &StartedRuns, interrupted: &AtomicBool) -> Result<u8> {
    let continues = matches!(&end, WindowEnd::Lost(error) if tell_of_loss(error, runs));
    let was_stopped = tell_of_ends(None, wait(runs), false)?;
    let done = if continues { Ok(()) } else { end.into_result() };
    done.map(|()| if was_stopped && interrupted.load(Ordering::SeqCst) { INTERRUPTED } else { 0 })
}

/// Tells runs that a window started that it is gone; says whether any continues.
pub(super) fn tell_of_loss(error: &Error, runs: &StartedRuns) -> bool {
    lock(runs)
        .iter()
        .map(|run| tell_run_of_loss(error, &run.handle))
        .fold(false, |any, continues| any | continues)
}

/// Tells a run that its window is gone, and the person what becomes of it; says whether it took
/// note.
pub(super) fn tell_run_of_loss(error: &Error, run: &RunHandle) -> bool {
    let snapshot = run.snapshots.load();
    if snapshot.state.is_over() || !run.send(TrainerCommand::WindowLost) {
        return false;
    }
    let folder = snapshot.info.directory.display();
    if snapshot.state == RunState::Paused {
        note!("{error}; the run in {folder} was paused, so it is saved and stopped");
    } else {
        note!(
            "{error}; the run in {folder} continues, and is followed here until it ends or Ctrl-C \
             is pressed"
        );
    }
    true
}

/// Waits for runs that a window started. Those whose window was closed have been told to stop.
pub(super) fn wait(runs: &StartedRuns) -> Vec<Ended> {
    // Interrupts still reach them, so they stay where they are until they are over.
    while lock(runs).iter().any(|run| !run.handle.snapshots.load().state.is_over()) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let runs = std::mem::take(&mut *lock(runs));
    let join = |run: Run| {
        let snapshots = run.handle.snapshots.clone();
        let end = run.join();
        Ended { snapshot: snapshots.load(), end }
    };
    runs.into_iter().map(join).collect()
}
