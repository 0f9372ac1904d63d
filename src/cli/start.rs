//! `orthant` without a command: the desktop, with experiments to start and runs to look at.

use super::WindowArguments;
use super::run::stop_on_interrupt;
use super::terminal::note;
use crate::dashboard::{self, Places, StartedRuns, WindowEnd};
use crate::error::{Error, Result};
use crate::trainer::{Run, RunEnd, TrainerCommand};
use clap::Args;
use std::path::PathBuf;
use std::sync::{MutexGuard, PoisonError};

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
    let places = Places { experiments: arguments.experiments, runs: arguments.runs };
    let runs = StartedRuns::clone(&started);
    stop_on_interrupt(move || lock(&runs).iter().map(|run| run.handle.clone()).collect())?;
    let runs = StartedRuns::clone(&started);
    Ok(dashboard::open_start(places, started, arguments.window.options(), move |end| {
        super::status(conclude(end, std::mem::take(&mut *lock(&runs))))
    }))
}

fn lock(runs: &StartedRuns) -> MutexGuard<'_, Vec<Run>> {
    runs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for the ends of runs that the window started. Those whose window was closed have been told to stop.
fn conclude(end: WindowEnd, runs: Vec<Run>) -> Result<u8> {
    if let WindowEnd::Lost(error) = &end {
        for run in &runs {
            let snapshot = run.handle.snapshots.load();
            if !snapshot.state.is_over() && run.handle.send(TrainerCommand::WindowLost) {
                note!(
                    "{error}; the run in {} goes on until it ends or Ctrl-C is pressed",
                    snapshot.info.directory.display()
                );
            }
        }
    }
    // All are waited for before the first error ends the program.
    let ends: Vec<Result<RunEnd>> = runs.into_iter().map(Run::join).collect();
    ends.into_iter().collect::<Result<Vec<_>>>()?;
    end.into_result().map(|()| 0)
}
