//! The trainer: its thread, what it shows of a run, and what one may ask of it.

mod run;
mod snapshot;
mod state;

pub use crate::evaluation::{Estimate, EvaluationRecord};
pub use run::{Run, RunBuilder, RunEnd};
pub use snapshot::{
    Compared, GroupView, RolloutView, RunHandle, RunInfo, RunSnapshot, RunState, SnapshotCell, Stage, StageProgress,
    StageTimes, StepView, TrainerCommand,
};
pub use state::TrainerState;
