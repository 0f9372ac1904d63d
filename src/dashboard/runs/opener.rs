//! Opens run folders and starts runs, each on a thread of its own, because models are loaded and
//! folders are read meanwhile.

use crate::dashboard::runs::open_run::RunSource;
use crate::dashboard::runs::start::StartedRuns;
use crate::error::Result;
use crate::run::WatchedRun;
use crate::trainer::RunBuilder;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

/// What became of a run that was to be opened, and the folder of one that continues.
type Answer = (Result<RunSource>, Option<PathBuf>);

/// The window's end of these threads.
pub(crate) struct Opener {
    answers: (Sender<Answer>, Receiver<Answer>),
    started: StartedRuns,
    opening: usize,
    /// Folders of the runs that are being continued.
    resuming: Vec<PathBuf>,
    wake: egui::Context,
}

impl Opener {
    /// An opener that wakes the window of `wake` and puts the runs that it starts into `started`.
    pub(crate) fn new(started: StartedRuns, wake: egui::Context) -> Self {
        Self { answers: bounded(64), started, opening: 0, resuming: Vec::new(), wake }
    }

    /// Whether a run is being opened.
    pub(crate) fn is_opening(&self) -> bool {
        self.opening > 0
    }

    /// Whether the run in `folder` is being continued.
    pub(crate) fn is_resuming(&self, folder: &Path) -> bool {
        self.resuming.iter().any(|resuming| resuming == folder)
    }

    /// Runs that have been opened, and why others could not be.
    pub(crate) fn take_in(&mut self) -> Vec<Result<RunSource>> {
        let answers: Vec<Answer> = self.answers.1.try_iter().collect();
        self.opening -= answers.len();
        let (opened, resumed): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
        self.resuming.retain(|folder| !resumed.iter().flatten().any(|resumed| resumed == folder));
        opened
    }

    /// Does `work` on a thread of its own; `resumes` is the folder of the run that it continues,
    /// if it does.
    fn spawn(
        &mut self,
        resumes: Option<&Path>,
        work: impl FnOnce() -> Result<RunSource> + Send + 'static,
    ) {
        let (answers, wake) = (self.answers.0.clone(), self.wake.clone());
        let folder = resumes.map(Path::to_path_buf);
        let thread = std::thread::Builder::new().name("open run".to_owned()).spawn(move || {
            if answers.send((work(), folder)).is_ok() {
                wake.request_repaint();
            }
        });
        if thread.is_ok() {
            self.opening += 1;
            self.resuming.extend(resumes.map(Path::to_path_buf));
        }
    }

    /// Opens run folders to look at.
    pub(crate) fn open(&mut self, folders: &[PathBuf]) {
        for folder in folders {
            let folder = folder.clone();
            self.spawn(None, move || WatchedRun::open(&folder).map(RunSource::Folder));
        }
    }

    /// Starts what `build` makes, with its run folder in `runs`.
    pub(crate) fn start(
        &mut self,
        runs: &Path,
        build: impl FnOnce() -> Result<RunBuilder> + Send + 'static,
    ) {
        let (runs, started) = (runs.to_path_buf(), Arc::clone(&self.started));
        self.spawn(None, move || start(build()?, &runs, &started));
    }

    /// Continues the run in `folder` from its newest checkpoint.
    pub(crate) fn resume(&mut self, folder: &Path) {
        let (run, started) = (folder.to_path_buf(), Arc::clone(&self.started));
        self.spawn(Some(folder), move || start(RunBuilder::resume(&run, &[])?, &run, &started));
    }
}

/// Starts a run, for whoever opened the window to wait for; a new one makes its folder in `runs`.
fn start(run: RunBuilder, runs: &Path, started: &StartedRuns) -> Result<RunSource> {
    let run = run.start(runs)?;
    let handle = run.handle.clone();
    started.lock().unwrap_or_else(PoisonError::into_inner).push(run);
    Ok(RunSource::Trainer(handle))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use std::time::{Duration, Instant};

    #[test]
    fn a_run_is_being_resumed_until_its_own_answer_comes() {
        let mut opener = Opener::new(StartedRuns::default(), egui::Context::default());
        let wait = |opener: &mut Opener| {
            let started = Instant::now();
            loop {
                let answers = opener.take_in();
                if !answers.is_empty() {
                    return answers.len();
                }
                assert!(started.elapsed() < Duration::from_secs(20), "no answer comes");
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let (go, may_go) = bounded::<()>(1);
        let (slow, nowhere) = (Path::new("runs/slow"), tempfile::tempdir().unwrap());
        opener.spawn(Some(slow), move || {
            may_go.recv().unwrap();
            Err(Error::input("it cannot continue"))
        });
        opener.resume(nowhere.path());
        assert!(opener.is_resuming(slow) && opener.is_resuming(nowhere.path()));
        assert_eq!(wait(&mut opener), 1);
        assert!(
            opener.is_resuming(slow) && !opener.is_resuming(nowhere.path()),
            "only the one that was answered"
        );
        opener.open(&[nowhere.path().to_path_buf()]);
        assert_eq!(wait(&mut opener), 1);
        assert!(opener.is_resuming(slow), "another run was opened");
        go.send(()).unwrap();
        assert_eq!(wait(&mut opener), 1);
        assert!(!opener.is_resuming(slow) && !opener.is_opening());
    }
}
