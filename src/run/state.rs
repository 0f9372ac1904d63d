//! Where a run stands.

use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Loading the model; no step yet.
    Starting,
    /// Steps are running.
    Training,
    /// Waiting for [`TrainerCommand::Resume`](super::TrainerCommand::Resume) or
    /// [`TrainerCommand::StepOnce`](super::TrainerCommand::StepOnce).
    Paused,
    /// All steps done.
    Finished,
    /// Ended early on request, with a checkpoint.
    Stopped,
    /// Ended by an error.
    Failed {
        /// The error in full.
        message: String,
    },
    /// Its process is gone without having said so.
    Interrupted,
}

impl RunState {
    /// Whether no further step will come.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Finished | Self::Stopped | Self::Failed { .. } | Self::Interrupted)
    }
}
