//! What a person may ask of a trainer, and the settings that may change during a run.

use crate::experiment::{Experiment, MethodConfig, OptimizerConfig};
use std::fmt;

/// A setting that may be changed while the run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LiveSetting {
    /// The optimizer's learning rate after warm-up.
    LearningRate,
    /// G2RL's strength of shaping.
    Lambda,
    /// Temperature of sampling.
    Temperature,
    /// Weight of the KL term.
    KlCoefficient,
}

impl LiveSetting {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::LearningRate, Self::Lambda, Self::Temperature, Self::KlCoefficient];

    /// Its path in the experiment.
    pub fn path(self) -> &'static str {
        match self {
            Self::LearningRate => "optimizer.learning_rate",
            Self::Lambda => "method.lambda",
            Self::Temperature => "rollout.temperature",
            Self::KlCoefficient => "objective.kl.coefficient",
        }
    }

    /// The experiment's value; `None` where it has no such setting or where it cannot be changed during a run.
    pub fn of(self, experiment: &Experiment) -> Option<f64> {
        let OptimizerConfig::AdamW(adamw) = &experiment.optimizer;
        match self {
            Self::LearningRate => Some(adamw.learning_rate),
            Self::Lambda => match &experiment.method {
                MethodConfig::G2rl(config) => Some(config.lambda),
                _ => None,
            },
            Self::Temperature => Some(experiment.rollout.temperature),
            // Without a KL term at the start there is no reference model.
            Self::KlCoefficient => Some(experiment.objective.kl.coefficient).filter(|&weight| weight > 0.0),
        }
    }
}

/// A change of a setting that was asked for and cannot be.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The setting, which stays as it is.
    pub setting: LiveSetting,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stays as it is: {}", self.setting.path(), self.reason)
    }
}

/// What a person may ask of the trainer. Carried out between steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TrainerCommand {
    /// Wait after the current step.
    Pause,
    /// Go on.
    Resume,
    /// While paused: run one step and pause again.
    StepOnce,
    /// Write a checkpoint after the current step.
    Checkpoint,
    /// Change a setting from the next step on.
    Set(LiveSetting, f64),
    /// Finish the current step, write a checkpoint, end.
    Stop,
    /// Note that the window is gone without having been closed. A running trainer goes on; a paused one, whom nobody could tell to go
    /// on, stops.
    WindowLost,
}
