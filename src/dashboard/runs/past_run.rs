//! Run folders at a glance.

use crate::dashboard::state::label;
use crate::dashboard::state::label::Traits;
use crate::dashboard::state::standing::{Resumption, resumption, silence_s};
use crate::run::{Event, EventKind, RecordedState, RunDir, Standing};
use crate::stages::metrics;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A run folder at a glance.
#[derive(Clone, Debug)]
pub(crate) struct PastRun {
    /// The folder.
    pub(crate) path: PathBuf,
    /// The experiment's name.
    pub(crate) name: String,
    /// Its method.
    pub(crate) method: String,
    /// Its seed.
    pub(crate) seed: u64,
    /// Where it stands.
    pub(crate) state: PastState,
    /// Steps finished, of how many.
    pub(crate) steps: (u64, u64),
    /// How it can be continued, where it ended early.
    pub(crate) resumption: Option<Resumption>,
    /// What sets it apart from the other runs of its name, such as `lambda 0.5`.
    pub(crate) differences: Vec<String>,
    /// When it started, UTC.
    pub(crate) started: String,
    /// Training accuracy of the last step.
    pub(crate) accuracy: Option<f64>,
    /// pass@1 of the last evaluation.
    pub(crate) pass_at_1: Option<f64>,
    /// Why it ended early.
    pub(crate) error: Option<String>,
    /// The settings of its experiment, as labels compare them.
    settings: Vec<(String, String)>,
    /// When its folder was last written to.
    pub(super) written: Option<SystemTime>,
}

impl PastRun {
    /// What labels compare of it.
    pub(super) fn traits(&self) -> Traits<'_> {
        Traits { name: &self.name, method: &self.method, settings: &self.settings }
    }
}

/// Where a run of the list stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PastState {
    /// As its manifest says.
    Recorded(RecordedState),
    /// It says that it is training, but its process is gone.
    Interrupted,
    /// It says that it is training, nobody knows of its process, and nothing was heard of it for
    /// long.
    Silent,
}

impl PastState {
    /// As shown.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Recorded(RecordedState::Training) => "training",
            Self::Recorded(RecordedState::Finished) => "finished",
            Self::Recorded(RecordedState::Stopped) => "stopped",
            Self::Recorded(RecordedState::Failed) => "failed",
            Self::Interrupted => "interrupted",
            Self::Silent => "silent",
        }
    }

    /// Whether more may come without anybody asking for it.
    pub(super) fn may_change(self) -> bool {
        matches!(self, Self::Recorded(RecordedState::Training) | Self::Interrupted | Self::Silent)
    }
}

/// Reads a run folder that was last written to at `written`; `None` where it is none, or of a run
/// that has not said anything yet.
pub(super) fn read(path: &Path, written: Option<SystemTime>) -> Option<PastRun> {
    let (run, experiment) = RunDir::open(path).ok()?;
    let Standing { manifest, is_interrupted } = run.standing();
    // One that was killed early has said nothing of itself; one that is about to will.
    let (recorded, step, started) = match manifest {
        Some(manifest) => (manifest.state, manifest.step, manifest.started),
        None if is_interrupted => (RecordedState::Training, 0, begun(path)),
        None => return None,
    };
    let last = run.last_metrics().ok().flatten();
    let evaluation = run.read_evaluations().ok().and_then(|records| records.last().cloned());
    let error = (recorded == RecordedState::Failed)
        .then(|| {
            run.read_events()
                .ok()?
                .into_iter()
                .rev()
                .find(|event: &Event| event.kind == EventKind::Error)
        })
        .flatten();
    let unwritten_s =
        written.and_then(|written| written.elapsed().ok()).map_or(0.0, |age| age.as_secs_f64());
    let is_silent = recorded == RecordedState::Training && unwritten_s > silence_s(last.as_ref());
    let has_ended = recorded != RecordedState::Training || is_interrupted || is_silent;
    let checkpoint = run.checkpoint_steps().ok().and_then(|steps| steps.last().copied());
    let is_finished = recorded == RecordedState::Finished;
    Some(PastRun {
        path: path.to_path_buf(),
        name: experiment.name.clone(),
        method: experiment.method.label().to_owned(),
        seed: experiment.seed,
        state: match recorded {
            _ if is_interrupted => PastState::Interrupted,
            _ if is_silent => PastState::Silent,
            state => PastState::Recorded(state),
        },
        steps: (last.as_ref().map_or(step, |row| row.step), experiment.stop.steps),
        resumption: resumption(has_ended, is_finished, checkpoint, experiment.stop.steps),
        differences: Vec::new(),
        settings: label::settings(&experiment),
        started,
        accuracy: last.and_then(|row| row.get(&metrics::REWARD_ACCURACY)),
        pass_at_1: evaluation.and_then(|record| record.pass(1)).map(|estimate| estimate.value),
        error: error.map(|event| event.text),
        written,
    })
}

/// When a run began that has not said so itself: when its experiment was written.
fn begun(path: &Path) -> String {
    let written =
        std::fs::metadata(path.join("experiment.ron")).and_then(|file| file.modified()).ok();
    let time = written.and_then(|written| jiff::Timestamp::try_from(written).ok());
    time.map_or_else(String::new, |time| format!("{time:.0}"))
}
