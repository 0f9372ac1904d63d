//! What does not change while a run is watched.

use crate::experiment::{self, Experiment};
use std::path::PathBuf;
use std::sync::Arc;

/// What does not change while a run is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct RunInfo {
    /// The experiment as the run began, as in its `experiment.ron`.
    pub experiment: Arc<Experiment>,
    /// The method's name: `GRPO`, `Entropy bonus`, `EVOL-RL`, `G2RL` or a plugin's own.
    pub method: String,
    /// The task's name.
    pub task: String,
    /// The model in words, such as `countdown, 0.8M parameters`.
    pub model: String,
    /// The device in words, such as `cpu`.
    pub device: String,
    /// The run folder.
    pub directory: PathBuf,
}

impl RunInfo {
    /// The experiment's name.
    pub fn name(&self) -> &str {
        &self.experiment.name
    }

    /// The experiment's seed.
    pub fn seed(&self) -> u64 {
        self.experiment.seed
    }

    /// Steps to run.
    pub fn last_step(&self) -> u64 {
        self.experiment.stop.steps
    }

    /// The experiment as RON, every field written out.
    pub fn experiment_ron(&self) -> String {
        experiment::to_text(self.experiment.as_ref()).unwrap_or_default()
    }
}

#[cfg(test)]
impl RunInfo {
    /// Of a run of this experiment, in no folder.
    pub(crate) fn of(text: &str) -> Self {
        let experiment: Experiment = experiment::from_text(text, "test").unwrap();
        Self {
            method: experiment.method.label().to_string(),
            experiment: Arc::new(experiment),
            task: "countdown".to_string(),
            model: "countdown, 0.8M parameters".to_string(),
            device: "cpu".to_string(),
            directory: PathBuf::new(),
        }
    }

    /// Of a small run, for whoever needs any.
    pub(crate) fn small() -> Self {
        Self::of(r#"Experiment(name: "small", model: Bundled("countdown"), task: Countdown())"#)
    }
}
