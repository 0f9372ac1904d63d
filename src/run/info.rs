//! What does not change while a run is watched.

use super::event::SettingEdit;
use crate::error::Result;
use crate::experiment::{self, Experiment};
use std::path::PathBuf;
use std::sync::Arc;

/// What does not change while a run is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct RunInfo {
    /// The experiment in force when the run was started, resumed or opened.
    pub experiment: Arc<Experiment>,
    /// The experiment as the run began, as in its `experiment.ron`.
    pub began: Arc<Experiment>,
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

    /// The method's name: `GRPO`, `Entropy bonus`, `EVOL-RL`, `G2RL` or a plugin's own.
    pub fn method(&self) -> &str {
        self.experiment.method.label()
    }

    /// Steps to run.
    pub fn last_step(&self) -> u64 {
        self.experiment.stop.steps
    }

    /// The experiment as the run began as RON, every field written out.
    pub fn experiment_ron(&self) -> Result<String> {
        experiment::to_text(self.began.as_ref())
    }

    /// `began` with what was changed since, oldest first. A change that cannot be read is left out.
    pub(crate) fn in_force<'a>(
        began: &Experiment,
        edits: impl IntoIterator<Item = &'a SettingEdit>,
    ) -> Experiment {
        let set = |experiment: Experiment, edit: &SettingEdit| {
            experiment::set(&experiment, &edit.assignment()).unwrap_or(experiment)
        };
        edits.into_iter().fold(began.clone(), set)
    }
}

#[cfg(test)]
impl RunInfo {
    /// Of a run of this experiment, in no folder.
    pub(crate) fn of(text: &str) -> Self {
        let experiment: Experiment = experiment::from_text(text, "test").unwrap();
        Self {
            began: Arc::new(experiment.clone()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_since_is_in_force() {
        let info = RunInfo::small();
        let edit = |path: &'static str, to: serde_json::Value| SettingEdit {
            path: path.into(),
            from: 0.into(),
            to,
        };
        let edits = [
            edit("seed", 9.into()),
            edit("method", "G2rl()".into()),
            edit("no.such.field", 1.into()),
        ];
        let held = RunInfo::in_force(&info.began, &edits);
        assert_eq!((held.seed, held.method.label()), (9, "G2RL"));
        assert_eq!((info.began.seed, info.method()), (0, "GRPO"));
    }
}
