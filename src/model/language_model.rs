//! A model as the rest of the program uses it: weights, tokenizer, and the network over them in its two forms.

use super::config::Qwen3Config;
use super::qwen3::Qwen3;
use super::tokenizer::TextTokenizer;
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::experiment::ModelSource;
use candle_core::{DType, Device};
use std::path::Path;

/// A loaded language model.
pub struct LanguageModel {
    /// Its shape.
    pub config: Qwen3Config,
    /// Its text codec.
    pub tokenizer: TextTokenizer,
    /// Its parameters.
    pub weights: Weights,
    /// The network with gradients.
    pub trainable: Qwen3,
    /// The same network, seeing the same weights as they change, without gradients.
    pub frozen: Qwen3,
}

impl LanguageModel {
    /// Puts a model together.
    pub fn new(config: Qwen3Config, tokenizer: TextTokenizer, weights: Weights) -> Result<Self> {
        if tokenizer.vocabulary() > config.vocab_size {
            return Err(Error::input(format!(
                "the tokenizer needs {} tokens, but the model's vocab_size is {}; tokenizer.json and config.json do not belong together",
                tokenizer.vocabulary(),
                config.vocab_size
            )));
        }
        if config.eos_token_ids.is_empty() {
            return Err(Error::input("config.json names no eos_token_id; without one no response would ever end"));
        }
        let trainable = Qwen3::trainable(&config, &weights)?;
        let frozen = Qwen3::frozen(&config, &weights)?;
        Ok(Self { config, tokenizer, weights, trainable, frozen })
    }

    /// Loads the model that an experiment names.
    pub fn load(source: &ModelSource, dtype: DType, device: &Device) -> Result<Self> {
        match source {
            ModelSource::Local(folder) => Self::read(folder, dtype, device),
            ModelSource::Hub(source) => Self::read(&super::hub::fetch_model(source)?, dtype, device),
            ModelSource::Bundled(name) => super::bundled::load(name, dtype, device),
        }
    }

    /// Reads a Hugging Face folder.
    pub fn read(folder: &Path, dtype: DType, device: &Device) -> Result<Self> {
        if !folder.is_dir() {
            return Err(Error::input(format!(
                "the model folder {} does not exist; give a folder with config.json, tokenizer.json and model.safetensors",
                folder.display()
            )));
        }
        let config = Qwen3Config::read(folder)?;
        let tokenizer = TextTokenizer::read(folder)?;
        let weights = Weights::read(&config, folder, dtype, device)?;
        Self::new(config, tokenizer, weights).map_err(|error| match error {
            Error::Input(message) => Error::input(format!("{message} ({})", folder.display())),
            other => other,
        })
    }

    /// Writes a Hugging Face folder; the folder must exist.
    pub fn write(&self, folder: &Path) -> Result<()> {
        self.weights.write(folder)?;
        self.tokenizer.write(folder)?;
        let path = folder.join("config.json");
        std::fs::write(&path, format!("{:#}\n", self.config.to_json()))
            .map_err(Error::io("writing the model's shape", &path))?;
        let path = folder.join("generation_config.json");
        let generation = serde_json::json!({ "do_sample": true, "eos_token_id": self.config.eos_token_ids });
        std::fs::write(&path, format!("{generation:#}\n")).map_err(Error::io("writing the generation settings", &path))
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.config.parameter_count()
    }
}
