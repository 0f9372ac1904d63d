//! The trainer: its thread, what it shows of a run, and what one may ask of it.

mod snapshot;

pub use snapshot::{
    EvaluationRecord, Estimate, GroupView, RolloutView, RunHandle, RunInfo, RunSnapshot, RunState, SnapshotCell, Stage,
    StageProgress, StageTimes, StepView, TrainerCommand,
};
