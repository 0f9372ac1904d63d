//! The run folder: what is where in it. Records of steps are in `step`, checkpoints in
//! `checkpoint`, logs in `logs`.
//!
//! Lines are appended as they come; whole files and checkpoints are written under a temporary name
//! and renamed, so that they are there whole or not at all. A checkpoint gets its name when it, and
//! all logs and records up to its step, are on the disk.

mod checkpoint;
mod folders;
mod listing;
mod logs;
mod manifest;
mod names;
mod rewind;
mod step;
mod tail;
mod trainer_state;

pub use logs::{BlockFidelity, FidelityRecord};
pub(crate) use manifest::{ENCODER, TEMPLATE};
pub use manifest::{Manifest, RecordedState, ReplacedInput};
pub use rewind::Rewound;
pub use step::RolloutRecord;
pub use tail::Tail;
pub use trainer_state::TrainerState;

use crate::error::{Error, Result};
use crate::experiment::{self, Experiment};
use crate::files::{self, SETTINGS_BYTES, lock::FolderLock, space};
use listing::with_copy;
use names::{FOLDERS, LOGS, WHOLE};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One run's folder.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
    patience: Option<Patience>,
    /// Bytes of a checkpoint, where they are known.
    checkpoint_bytes: u64,
}

/// Asked when something cannot be written: whether to try again.
#[derive(Clone)]
struct Patience(Arc<dyn Fn(&Error) -> bool + Send + Sync>);

impl std::fmt::Debug for Patience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Patience")
    }
}

impl RunDir {
    /// Makes `<parent>/<name>-s<seed>-<UTC time>/` and writes the resolved experiment into it.
    pub fn create(parent: &Path, experiment: &Experiment) -> Result<Self> {
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let base = format!("{}-s{}-{time}", experiment.name, experiment.seed);
        fs::create_dir_all(parent).map_err(|e| {
            Error::input(format!(
                "cannot make the folder of runs: {e}; give another with --out ({})",
                parent.display()
            ))
        })?;
        let mut path = parent.join(&base);
        let mut attempt = 2;
        // Two runs may start within one second; `create_dir` lets only one of them have a name.
        while let Err(error) = fs::create_dir(&path) {
            if error.kind() != std::io::ErrorKind::AlreadyExists {
                return Err(Error::io("making the run folder", &path)(error));
            }
            path = parent.join(format!("{base}-{attempt}"));
            attempt += 1;
        }
        files::sync(parent).map_err(Error::io("syncing to disk", parent))?;
        let run = Self::at(&path);
        run.make_folders()?;
        run.write_experiment(experiment)?;
        Ok(run)
    }

    /// Writes `experiment.ron`.
    pub fn write_experiment(&self, experiment: &Experiment) -> Result<()> {
        self.write_whole(
            "experiment.ron",
            format!("{}\n", experiment::to_text(experiment)?).as_bytes(),
        )
    }

    /// The same folder; what cannot be written to it is tried again for as long as `ask` says so.
    pub(crate) fn with_patience(
        self,
        ask: impl Fn(&Error) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { patience: Some(Patience(Arc::new(ask))), ..self }
    }

    /// The same folder, for a run whose checkpoints have so many bytes.
    pub(crate) fn with_checkpoints_of(self, checkpoint_bytes: u64) -> Self {
        Self { checkpoint_bytes, ..self }
    }

    pub(super) fn checkpoint_bytes(&self) -> u64 {
        self.checkpoint_bytes
    }

    /// Takes the folder's lock: whoever writes to the run holds it.
    pub(crate) fn lock(&self) -> Result<FolderLock> {
        FolderLock::take(&self.path, &format!("the run in {}", self.path.display()))
    }

    /// Opens an existing run folder; returns it with the experiment that it holds.
    pub fn open(path: &Path) -> Result<(Self, Experiment)> {
        let file = path.join("experiment.ron");
        if !file.is_file() {
            return Err(Error::input(format!(
                "{} is not a run folder: it has no experiment.ron; give a folder that `orthant \
                 run` made",
                path.display()
            )));
        }
        Ok((Self::at(path), experiment::read(&file).map_err(|error| with_copy(path, error))?))
    }

    /// Refuses a folder in which something else stands where the run has a file or a folder. `look`
    /// says what is somewhere: links followed for those who only read.
    pub(crate) fn check_kinds(
        &self,
        look: fn(&Path) -> std::io::Result<fs::Metadata>,
    ) -> Result<()> {
        let refused = |path: &Path, is: &str, must: &str| {
            Err(Error::input(format!(
                "{} is {is} and must be {must} of the run; move it away, or put the run's own back",
                path.display()
            )))
        };
        for name in LOGS.into_iter().chain(WHOLE).chain(["log.txt"]) {
            let path = self.path.join(name);
            match look(&path) {
                Ok(found) if found.is_dir() => return refused(&path, "a folder", "a file"),
                Ok(found) if found.is_symlink() => return refused(&path, "a link", "a file"),
                Ok(found) if !found.is_file() => {
                    return refused(&path, "a pipe, a socket or a device", "a file");
                }
                _ => {}
            }
        }
        for name in FOLDERS {
            let path = self.path.join(name);
            match look(&path) {
                Ok(found) if found.is_symlink() => return refused(&path, "a link", "the folder"),
                Ok(found) if !found.is_dir() => {
                    return refused(&path, "not a folder", "the folder");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The run folder at `path`, whatever is there: for reading what may be in it.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_path_buf(), patience: None, checkpoint_bytes: 0 }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads `manifest.json`; `None` where there is none that can be read.
    pub fn read_manifest(&self) -> Option<Manifest> {
        Manifest::read(&files::read_text(&self.path.join("manifest.json"), SETTINGS_BYTES).ok()?)
    }

    /// Writes `manifest.json`.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<()> {
        let text = serde_json::to_string_pretty(manifest)
            .map_err(|e| Error::failed(format!("cannot write the manifest: {e}")))?;
        self.write_whole("manifest.json", format!("{text}\n").as_bytes())
    }

    /// Writes a file that is on the disk afterwards.
    pub(super) fn write_whole(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        self.persist(|| {
            files::write_whole(&path, bytes).map_err(Error::io("writing a file of the run", &path))
        })
    }

    /// Writes a file of a step, which the next checkpoint brings to the disk.
    pub(super) fn write_record(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        self.persist(|| {
            files::write_unsynced(&path, bytes)
                .map_err(Error::io("writing a record of a step", &path))
        })
    }

    /// Writes, and tries again where it fails and somebody says so. A full disk is told with how
    /// much has to be freed.
    pub(super) fn persist<T>(&self, write: impl Fn() -> Result<T>) -> Result<T> {
        loop {
            let error = match write() {
                Err(Error::Io { doing, source, path }) => {
                    let source = space::explained(source, &self.path, self.checkpoint_bytes);
                    Error::Io { doing, source, path }
                }
                done => return done,
            };
            if !self.patience.as_ref().is_some_and(|patience| patience.0(&error)) {
                return Err(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Event;

    /// An experiment whose run folders are tested.
    pub(super) fn experiment() -> Experiment {
        experiment::from_text(
            r#"Experiment(name: "t", model: Bundled("countdown"), task: Countdown())"#,
            "test",
        )
        .unwrap()
    }

    #[test]
    fn two_runs_of_one_second_get_folders_of_their_own() {
        let parent = tempfile::tempdir().unwrap();
        let first = RunDir::create(parent.path(), &experiment()).unwrap();
        let second = RunDir::create(parent.path(), &experiment()).unwrap();
        assert_ne!(first.path(), second.path());
        let again: Experiment = experiment::read(&first.path().join("experiment.ron")).unwrap();
        assert_eq!(again, experiment());
    }

    #[test]
    fn a_checkpoint_that_fails_half_way_is_not_there() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment()).unwrap();
        let failed = run.write_checkpoint(3, &experiment(), |folder| {
            fs::write(folder.join("half"), "x").unwrap();
            Err(Error::failed("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(run.path().join("checkpoints")).unwrap().count(), 0);
        let whole = |folder: &Path| {
            fs::write(folder.join("whole"), "x").unwrap();
            Ok(())
        };
        // More than any disk has room for is refused before anything is written.
        let refused = run
            .clone()
            .with_checkpoints_of(u64::MAX / 2)
            .write_checkpoint(3, &experiment(), whole)
            .unwrap_err();
        assert!(refused.exit_status() == 1 && refused.to_string().contains("free"), "{refused}");
        let path = run.write_checkpoint(3, &experiment(), whole).unwrap();
        assert!(path.join("whole").exists());
        assert_eq!(RunDir::checkpoint_experiment(&path).unwrap(), Some(experiment()));
        assert_eq!(fs::read_dir(run.path().join("checkpoints")).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_tried_again_for_as_long_as_somebody_says_so() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment()).unwrap();
        let event = || Event::warning(1, "a");
        let path = run.path().join("events.jsonl");
        fs::create_dir(&path).unwrap();
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let patient = run.clone().with_patience({
            let (asked, path) = (asked.clone(), path.clone());
            move |error| {
                assert!(error.to_string().contains("events.jsonl"), "{error}");
                if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
                    fs::remove_dir(&path).unwrap();
                }
                true
            }
        });
        assert!(run.append_event(&event()).is_err());
        patient.append_event(&event()).unwrap();
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2);
        assert_eq!(run.read_events().unwrap().len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_full_disk_is_told_with_what_has_to_be_freed_for_the_next_checkpoint() {
        let parent = tempfile::tempdir().unwrap();
        let run =
            RunDir::create(parent.path(), &experiment()).unwrap().with_checkpoints_of(1 << 60);
        let full = || std::io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        let error = run
            .persist(|| Err::<(), _>(Error::io("appending", "metrics.jsonl")(full())))
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("appending failed: ")
                && text.contains("continuing takes 1073741824 GiB"),
            "{text}"
        );
        assert!(text.contains(" GiB more (metrics.jsonl)"), "{text}");
    }
}
