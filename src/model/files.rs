//! What a model source holds, looked at before it is loaded: shape, tokenizer and the headers of its tensors.

use super::adapter::{ADAPTER_CONFIG, AdapterFiles};
use super::bundled;
use super::config::Qwen3Config;
use super::hub;
use super::language_model::LanguageModel;
use super::tensor_files::TensorFiles;
use super::tokenizer::TextTokenizer;
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::experiment::{HubRepository, ModelSource};
use crate::files::checksums;
use crate::memory;
use candle_core::{DType, Device};
use std::path::Path;

/// A model that has been found and checked, but not loaded.
pub struct ModelFiles {
    /// Its shape.
    pub config: Qwen3Config,
    /// Its text codec.
    pub tokenizer: TextTokenizer,
    /// Absent where only the shape was asked for.
    tensors: Option<TensorFiles>,
    adapter: Option<AdapterFiles>,
    /// Names the source in messages.
    origin: String,
}

impl ModelFiles {
    /// Finds a model; downloads it where it is on the hub only. Whatever is wrong with it, but for values that are not finite, is
    /// found here: another architecture, missing, truncated and malformed files, missing tensors and ones of another shape.
    pub fn open(source: &ModelSource) -> Result<Self> {
        match source {
            ModelSource::Bundled(name) => {
                let (config, tokenizer, tensors) = bundled::open(name)?;
                let tensors = Some(tensors);
                Ok(Self { config, tokenizer, tensors, adapter: None, origin: format!("bundled model `{name}`") })
            }
            ModelSource::Local(folder) => Self::open_folder(folder),
            ModelSource::Hub(source) => Self::open_folder(&hub::fetch_model(source)?),
        }
    }

    /// A Hugging Face folder of a model, or of a LoRA adapter whose base model can be found.
    pub fn open_folder(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            return Err(Error::input(format!(
                "the model folder {} does not exist; give a folder with config.json, tokenizer.json and model.safetensors",
                folder.display()
            )));
        }
        // A checkpoint says what its weights were when they were written.
        let is_weights = |name: &str| name.ends_with(".safetensors") && !name.starts_with("trainer");
        checksums::verify(folder, is_weights)?;
        if folder.join(ADAPTER_CONFIG).is_file() {
            return Self::open_adapter(folder);
        }
        let config = Qwen3Config::read(folder)?;
        let tokenizer = TextTokenizer::read(folder)?;
        let tensors = TensorFiles::open(folder)?;
        for (name, shape) in config.parameters() {
            tensors.check(&name, &shape)?;
        }
        let tensors = Some(tensors);
        Ok(Self { config, tokenizer, tensors, adapter: None, origin: folder.display().to_string() })
    }

    fn open_adapter(folder: &Path) -> Result<Self> {
        let adapter = AdapterFiles::open(folder)?;
        let base = Self::open(adapter.base()).map_err(|error| {
            Error::input(format!("{error}; it is the base model of the adapter in {}", folder.display()))
        })?;
        if base.adapter.is_some() {
            return Err(Error::input(format!(
                "the base model of the adapter in {} is an adapter itself; merge that with `orthant export` first",
                folder.display()
            )));
        }
        adapter.check(&base.config)?;
        let tokenizer =
            if folder.join("tokenizer.json").is_file() { TextTokenizer::read(folder)? } else { base.tokenizer };
        Ok(Self { tokenizer, adapter: Some(adapter), origin: folder.display().to_string(), ..base })
    }

    /// Shape and tokenizer of a model on the hub, without downloading its weights. It cannot be loaded.
    pub(crate) fn shape_only(source: &HubRepository) -> Result<Self> {
        let folder = hub::fetch_shape(source)?;
        let config = Qwen3Config::read(&folder)?;
        let tokenizer = TextTokenizer::read(&folder)?;
        Ok(Self { config, tokenizer, tensors: None, adapter: None, origin: source.to_string() })
    }

    /// Loads it. A device without room for the weights is an input error.
    pub fn load(self, dtype: DType, device: &Device) -> Result<LanguageModel> {
        let needed = (self.config.parameter_count() * dtype.size_in_bytes()) as u64;
        if let Some(free) = memory::available(device).filter(|&free| free < needed) {
            return Err(Error::input(format!(
                "the weights take {} in {dtype:?}, but {} has {} free; {} ({})",
                memory::in_gib(needed),
                memory::device_name(device),
                memory::in_gib(free),
                if dtype == DType::F32 { "bf16 takes half of it" } else { "choose a smaller model or another device" },
                self.origin
            )));
        }
        let tensors = self.tensors.ok_or_else(|| Error::failed(format!("{} was not downloaded", self.origin)))?;
        let weights = Weights::of_files(&self.config, &tensors, dtype, device)?;
        let model = LanguageModel::new(self.config, self.tokenizer, weights).map_err(|error| match error {
            Error::Input(message) => Error::input(format!("{message} ({})", self.origin)),
            other => other,
        })?;
        match self.adapter {
            None => Ok(model),
            Some(adapter) => {
                let adapter = adapter.load(&model.config, dtype, device)?;
                model.with_adapter(adapter)
            }
        }
    }
}
