//! What does not change during a run.

use std::path::PathBuf;

/// What does not change during a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunInfo {
    /// The experiment's name.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// Its method's name: `GRPO`, `Entropy bonus`, `EVOL-RL`, `G2RL` or a plugin's own.
    pub method: String,
    /// Its task's name.
    pub task: String,
    /// The model in words, such as `countdown, 0.8M parameters`.
    pub model: String,
    /// The device in words, such as `cpu`.
    pub device: String,
    /// Sampling temperature.
    pub temperature: f64,
    /// Steps to run.
    pub stop_step: u64,
    /// The run folder.
    pub directory: PathBuf,
    /// The resolved experiment as RON.
    pub experiment_ron: String,
}
