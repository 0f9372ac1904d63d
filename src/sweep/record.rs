//! `sweep.json`: what belongs to a sweep, and where each run stands.

use super::PlannedRun;
use crate::error::{Error, Result};
use crate::files::{self, SETTINGS_BYTES};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The content of `sweep.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepRecord {
    /// The sweep's name.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// All runs, in the order of the sweep.
    pub runs: Vec<SweepRun>,
}

/// A run of a sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepRun {
    /// Names it within the sweep.
    pub key: String,
    /// The key without the seed.
    pub variant: String,
    /// Its seed.
    pub seed: u64,
    /// Assignments to the experiment file.
    pub set: Vec<String>,
    /// The run folder, relative to the folder of `sweep.json`, once there is one.
    pub folder: Option<PathBuf>,
    /// Where it stands.
    pub state: RunState,
    /// Steps finished.
    pub step: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where a run of a sweep stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It has not begun, or was interrupted and will continue.
    Waiting,
    /// Its process is at work.
    Running,
    /// All steps are done.
    Finished,
    /// It ended with an error.
    Failed,
}

impl SweepRun {
    /// What there is of a run that has not begun.
    pub(super) fn waiting(run: &PlannedRun) -> Self {
        Self {
            key: run.key.clone(),
            variant: run.variant.clone(),
            seed: run.seed,
            set: run.set.clone(),
            folder: None,
            state: RunState::Waiting,
            step: 0,
            reason: None,
        }
    }
}

impl SweepRecord {
    /// The file in a sweep's folder.
    pub const FILE: &'static str = "sweep.json";

    /// Reads the record in a sweep's folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(Self::FILE);
        let text = files::read_text(&path, SETTINGS_BYTES)
            .map_err(|e| Error::input(format!("cannot read it: {e} ({})", path.display())))?;
        serde_json::from_str(&text).map_err(|e| {
            Error::input(format!("this is not a sweep's record: {e} ({})", path.display()))
        })
    }

    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(Self::FILE);
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::failed(format!("cannot write {}: {e}", Self::FILE)))?;
        files::write_whole(&path, format!("{text}\n").as_bytes())
            .map_err(Error::io("writing the record of a sweep", &path))
    }
}
