//! Opens run folders and starts runs, each on a thread of its own, because models are loaded and folders are read meanwhile.

use super::open_run::RunSource;
use super::start::StartedRuns;
use crate::error::Result;
use crate::trainer::{RunBuilder, WatchedRun};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

/// The window's end of these threads.
pub(super) struct Opener {
    answers: (Sender<Result<RunSource>>, Receiver<Result<RunSource>>),
    started: StartedRuns,
    opening: usize,
    wake: egui::Context,
}

impl Opener {
    /// An opener that wakes the window of `wake` and puts the runs that it starts into `started`.
    pub(super) fn new(started: StartedRuns, wake: egui::Context) -> Self {
        Self { answers: bounded(64), started, opening: 0, wake }
    }

    /// Whether a run is being opened.
    pub(super) fn is_opening(&self) -> bool {
        self.opening > 0
    }

    /// Runs that have been opened, and why others could not be.
    pub(super) fn take_in(&mut self) -> Vec<Result<RunSource>> {
        let answers: Vec<Result<RunSource>> = self.answers.1.try_iter().collect();
        self.opening -= answers.len();
        answers
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() -> Result<RunSource> + Send + 'static) {
        let (answers, wake) = (self.answers.0.clone(), self.wake.clone());
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            if answers.send(work()).is_ok() {
                wake.request_repaint();
            }
        });
        self.opening += usize::from(thread.is_ok());
    }

    /// Opens run folders to look at.
    pub(super) fn open(&mut self, folders: &[PathBuf]) {
        for folder in folders {
            let folder = folder.clone();
            self.spawn("open run", move || WatchedRun::open(&folder).map(RunSource::Folder));
        }
    }

    /// Starts what `build` makes, with its run folder in `runs`.
    pub(super) fn start(&mut self, runs: &Path, build: impl FnOnce() -> Result<RunBuilder> + Send + 'static) {
        let (runs, started) = (runs.to_path_buf(), Arc::clone(&self.started));
        self.spawn("start run", move || {
            let run = build()?.start(&runs)?;
            let handle = run.handle.clone();
            started.lock().unwrap_or_else(PoisonError::into_inner).push(run);
            Ok(RunSource::Trainer(handle))
        });
    }

    /// Goes on with the run in `folder` from its newest checkpoint.
    pub(super) fn resume(&mut self, folder: &Path) {
        let (runs, folder) = (folder.parent().unwrap_or(folder).to_path_buf(), folder.to_path_buf());
        self.start(&runs, move || RunBuilder::resume(&folder, &[]));
    }
}
