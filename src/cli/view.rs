//! `orthant view RUN_DIR...`: the dashboard on run folders, of runs that are over or that other
//! processes are writing.

use super::arguments::WindowArguments;
use super::interrupt::stop_on_interrupt;
use super::start;
use super::terminal::status;
use crate::dashboard::{self, StartedRuns};
use crate::error::{Error, Result};
use crate::run::WatchedRun;
use clap::Args;
use std::path::PathBuf;

/// Opens the dashboard on run folders: finished runs, or runs that are still under way, several
/// side by side.
#[derive(Args)]
#[command(after_help = "Example: orthant view runs/quickstart-s0-20260101T120000Z")]
pub(super) struct ViewArguments {
    /// The folders that `orthant run` made. They are only read.
    #[arg(value_name = "RUN_DIR", required = true)]
    runs: Vec<PathBuf>,
    #[command(flatten)]
    window: WindowArguments,
}

pub(super) fn run(arguments: &ViewArguments) -> Result<u8> {
    let runs =
        arguments.runs.iter().map(|folder| WatchedRun::open(folder)).collect::<Result<Vec<_>>>()?;
    if !dashboard::display_available() {
        return Err(Error::input(
            "no display found to open a window on; run `orthant view` where there is one (over \
             ssh: ssh -X), or save a picture with `xvfb-run orthant view RUN_DIR --screenshot \
             FILE.png`",
        ));
    }
    let started = StartedRuns::default();
    let interrupted = stop_on_interrupt(start::handles(&started))?;
    let (others, options) = (StartedRuns::clone(&started), arguments.window.options(&interrupted));
    let conclude = move |end| status(start::conclude(end, &others, &interrupted));
    Ok(dashboard::open_folders(runs, started, options, conclude))
}
