//! `orthant` without a command: the desktop, with experiments to start and runs to look at.

use super::WindowArguments;
use super::run::stop_on_interrupt;
use super::terminal::note;
use crate::dashboard::{self, Places, StartedRuns, WindowEnd};
use crate::error::{Error, Result};
use crate::trainer::{Run, RunEnd, RunHandle, TrainerCommand};
use clap::Args;
use std::path::PathBuf;
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
            "no display found to open the desktop on; `orthant run EXPERIMENT.ron` trains without one, and `orthant --help` \
             lists the commands",
        ));
    }
    let started = StartedRuns::default();
    stop_on_interrupt(handles(&started))?;
    let places = Places { experiments: arguments.experiments, runs: arguments.runs };
    let (runs, options) = (StartedRuns::clone(&started), arguments.window.options());
    Ok(dashboard::open_start(places, started, options, move |end| super::status(conclude(end, &runs))))
}

/// What sends commands to the runs that a window started.
pub(super) fn handles(runs: &StartedRuns) -> impl Fn() -> Vec<RunHandle> + Send + 'static {
    let runs = StartedRuns::clone(runs);
    move || lock(&runs).iter().map(|run| run.handle.clone()).collect()
}

fn lock(runs: &StartedRuns) -> MutexGuard<'_, Vec<Run>> {
    runs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What comes after a window that has no run of its own: waits for those that were started in it.
pub(super) fn conclude(end: WindowEnd, runs: &StartedRuns) -> Result<u8> {
    let goes_on = matches!(&end, WindowEnd::Lost(error) if tell_of_loss(error, runs));
    wait(runs)?;
    if goes_on { Ok(0) } else { end.into_result().map(|()| 0) }
}

/// Tells runs that a window started that it is gone; says whether any goes on.
pub(super) fn tell_of_loss(error: &Error, runs: &StartedRuns) -> bool {
    let mut goes_on = false;
    for run in lock(runs).iter() {
        let snapshot = run.handle.snapshots.load();
        if !snapshot.state.is_over() && run.handle.send(TrainerCommand::WindowLost) {
            goes_on = true;
            let folder = snapshot.info.directory.display();
            note!("{error}; the run in {folder} goes on until it ends or Ctrl-C is pressed");
        }
    }
    goes_on
}

/// Waits for runs that a window started, for all of them before the first error. Those whose window was closed have been told to stop.
pub(super) fn wait(runs: &StartedRuns) -> Result<()> {
    // Interrupts still reach them, so they stay where they are until they are over.
    while lock(runs).iter().any(|run| !run.handle.snapshots.load().state.is_over()) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let runs = std::mem::take(&mut *lock(runs));
    let ends: Vec<Result<RunEnd>> = runs.into_iter().map(Run::join).collect();
    ends.into_iter().collect::<Result<Vec<_>>>().map(drop)
}
