//! The checkpoints in a run folder: whole or not there, with the experiment that held and the checksums of their files.

use super::config::Experiment;
use super::parse;
use super::run_dir::{LOGS, RunDir, list, record_step};
use crate::error::{Error, Result};
use crate::files::{self, checksums, space};
use std::fs;
use std::path::{Path, PathBuf};

/// The experiment as it held when a checkpoint was written, in the checkpoint's folder.
const EXPERIMENT: &str = "experiment.ron";

/// Folders with files of single steps.
pub(super) const RECORDS: [&str; 3] = ["rollouts", "geometry", "tokens"];

impl RunDir {
    /// The newest checkpoint: its step and folder.
    pub fn newest_checkpoint(&self) -> Result<(u64, PathBuf)> {
        let newest = self.checkpoint_steps()?.pop().ok_or_else(|| {
            Error::input(format!(
                "the run has no checkpoint to go on from ({}); start it again with `orthant run {}`",
                self.path().join("checkpoints").display(),
                self.path().join("experiment.ron").display()
            ))
        })?;
        Ok((newest, self.checkpoint_path(newest)))
    }

    /// The checkpoint after `step`: its step and folder.
    pub fn checkpoint(&self, step: u64) -> Result<(u64, PathBuf)> {
        let steps = self.checkpoint_steps()?;
        if steps.contains(&step) {
            return Ok((step, self.checkpoint_path(step)));
        }
        let known = match steps.as_slice() {
            [] => "it has none".to_string(),
            steps => format!("there are {}", steps.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
        };
        let place = self.path().display();
        Err(Error::input(format!("--from-step {step}: the run has no checkpoint of that step; {known} ({place})")))
    }

    /// Steps of the checkpoints, ascending.
    pub fn checkpoint_steps(&self) -> Result<Vec<u64>> {
        let mut steps: Vec<u64> = list(&self.path().join("checkpoints"))?
            .iter()
            .filter_map(|path| record_step(path.file_name()?.to_str()?, &[""]))
            .collect();
        steps.sort_unstable();
        Ok(steps)
    }

    fn checkpoint_path(&self, step: u64) -> PathBuf {
        self.path().join(format!("checkpoints/step_{step:06}"))
    }

    /// The experiment as it held when the checkpoint in `folder` was written; `None` where an older version wrote it.
    pub(crate) fn checkpoint_experiment(folder: &Path) -> Result<Option<Experiment>> {
        let path = folder.join(EXPERIMENT);
        if path.exists() { parse::read(&path).map(Some) } else { Ok(None) }
    }

    /// Makes `checkpoints/step_NNNNNN/` of about `bytes` bytes, its content written by `fill` into a temporary folder first. What a
    /// run that goes on from it relies on, logs and records up to the step, is on the disk before it gets its name. Returns its path.
    pub fn write_checkpoint(
        &self,
        step: u64,
        bytes: u64,
        experiment: &Experiment,
        fill: impl Fn(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let temporary = self.path().join(format!("checkpoints/.step_{step:06}.tmp"));
        self.persist(|| {
            let written = self.try_checkpoint(step, bytes, experiment, &temporary, &fill);
            if written.is_err() {
                // On a full disk it would only take up room.
                fs::remove_dir_all(&temporary).ok();
            }
            written
        })
    }

    fn try_checkpoint(
        &self,
        step: u64,
        bytes: u64,
        experiment: &Experiment,
        temporary: &Path,
        fill: &impl Fn(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let target = self.checkpoint_path(step);
        if temporary.exists() {
            fs::remove_dir_all(temporary).map_err(Error::io("removing a half-written checkpoint", temporary))?;
        }
        space::check(self.path(), bytes).map_err(Error::io("writing a checkpoint", &target))?;
        fs::create_dir(temporary).map_err(Error::io("making a checkpoint's folder", temporary))?;
        fill(temporary)?;
        let path = temporary.join(EXPERIMENT);
        fs::write(&path, format!("{}\n", parse::to_text(experiment)?))
            .map_err(Error::io("writing the experiment", &path))?;
        checksums::write(temporary)?;
        for path in list(temporary)? {
            sync(&path)?;
        }
        sync(temporary)?;
        self.sync_records(step)?;
        if target.exists() {
            fs::remove_dir_all(&target).map_err(Error::io("replacing a checkpoint", &target))?;
        }
        fs::rename(temporary, &target).map_err(Error::io("putting a checkpoint in place", &target))?;
        sync(&self.path().join("checkpoints"))?;
        Ok(target)
    }

    /// Brings the logs, and the records since the checkpoint before `step`, to the disk.
    fn sync_records(&self, step: u64) -> Result<()> {
        let before = self.checkpoint_steps()?.into_iter().filter(|&at| at < step).max().unwrap_or(0);
        for folder in RECORDS.map(|folder| self.path().join(folder)) {
            for path in list(&folder)? {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if record_step(name, &[".jsonl", ".safetensors"]).is_some_and(|at| at > before) {
                    sync(&path)?;
                }
            }
            if folder.is_dir() {
                sync(&folder)?;
            }
        }
        self.sync_logs()
    }

    /// Brings the logs to the disk.
    pub(crate) fn sync_logs(&self) -> Result<()> {
        for path in LOGS.map(|name| self.path().join(name)) {
            if path.is_file() {
                sync(&path)?;
            }
        }
        sync(self.path())
    }
}

fn sync(path: &Path) -> Result<()> {
    files::sync(path).map_err(Error::io("syncing to disk", path))
}
