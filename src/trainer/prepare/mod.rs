//! Putting a run together, in phases: what is cheap to check comes before what is dear.
//!
//! ```text
//! resolve   the settings that hold: file, checkpoint, overrides, defaults; nothing is loaded
//! check     model files, task, suites, lengths of prompts; everything but the weights
//! plan      memory and disk: whether they suffice, and how memory is used
//! load      weights, policy, optimizer, what stays frozen; inputs by their hashes
//! spawn     the run folder, and the trainer's thread
//! ```

mod check;
mod load;
mod plan;
mod resolve;
mod spawn;

use super::run::{Run, RunBuilder};
use crate::error::Result;
use crate::stages::metrics;
use std::path::Path;

impl RunBuilder {
    /// Loads everything, makes the run folder under `runs`, and starts the trainer's thread. Bad
    /// input is found here.
    pub fn start(self, runs: &Path) -> Result<Run> {
        metrics::declare_built_in();
        resolve::resolve(self)?.check()?.plan(runs)?.load()?.spawn(runs)
    }
}
