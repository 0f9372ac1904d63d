//! One run that the window has open: where its snapshots come from, and what is shown of it.

use crate::dashboard::state::loader::StepLoader;
use crate::dashboard::state::run::State;
use crate::error::Result;
use crate::run::{Change, RunHandle, SnapshotCell, TrainerCommand, WatchedRun};
use std::time::Duration;

/// Snapshots that come faster than this share a frame, so that drawing leaves the processor to
/// training.
const SNAPSHOT_DELAY: Duration = Duration::from_millis(40);
/// Nor is the window drawn more often than this only because the running step has come further.
const PROGRESS_DELAY: Duration = Duration::from_millis(250);

/// A run to open.
pub(crate) enum RunSource {
    /// A run of this process.
    Trainer(RunHandle),
    /// A run that is read from its folder.
    Folder(WatchedRun),
}

impl RunSource {
    /// Its snapshots.
    pub(crate) fn snapshots(&self) -> &SnapshotCell {
        match self {
            Self::Trainer(handle) => &handle.snapshots,
            Self::Folder(run) => &run.snapshots,
        }
    }

    /// Says whether somebody is at the window, who can be asked to make room on a full disk.
    fn attend(&self, is_there: bool) {
        if let Self::Trainer(handle) = self {
            handle.attendance.set(is_there);
        }
    }
}

/// An open run.
pub(crate) struct OpenRun {
    source: RunSource,
    loader: StepLoader,
    /// What is shown of it.
    pub(crate) state: State,
    /// Whether the trainer was told to stop.
    stop_sent: bool,
}

impl OpenRun {
    /// Opens `source` in the window of `ctx`, which is woken when something changes; `is_attended`
    /// says whether somebody is there.
    pub(crate) fn new(ctx: &egui::Context, source: RunSource, is_attended: bool) -> Result<Self> {
        source.attend(is_attended);
        let wake = ctx.clone();
        source.snapshots().on_change(move |change| {
            wake.request_repaint_after(if change == Change::Progress {
                PROGRESS_DELAY
            } else {
                SNAPSHOT_DELAY
            });
        });
        let state = State::new(source.snapshots().load());
        let wake = ctx.clone();
        let loader =
            StepLoader::start(&state.snapshot.info.directory, move || wake.request_repaint())?;
        Ok(Self { source, loader, state, stop_sent: false })
    }

    /// Takes in the newest snapshot at `now`, seconds of egui's clock. Says whether the run was
    /// taken back since the one before: steps that were read or drawn are not those that come now.
    pub(crate) fn take_in(&mut self, now: f64) -> bool {
        let snapshot = self.source.snapshots().load();
        let is_taken_back = snapshot.generation != self.state.snapshot.generation;
        if is_taken_back {
            self.loader.forget();
        }
        self.state.take_in(snapshot, now);
        if let Some(latest) = &self.state.snapshot.latest {
            self.loader.keep(latest);
        }
        is_taken_back
    }

    /// Takes the step at the cursor where it is at hand.
    pub(crate) fn find_step(&mut self) {
        while let Some(step) = self.state.cursor.wanted() {
            let Some(data) = self.loader.get(step) else { break };
            self.state.take_step(step, data);
        }
        self.state.judge();
    }

    /// Passes on what the person asked for in this frame.
    pub(crate) fn send_commands(&mut self) {
        for command in std::mem::take(&mut self.state.pending.commands) {
            let taken =
                matches!(&self.source, RunSource::Trainer(trainer) if trainer.send(command));
            self.state.sent(command, taken);
            self.stop_sent |= taken && command == TrainerCommand::Stop;
        }
    }

    /// Whether it trains in this process and is not over.
    pub(crate) fn trains(&self) -> bool {
        matches!(&self.source, RunSource::Trainer(trainer) if !trainer.snapshots.load().state.is_over())
    }

    /// Tells the trainer to stop, where there is one that has not been told.
    pub(crate) fn stop(&mut self) {
        if let RunSource::Trainer(trainer) = &self.source
            && !self.stop_sent
            && !self.state.snapshot.state.is_over()
        {
            self.stop_sent = trainer.send(TrainerCommand::Stop);
        }
    }
}

impl Drop for OpenRun {
    fn drop(&mut self) {
        // The run may outlive the window.
        self.source.snapshots().on_change(|_| {});
        self.source.attend(false);
    }
}
