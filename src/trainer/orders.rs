//! Commands to the trainer's thread, and what it does when the disk is full.

use crate::error::Error;
use crate::run::{Attendance, RunState, SnapshotCell, TrainerCommand};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two looks whether somebody is still there.
const LOOK: Duration = Duration::from_millis(200);

/// Commands as they come, and those that had to wait.
#[derive(Clone)]
pub(super) struct Orders {
    receiver: Receiver<TrainerCommand>,
    put_off: Arc<Mutex<VecDeque<TrainerCommand>>>,
    waited: Arc<Mutex<Option<Waited>>>,
}

/// That the run waited because something could not be written.
struct Waited {
    /// Why, at first.
    why: String,
    /// All in all.
    time: Duration,
}

impl Orders {
    pub(super) fn new(receiver: Receiver<TrainerCommand>) -> Self {
        Self { receiver, put_off: Arc::default(), waited: Arc::default() }
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

    /// What there is to record of waiting since this was asked last.
    pub(super) fn waited(&self) -> Option<String> {
        let Waited { why, time } =
            self.waited.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(format!("{why}; the run waited {:.0} s until it could be written", time.as_secs_f64()))
    }

    pub(super) fn add_wait(&self, why: &str, time: Duration) {
        let mut waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner);
        waited.get_or_insert_with(|| Waited { why: why.to_string(), time: Duration::ZERO }).time +=
            time;
    }
}

/// What to do when something cannot be written, such as on a full disk: where somebody is at the
/// window, wait until they have made room and resume, and try again; else fail. Whoever stops the
/// run meanwhile has it tried once more, so that nothing is lost where there is room again.
pub(super) fn patience(
    orders: Orders,
    snapshots: SnapshotCell,
    attendance: Attendance,
) -> impl Fn(&Error) -> bool + Send + Sync {
    // Nobody is asked again while the run ends.
    let ends = AtomicBool::new(false);
    move |error| {
        if ends.load(Ordering::SeqCst) || !attendance.is_given() {
            return false;
        }
        let (why, since) = (error.to_string(), Instant::now());
        let text = format!(
            "{why}; the run waits: make room and press Resume, or Stop to try once more and end it"
        );
        let mut before = RunState::Paused;
        snapshots.update(|snapshot| {
            before = std::mem::replace(&mut snapshot.state, RunState::Paused);
            snapshot.waits += 1;
            Arc::make_mut(&mut snapshot.warnings).push((snapshot.step, text.clone()));
        });
        let was_paused = before == RunState::Paused;
        let continues = loop {
            match orders.receiver.recv_timeout(LOOK) {
                // A run that was paused already continues as it does from any pause.
                Ok(command @ (TrainerCommand::Resume | TrainerCommand::StepOnce)) if was_paused => {
                    orders.put_off(command);
                    break true;
                }
                Ok(TrainerCommand::Resume) => break true,
                Ok(TrainerCommand::StepOnce) => {
                    orders.put_off(TrainerCommand::Pause);
                    break true;
                }
                Ok(TrainerCommand::Stop) => {
                    ends.store(true, Ordering::SeqCst);
                    orders.put_off(TrainerCommand::Stop);
                    break true;
                }
                Ok(TrainerCommand::Pause) => {}
                Ok(other) => orders.put_off(other),
                Err(RecvTimeoutError::Timeout) if attendance.is_given() => {}
                Err(_) => break false,
            }
        };
        if continues {
            // What is recorded once that is possible says how long it was.
            orders.add_wait(&why, since.elapsed());
            snapshots.update(|snapshot| {
                snapshot.state = before;
                Arc::make_mut(&mut snapshot.warnings).retain(|(_, warning)| *warning != text);
            });
        }
        if !continues {
            ends.store(true, Ordering::SeqCst);
        }
        continues
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{RunHandle, RunInfo, RunSnapshot};

    fn full() -> Error {
        Error::io("writing", "x")(std::io::ErrorKind::StorageFull.into())
    }

    /// Whether a run that cannot write is to try again, where these commands come while it waits.
    fn asked(orders: &Orders, handle: &RunHandle, commands: &[TrainerCommand]) -> bool {
        let ask = patience(orders.clone(), handle.snapshots.clone(), handle.attendance.clone());
        let waits = || {
            handle.snapshots.load().warnings.iter().any(|(_, text)| text.contains("press Resume"))
        };
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| ask(&full()));
            while !waits() {
                std::thread::yield_now();
            }
            assert_eq!(handle.snapshots.load().state, RunState::Paused);
            assert!(commands.iter().all(|command| handle.send(*command)));
            waiting.join().unwrap()
        })
    }

    #[test]
    fn a_paused_run_that_waited_for_room_is_paused_until_it_takes_the_same_resume() {
        let (handle, receiver) = RunHandle::new(RunSnapshot::starting(RunInfo::small()));
        let orders = Orders::new(receiver);
        handle.attendance.set(true);
        handle.snapshots.update(|snapshot| snapshot.state = RunState::Paused);
        for command in [TrainerCommand::Resume, TrainerCommand::StepOnce] {
            assert!(asked(&orders, &handle, &[TrainerCommand::Checkpoint, command]));
            assert_eq!(handle.snapshots.load().state, RunState::Paused);
            assert_eq!(
                [orders.now(), orders.now()],
                [Some(TrainerCommand::Checkpoint), Some(command)]
            );
        }
        handle.snapshots.update(|snapshot| snapshot.state = RunState::Training);
        assert!(asked(&orders, &handle, &[TrainerCommand::StepOnce]));
        assert_eq!(
            orders.now(),
            Some(TrainerCommand::Pause),
            "one that was not ends its step first"
        );
        // What is recorded is one line, however often it waited.
        let text = orders.waited().unwrap();
        assert!(text.contains("writing failed") && text.contains("the run waited "), "{text}");
        assert!(orders.waited().is_none() && handle.snapshots.load().warnings.is_empty());
    }

    #[test]
    fn a_full_disk_waits_for_somebody_at_the_window_and_fails_without_one() {
        let (handle, receiver) = RunHandle::new(RunSnapshot::starting(RunInfo::small()));
        let orders = Orders::new(receiver);
        let ask = patience(orders.clone(), handle.snapshots.clone(), handle.attendance.clone());
        assert!(!ask(&full()));
        assert!(handle.snapshots.load().warnings.is_empty());

        handle.attendance.set(true);
        handle.snapshots.update(|snapshot| snapshot.state = RunState::Training);
        assert!(asked(&orders, &handle, &[TrainerCommand::Checkpoint, TrainerCommand::Resume]));
        assert_eq!(orders.now(), Some(TrainerCommand::Checkpoint));
        assert_eq!(handle.snapshots.load().state, RunState::Training);
        assert!(orders.waited().is_some());

        // Whoever stops the run has it tried once more, and is not asked again.
        assert!(handle.send(TrainerCommand::Stop));
        assert!(ask(&full()));
        assert!(!ask(&full()));
        assert_eq!([orders.now(), orders.now()], [Some(TrainerCommand::Stop), None]);
        assert_eq!(handle.snapshots.load().waits, 2);
    }
}
