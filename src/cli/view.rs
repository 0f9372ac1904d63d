//! `orthant view RUN_DIR`: the dashboard on a run folder, of a run that is over or that another process is writing.

use crate::dashboard::{self, DashboardOptions, Screenshot};
use crate::error::{Error, Result};
use crate::trainer::WatchedRun;
use clap::Args;
use std::path::PathBuf;

/// Opens the dashboard on a run folder: a finished run, or one that is still going on.
#[derive(Args)]
#[command(after_help = "Example: orthant view runs/quickstart-s0-20260101T120000Z")]
pub(super) struct ViewArguments {
    /// The folder that `orthant run` made. It is only read.
    #[arg(value_name = "RUN_DIR")]
    run: PathBuf,
    /// Saves a picture of the dashboard and closes it.
    #[arg(long, value_name = "FILE.png", requires = "after_step")]
    screenshot: Option<PathBuf>,
    /// The step that the picture shows; a run that is going on is waited for.
    #[arg(long, value_name = "N", requires = "screenshot")]
    after_step: Option<u64>,
}

pub(super) fn run(arguments: &ViewArguments) -> Result<u8> {
    let watched = WatchedRun::open(&arguments.run)?;
    if !dashboard::display_available() {
        return Err(Error::input(
            "no display found to open a window on; run `orthant view` where there is one (over ssh: ssh -X), or save a \
             picture with `xvfb-run orthant view RUN_DIR --screenshot FILE.png --after-step N`",
        ));
    }
    let screenshot = arguments.screenshot.clone().zip(arguments.after_step);
    let options = DashboardOptions { screenshot: screenshot.map(|(path, after_step)| Screenshot { path, after_step }) };
    dashboard::open_folder(&watched, options)?;
    Ok(0)
}
