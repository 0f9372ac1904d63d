//! The outside's end of a run: snapshots one way, commands the other.

use super::command::TrainerCommand;
use super::snapshot::{RunSnapshot, SnapshotCell};
use crossbeam_channel::{Receiver, Sender};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a person is at the window of a run, who can be asked to do something.
#[derive(Clone, Debug, Default)]
pub struct Attendance(Arc<AtomicBool>);

impl Attendance {
    /// Says so.
    pub fn set(&self, given: bool) {
        self.0.store(given, Ordering::SeqCst);
    }

    /// Whether somebody is.
    pub fn is_given(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// The outside's end of a run: the newest snapshot and a way to send commands.
#[derive(Clone)]
pub struct RunHandle {
    /// Newest snapshot.
    pub snapshots: SnapshotCell,
    /// Whether somebody is at its window.
    pub attendance: Attendance,
    /// Commands to the trainer; bounded, so use [`RunHandle::send`].
    commands: Sender<TrainerCommand>,
}

impl RunHandle {
    /// A handle and the trainer's end of its command channel.
    pub fn new(first: RunSnapshot) -> (Self, Receiver<TrainerCommand>) {
        let (commands, receiver) = crossbeam_channel::bounded(16);
        (
            Self {
                snapshots: SnapshotCell::new(first),
                attendance: Attendance::default(),
                commands,
            },
            receiver,
        )
    }

    /// Sends a command without waiting. Returns false where the trainer is gone or swamped.
    pub fn send(&self, command: TrainerCommand) -> bool {
        self.commands.try_send(command).is_ok()
    }
}
