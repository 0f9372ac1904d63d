//! The checkpoints in a run folder: whole or not there, with the experiment that held and the
//! checksums of their files.

use super::RunDir;
use super::listing::{list, record_step};
use super::names::LOGS;
use crate::error::{Error, Result};
use crate::experiment::{self, Experiment};
use crate::files::{self, checksums, space, staging};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The experiment as it held when a checkpoint was written, in the checkpoint's folder.
const EXPERIMENT: &str = "experiment.ron";

/// Folders with files of single steps.
pub(super) const RECORDS: [&str; 3] = ["rollouts", "geometry", "tokens"];

impl Experiment {
    /// How many checkpoints a run writes after `step`.
    pub(crate) fn checkpoints_after(&self, step: u64) -> u64 {
        match self.record.checkpoint_every.0 {
            0 => 1,
            _ if step >= self.stop.steps => 0,
            // Those that are due, and the last one where it is not.
            every => {
                let last = self.stop.steps;
                last / every - step / every + u64::from(!last.is_multiple_of(every))
            }
        }
    }
}

impl RunDir {
    /// The newest checkpoint: its step and folder.
    pub fn newest_checkpoint(&self) -> Result<(u64, PathBuf)> {
        let newest = self.checkpoint_steps()?.pop().ok_or_else(|| {
            Error::input(format!(
                "the run has no checkpoint to continue from ({}); start it again with `orthant run \
                 {}`",
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
            steps => format!(
                "there are {}",
                steps.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
            ),
        };
        let place = self.path().display();
        Err(Error::input(format!(
            "--from-step {step}: the run has no checkpoint of that step; {known} ({place})"
        )))
    }

    /// Steps of the checkpoints, ascending. One that a kill left without its name, because it was
    /// being replaced, counts: whoever continues the run gives it its name back.
    pub fn checkpoint_steps(&self) -> Result<Vec<u64>> {
        let step = |path: &PathBuf| {
            let name = path.file_name()?.to_str()?;
            record_step(name, &[""]).or_else(|| step_before(name))
        };
        let steps: BTreeSet<u64> =
            list(&self.path().join("checkpoints"))?.iter().filter_map(step).collect();
        Ok(steps.into_iter().collect())
    }

    /// Gives checkpoints their names back that a kill left without, while they were replaced.
    pub(crate) fn restore_checkpoints(&self) -> Result<()> {
        let folder = self.path().join("checkpoints");
        for path in list(&folder)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(step) = step_before(name) {
                let restored = staging::restore(&self.checkpoint_path(step));
                restored.map_err(Error::io("giving a checkpoint its name back", &path))?;
            }
        }
        Ok(())
    }

    fn checkpoint_path(&self, step: u64) -> PathBuf {
        self.path().join(format!("checkpoints/step_{step:06}"))
    }

    /// Whether a version of the program wrote the checkpoint in `folder` that had neither checksums
    /// nor the experiment in it.
    pub(crate) fn is_checkpoint_of_older_version(folder: &Path) -> bool {
        [EXPERIMENT, checksums::CHECKSUMS].iter().all(|name| !folder.join(name).exists())
    }

    /// The experiment as it held when the checkpoint in `folder` was written; `None` where an older
    /// version wrote it.
    pub(crate) fn checkpoint_experiment(folder: &Path) -> Result<Option<Experiment>> {
        let path = folder.join(EXPERIMENT);
        if path.exists() { experiment::read(&path).map(Some) } else { Ok(None) }
    }

    /// Makes `checkpoints/step_NNNNNN/`, its content written by `fill` into a temporary folder
    /// first. What a run that continues from it relies on, logs and records up to the step, is on
    /// the disk before it gets its name. Returns its path.
    pub fn write_checkpoint(
        &self,
        step: u64,
        experiment: &Experiment,
        fill: impl Fn(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let target = self.checkpoint_path(step);
        let text = format!("{}\n", experiment::to_text(experiment)?);
        self.persist(|| {
            space::check(self.path(), self.checkpoint_bytes())
                .map_err(Error::io("writing a checkpoint", &target))?;
            staging::replace(&target, |folder| {
                fill(folder)?;
                let path = folder.join(EXPERIMENT);
                fs::write(&path, &text).map_err(Error::io("writing the experiment", &path))?;
                checksums::write(folder)?;
                self.sync_records(step)
            })
        })?;
        Ok(target)
    }

    /// Brings the logs, and the records since the checkpoint before `step`, to the disk.
    fn sync_records(&self, step: u64) -> Result<()> {
        let before =
            self.checkpoint_steps()?.into_iter().filter(|&at| at < step).max().unwrap_or(0);
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

/// N, where `name` is that of the checkpoint of step N while another one is put in its place.
fn step_before(name: &str) -> Option<u64> {
    record_step(name.strip_prefix('.')?, &[staging::BEFORE])
}

fn sync(path: &Path) -> Result<()> {
    files::sync(path).map_err(Error::io("syncing to disk", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Every;
    use crate::files::trace;
    use crate::run::folder::tests::experiment;
    use crate::run::{Event, EventKind};

    #[test]
    fn as_many_checkpoints_are_counted_as_are_written() {
        let mut experiment = experiment();
        for every in 0..=12 {
            experiment.record.checkpoint_every = Every(every);
            for last in 1..=30 {
                experiment.stop.steps = last;
                for step in 0..last {
                    let written = (step + 1..=last)
                        .filter(|&at| Every(every).is_due(at) || at == last)
                        .count();
                    assert_eq!(
                        experiment.checkpoints_after(step),
                        written as u64,
                        "{step} to {last}, every {every}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_checkpoint_without_its_name_counts_before_it_gets_it_back() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment()).unwrap();
        for name in [
            "step_000002",
            "step_000003",
            ".step_000003.before",
            ".step_000004.before",
            ".step_000005.tmp",
        ] {
            fs::create_dir(run.path().join("checkpoints").join(name)).unwrap();
        }
        assert_eq!(run.checkpoint_steps().unwrap(), [2, 3, 4]);
        run.restore_checkpoints().unwrap();
        assert_eq!(run.checkpoint_steps().unwrap(), [2, 3, 4]);
        assert!(run.newest_checkpoint().unwrap().1.exists());
    }

    #[test]
    fn what_a_checkpoint_counts_on_is_on_the_disk_before_it_gets_its_name() {
        let experiment = experiment();
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment).unwrap();
        let checkpoint = |step: u64| {
            let fill = |folder: &Path| {
                fs::write(folder.join("model.safetensors"), "x").unwrap();
                Ok(())
            };
            trace::of(run.path(), || drop(run.write_checkpoint(step, &experiment, fill).unwrap()))
        };
        let record = |step: u64| run.write_rollouts(step, &[]).unwrap();
        run.append_event(&Event::now(0, EventKind::Started, "")).unwrap();
        (1..=2).for_each(record);
        let done = checkpoint(2);
        let place = |line: &str| {
            done.iter()
                .position(|known| known == line)
                .unwrap_or_else(|| panic!("{line}: {done:?}"))
        };
        let named = place("rename checkpoints/step_000002");
        for line in [
            "sync checkpoints/.step_000002.tmp/model.safetensors",
            "sync checkpoints/.step_000002.tmp/experiment.ron",
            "sync checkpoints/.step_000002.tmp/SHA256SUMS",
            "sync checkpoints/.step_000002.tmp",
            "sync rollouts/step_000001.jsonl",
            "sync rollouts/step_000002.jsonl",
            "sync rollouts",
            "sync events.jsonl",
        ] {
            assert!(place(line) < named, "{line}");
        }
        assert!(place("sync checkpoints") > named);
        // Only what is new since.
        (3..=4).for_each(record);
        let done = checkpoint(4);
        let records: Vec<&String> = done.iter().filter(|line| line.contains("rollouts/")).collect();
        assert_eq!(records.len(), 2, "{done:?}");
    }
}
