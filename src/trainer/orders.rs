//! Commands to the trainer's thread, and what it does when the disk is full.

use crate::error::Error;
use crate::run::{Attendance, RunState, SnapshotCell, TrainerCommand};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Time between two looks whether somebody is still there.
const LOOK: Duration = Duration::from_millis(200);

/// Commands as they come, and those that had to wait.
#[derive(Clone)]
pub(super) struct Orders {
    receiver: Receiver<TrainerCommand>,
    put_off: Arc<Mutex<VecDeque<TrainerCommand>>>,
}

impl Orders {
    pub(super) fn new(receiver: Receiver<TrainerCommand>) -> Self {
        Self { receiver, put_off: Arc::default() }
    }

    fn earlier(&self) -> Option<TrainerCommand> {
        self.put_off.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn put_off(&self, command: TrainerCommand) {
        self.put_off.lock().unwrap_or_else(PoisonError::into_inner).push_back(command);
    }

    /// The next command, if there is one.
    pub(super) fn now(&self) -> Option<TrainerCommand> {
        self.earlier().or_else(|| self.receiver.try_recv().ok())
    }

    /// Waits for the next command; `None` where nobody is left who could send one.
    pub(super) fn wait(&self) -> Option<TrainerCommand> {
        self.earlier().or_else(|| self.receiver.recv().ok())
    }
}

/// What to do when something cannot be written, such as on a full disk: where somebody is at the window, wait until they have made room
/// and resume, and try again; else fail.
pub(super) fn patience(
    orders: Orders,
    snapshots: SnapshotCell,
    attendance: Attendance,
) -> impl Fn(&Error) -> bool + Send + Sync {
    let gave_up = AtomicBool::new(false);
    move |error| {
        if gave_up.load(Ordering::SeqCst) || !attendance.is_given() {
            return false;
        }
        let text = format!("{error}; the run waits: make room and press Resume, or Stop to end it without this step");
        snapshots.update(|snapshot| {
            snapshot.state = RunState::Paused;
            Arc::make_mut(&mut snapshot.warnings).push((snapshot.step, text));
        });
        let goes_on = loop {
            match orders.receiver.recv_timeout(LOOK) {
                Ok(TrainerCommand::Resume) => break true,
                Ok(TrainerCommand::StepOnce) => {
                    orders.put_off(TrainerCommand::Pause);
                    break true;
                }
                Ok(TrainerCommand::Stop) | Err(RecvTimeoutError::Disconnected) => break false,
                Ok(TrainerCommand::Pause) => {}
                Ok(other) => orders.put_off(other),
                Err(RecvTimeoutError::Timeout) if attendance.is_given() => {}
                Err(RecvTimeoutError::Timeout) => break false,
            }
        };
        if goes_on {
            snapshots.update(|snapshot| snapshot.state = RunState::Training);
        }
        gave_up.store(!goes_on, Ordering::SeqCst);
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{RunHandle, RunInfo, RunSnapshot};

    #[test]
    fn a_full_disk_waits_for_somebody_at_the_window_and_fails_without_one() {
        let (handle, receiver) = RunHandle::new(RunSnapshot::starting(RunInfo::small()));
        let orders = Orders::new(receiver);
        let full = || Error::io("writing", "x")(std::io::ErrorKind::StorageFull.into());
        let ask = patience(orders.clone(), handle.snapshots.clone(), handle.attendance.clone());
        assert!(!ask(&full()));
        assert!(handle.snapshots.load().warnings.is_empty());

        handle.attendance.set(true);
        let asked = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| ask(&full()));
            while handle.snapshots.load().state != RunState::Paused {
                std::thread::yield_now();
            }
            assert!(handle.send(TrainerCommand::Checkpoint) && handle.send(TrainerCommand::Resume));
            waiting.join().unwrap()
        });
        assert!(asked);
        assert_eq!(orders.now(), Some(TrainerCommand::Checkpoint));
        assert_eq!(handle.snapshots.load().state, RunState::Training);
        assert!(handle.snapshots.load().warnings[0].1.contains("press Resume"));

        assert!(handle.send(TrainerCommand::Stop));
        assert!(!ask(&full()));
        // Whoever gave up is not asked again while the run ends.
        assert!(!ask(&full()));
        assert_eq!(orders.now(), None);
    }
}
