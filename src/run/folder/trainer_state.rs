//! What a checkpoint holds beside weights and moments: `trainer.json`.
//!
//! Everything random is a function of the seed, the step and the numbers of prompt and sample, so
//! there is no state of a generator in it; what a step takes over from the steps before it is.

use crate::error::{Error, Result};
use crate::files::{self, SETTINGS_BYTES};
use crate::run::SettingEdit;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file's name.
const FILE: &str = "trainer.json";

/// The state of a run after a step. What older checkpoints do not have is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainerState {
    /// Steps done.
    pub step: u64,
    /// The run's seed.
    pub seed: u64,
    /// Optimizer steps done.
    pub optimizer_steps: u64,
    /// Problems of the training split dealt so far.
    pub problems: Option<u64>,
    /// Measured solve rate of every level, where there is a curriculum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solve_rates: Option<Vec<f64>>,
    /// Weight of the KL term in the next step, where it is adapted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kl_coefficient: Option<f64>,
    /// Settings in force that are others than those that the run began with, in the order in which
    /// they were changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<SettingEdit>,
    /// The program's version.
    pub version: String,
}

impl TrainerState {
    /// Reads the state from a checkpoint's folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let bad = |why: String| {
            Error::input(format!("the trainer's state cannot be read: {why} ({})", path.display()))
        };
        let text =
            files::read_text(&path, SETTINGS_BYTES).map_err(|error| bad(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| bad(error.to_string()))
    }

    /// Writes the state into a checkpoint's folder.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::failed(format!("cannot write the trainer's state: {error}")))?;
        let path = folder.join(FILE);
        std::fs::write(&path, text + "\n").map_err(Error::io("writing the trainer's state", &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back_to_the_bit(coefficient in proptest::num::f64::POSITIVE | proptest::num::f64::SUBNORMAL) {
            let folder = tempfile::tempdir().unwrap();
            let state = TrainerState { step: 7, kl_coefficient: Some(coefficient), ..TrainerState::default() };
            state.write(folder.path()).unwrap();
            let read = TrainerState::read(folder.path()).unwrap();
            prop_assert_eq!(read.kl_coefficient.map(f64::to_bits), Some(coefficient.to_bits()));
            prop_assert_eq!(read, state);
        }
    }

    #[test]
    fn older_and_broken_files_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        std::fs::write(
            &path,
            r#"{"step": 3, "seed": 1, "optimizer_steps": 3, "version": "0.1.0"}"#,
        )
        .unwrap();
        let state = TrainerState::read(folder.path()).unwrap();
        assert_eq!((state.step, state.problems, state.kl_coefficient), (3, None, None));
        std::fs::write(&path, "{").unwrap();
        let error = TrainerState::read(folder.path()).unwrap_err();
        assert!(error.exit_status() == 2 && error.to_string().contains(FILE), "{error}");
    }
}
