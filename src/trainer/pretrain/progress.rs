//! How far pretraining has come: what a try that was killed leaves to the next one.

use super::event::PretrainEvent;
use crate::error::{Error, Result};
use crate::experiment::{self, Pretrain};
use crate::files::{self, SETTINGS_BYTES, checksums, space, staging};
use crate::model::LanguageModel;
use crate::optim::{AdamW, AdamWSettings};
use crate::run::EvaluationRecord;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// What could not be saved, with what has to be freed, and how to continue.
pub(super) fn unsaved(error: Error, place: &Path, bytes: u64) -> Error {
    match error {
        Error::Io { doing, source, path } => {
            let error = Error::Io { doing, source: space::explained(source, place, bytes), path };
            let has_save = place.join(Progress::FOLDER).exists();
            let from = if has_save { "continues where the last save was" } else { "begins again" };
            Error::failed(format!("{error}; the same command {from}"))
        }
        other => other,
    }
}

/// How far training has come: what a try that was killed leaves to the next one, beside weights and
/// moments.
#[derive(Serialize, Deserialize)]
pub(super) struct Progress {
    /// The experiment, complete.
    experiment: String,
    pub(super) step: u64,
    pub(super) tokens: usize,
    /// A running mean; `None` before the first step.
    pub(super) loss: Option<f64>,
    pub(super) records: Vec<EvaluationRecord>,
}

impl Progress {
    /// The folder that it is saved in.
    const FOLDER: &str = "progress";
    /// What the next try needs.
    pub(super) const KEPT: &[&str] = &[Self::FOLDER];
    const FILE: &str = "pretrain.json";
    const STATE: &str = "trainer.safetensors";

    /// Continues where an earlier try with the same experiment was, or begins. What an earlier try
    /// left and this one cannot use is told.
    pub(super) fn begin(
        config: &Pretrain,
        model: &LanguageModel,
        settings: AdamWSettings,
        place: &Path,
        tell: &mut impl FnMut(PretrainEvent<'_>),
    ) -> Result<(Self, AdamW)> {
        let experiment = experiment::to_text(config)?;
        let folder = place.join(Self::FOLDER);
        staging::restore(&folder)
            .map_err(Error::io("giving an earlier save its name back", &folder))?;
        let new = Self { experiment, step: 0, tokens: 0, loss: None, records: Vec::new() };
        if folder.exists() {
            match Self::read(&folder) {
                Ok(progress) if progress.experiment == new.experiment => {
                    let optimizer =
                        AdamW::read(&model.weights, settings, &folder.join(Self::STATE))?;
                    return Ok((progress, optimizer));
                }
                Ok(_) => tell(PretrainEvent::BeginsAnew(
                    "an earlier try had other settings, so this one begins anew",
                )),
                Err(error) => tell(PretrainEvent::BeginsAnew(&format!(
                    "warning: what an earlier try saved cannot be used, so this one begins anew: \
                     {error}"
                ))),
            }
        }
        Ok((new, AdamW::new(&model.weights, settings)?))
    }

    fn read(folder: &Path) -> Result<Self> {
        checksums::verify(folder)?;
        let path = folder.join(Self::FILE);
        let text = files::read_text(&path, SETTINGS_BYTES).map_err(Error::io("reading", &path))?;
        serde_json::from_str(&text)
            .map_err(|error| Error::failed(format!("{error} ({})", path.display())))
    }

    /// A step is done.
    pub(super) fn add(&mut self, step: u64, tokens: usize, loss: f64) {
        self.step = step;
        self.tokens += tokens;
        self.loss = Some(self.loss.map_or(loss, |mean| 0.95 * mean + 0.05 * loss));
    }

    /// Saves it, with the model as it is now.
    pub(super) fn save(
        &self,
        model: &LanguageModel,
        optimizer: &AdamW,
        place: &Path,
    ) -> Result<()> {
        let text =
            serde_json::to_string_pretty(self).map_err(|error| Error::failed(error.to_string()))?;
        staging::replace(&place.join(Self::FOLDER), |folder| {
            model.write(folder)?;
            optimizer.write(&folder.join(Self::STATE))?;
            let path = folder.join(Self::FILE);
            fs::write(&path, &text).map_err(Error::io("saving the progress", &path))?;
            checksums::write(folder)
        })
    }

    /// Removes it, when the model is done.
    pub(super) fn remove(place: &Path) -> Result<()> {
        let folder = place.join(Self::FOLDER);
        staging::remove(&folder).map_err(Error::io("removing an earlier save", &folder))
    }
}
