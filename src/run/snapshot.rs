//! A run at one moment, and the place where the newest such moment is found.
//!
//! Whoever reads a [`RunSnapshot`] never touches the `World` or a tensor.

use super::command::{LiveSetting, Refusal};
use super::evaluation::EvaluationRecord;
use super::event::{Event, EventKind};
use super::folder::FidelityRecord;
use super::info::RunInfo;
use super::stage::{Stage, StageProgress, StageTimes};
use super::state::RunState;
use super::view::StepView;
use crate::metrics::History;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// A run at one moment. Cloning is cheap: the bulk is shared.
#[derive(Clone, Debug)]
pub struct RunSnapshot {
    /// What does not change.
    pub info: Arc<RunInfo>,
    /// Where it stands.
    pub state: RunState,
    /// How often the run has been taken back to a checkpoint while it was followed: what was read
    /// of another generation is of steps that have come otherwise since.
    pub generation: u64,
    /// Steps finished so far.
    pub step: u64,
    /// Progress within the running step.
    pub progress: StageProgress,
    /// Stage times of the last finished step.
    pub stage_times: StageTimes,
    /// Metrics of every finished step.
    pub history: History,
    /// Evaluations so far, oldest first.
    pub evaluations: Arc<Vec<EvaluationRecord>>,
    /// The newest finished step, where this process made it; older ones are in the run folder.
    pub latest: Option<Arc<StepView>>,
    /// How well features stood in for parameter gradients, oldest first.
    pub fidelity: Arc<Vec<FidelityRecord>>,
    /// Steps at which checkpoints were written.
    pub checkpoints: Arc<Vec<u64>>,
    /// What happened beside training, oldest first: pauses, changed settings, checkpoints.
    pub events: Arc<Vec<Event>>,
    /// Seconds to the end at the recent pace, once known.
    pub eta_s: Option<f64>,
    /// Warnings so far, newest last: (step, text).
    pub warnings: Arc<Vec<(u64, String)>>,
    /// Changes of settings that were asked for and cannot be, newest last; of a run of this
    /// process.
    pub refusals: Arc<Vec<Refusal>>,
    /// How often a run of this process has waited because something could not be written.
    pub waits: u64,
    /// Where the run is read from its folder: when that was last written to. `None` for a run of
    /// this process.
    pub last_written: Option<SystemTime>,
}

impl RunSnapshot {
    /// The first snapshot of a run.
    pub fn starting(info: RunInfo) -> Self {
        Self {
            info: Arc::new(info),
            state: RunState::Starting,
            generation: 0,
            step: 0,
            progress: StageProgress::default(),
            stage_times: [0.0; Stage::ALL.len()],
            history: History::default(),
            evaluations: Arc::default(),
            latest: None,
            fidelity: Arc::default(),
            checkpoints: Arc::default(),
            events: Arc::default(),
            eta_s: None,
            warnings: Arc::default(),
            refusals: Arc::default(),
            waits: 0,
            last_written: None,
        }
    }

    /// Takes in what happened.
    pub fn take_in(&mut self, event: Event) {
        if event.kind == EventKind::Warning {
            Arc::make_mut(&mut self.warnings).push((event.step, event.text.clone()));
        }
        Arc::make_mut(&mut self.events).push(event);
    }

    /// What a setting was changed to last; `None` where it was not changed.
    pub fn value_of(&self, setting: LiveSetting) -> Option<f64> {
        let edits = self.events.iter().rev().filter_map(Event::edit);
        edits.into_iter().find(|edit| edit.path == setting.path()).and_then(|edit| edit.to.as_f64())
    }
}

/// What an update of the snapshot changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only how far the running step has come.
    Progress,
    /// Something that stays: a finished step, the state, an evaluation.
    Lasting,
}

/// Called after each new snapshot, for example to ask for a repaint.
type Waker = Box<dyn Fn(Change) + Send + Sync>;

/// The shared place of the newest snapshot. The trainer changes it; readers clone it. A reader waits
/// for as long as a change takes, which copies a list at most (events, warnings), where another
/// reader still holds the one before.
#[derive(Clone)]
pub struct SnapshotCell {
    newest: Arc<Mutex<RunSnapshot>>,
    waker: Arc<Mutex<Option<Waker>>>,
}

impl SnapshotCell {
    /// A cell that holds `first`.
    pub fn new(first: RunSnapshot) -> Self {
        Self { newest: Arc::new(Mutex::new(first)), waker: Arc::default() }
    }

    /// The newest snapshot.
    pub fn load(&self) -> RunSnapshot {
        lock(&self.newest).clone()
    }

    /// Changes the newest snapshot in place and wakes the reader.
    pub fn update(&self, change: impl FnOnce(&mut RunSnapshot)) {
        change(&mut lock(&self.newest));
        self.wake(Change::Lasting);
    }

    /// Says how far the running step has come and wakes the reader.
    pub fn progress(&self, progress: StageProgress) {
        lock(&self.newest).progress = progress;
        self.wake(Change::Progress);
    }

    fn wake(&self, change: Change) {
        if let Some(wake) = lock(&self.waker).as_ref() {
            wake(change);
        }
    }

    /// Sets what to call after each change.
    pub fn on_change(&self, wake: impl Fn(Change) + Send + Sync + 'static) {
        *lock(&self.waker) = Some(Box::new(wake));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Readers only clone, and writers assign whole values: whoever panicked left nothing half
    // written.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
