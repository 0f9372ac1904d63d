//! `orthant` without a command: the desktop, with experiments to start and runs to look at.

use super::WindowArguments;
use crate::dashboard::{self, Places};
use crate::error::{Error, Result};
use clap::Args;
use std::path::PathBuf;

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
    let options = arguments.window.options();
    dashboard::open_start(Places { experiments: arguments.experiments, runs: arguments.runs }, options)?;
    Ok(0)
}
