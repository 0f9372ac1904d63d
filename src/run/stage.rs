//! The stages of a training step, how far the running one has come, and how long they took.

use bevy_ecs::schedule::SystemSet;
use serde::{Deserialize, Serialize};

/// The stages of a training step, in pipeline order; also the system sets of the schedule (as
/// `stages::StageSystems`).
#[derive(
    SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Stage {
    /// Drawing problems and sampling completions.
    Sample,
    /// Judging completions.
    Verify,
    /// Unit features and cosine matrices.
    Features,
    /// The method's exploration score and reward shaping.
    Novelty,
    /// Group-standardised advantages.
    Advantage,
    /// Forward, loss, backward, optimizer.
    Update,
    /// Held-out evaluation, on steps where one is due.
    Evaluate,
    /// Writing the run folder.
    Record,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Self; 8] = [
        Self::Sample,
        Self::Verify,
        Self::Features,
        Self::Novelty,
        Self::Advantage,
        Self::Update,
        Self::Evaluate,
        Self::Record,
    ];

    /// The stage's name as shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sample => "Sample",
            Self::Verify => "Verify",
            Self::Features => "Features",
            Self::Novelty => "Novelty",
            Self::Advantage => "Advantage",
            Self::Update => "Update",
            Self::Evaluate => "Evaluate",
            Self::Record => "Record",
        }
    }
}

/// Progress within the running step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageProgress {
    /// The stage that is running, if a step is.
    pub stage: Option<Stage>,
    /// Share of it that is done, from 0 to 1, where the stage reports it.
    pub done: Option<f32>,
}

/// Time that each stage of the last finished step took, seconds, by [`Stage::ALL`].
pub type StageTimes = [f64; Stage::ALL.len()];
