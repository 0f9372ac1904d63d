//! The trainer: its thread, what it shows of a run, and what one may ask of it; and runs that are only looked at.

mod commands;
mod inputs;
mod orders;
mod past;
mod policy;
mod resume;
mod run;
mod snapshot;
mod sources;
mod state;
mod thread;
mod watch;

pub use crate::evaluation::{Estimate, EvaluationRecord};
pub(crate) use resume::goes_on;
pub use run::{Run, RunBuilder, RunEnd};
pub use snapshot::{
    Attendance, Change, Compared, GroupTokens, GroupView, LiveSetting, Refusal, RolloutView, RunHandle, RunInfo,
    RunSnapshot, RunState, SnapshotCell, Stage, StageProgress, StageTimes, StepView, TrainerCommand,
};
pub use state::TrainerState;
pub use watch::WatchedRun;
