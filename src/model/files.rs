//! What a model source holds, looked at before it is loaded: shape, tokenizer and the headers of
//! its tensors; and how it is loaded.

use super::adapter::ADAPTER_CONFIG;
use super::adapter_files::{AdapterFiles, FittingAdapter};
use super::bundled;
use super::decoder::{DecoderSpec, EMBEDDINGS, HEAD, LAYERS};
use super::device::data_type;
use super::hub;
use super::language_model::{LanguageModel, check_tokens};
use super::settings::ModelSettings;
use super::tokenizer::TextTokenizer;
use crate::error::{Error, Result};
use crate::experiment::{HubRepository, ModelSource, Quantisation};
use crate::files::{checksums, folder};
use crate::machine;
use crate::run::RunDir;
use crate::weights::{TensorFiles, Weights, is_table};
use candle_core::{DType, Device};
use std::collections::BTreeSet;
use std::path::Path;

/// A model that has been found and checked, but not loaded.
pub struct ModelFiles {
    /// Its shape.
    pub config: DecoderSpec,
    /// Its text codec.
    pub tokenizer: TextTokenizer,
    /// What came with it.
    settings: ModelSettings,
    /// Absent where only the shape was asked for.
    tensors: Option<TensorFiles>,
    adapter: Option<FittingAdapter>,
    /// In how many bits its linear layers are to be kept.
    quantised: Option<Quantisation>,
    /// The type whose values the weights have: the precision of the run that trained the adapter.
    /// Left out, the one that they are loaded in.
    rounded: Option<DType>,
    /// Names the source in messages.
    origin: String,
}

impl ModelFiles {
    /// Finds a model; downloads it where it is on the hub only. Whatever is wrong with it, but for
    /// values that are not finite, is found here: another architecture, missing, truncated and
    /// malformed files, missing tensors and ones of another shape.
    pub fn open(source: &ModelSource) -> Result<Self> {
        Self::open_on(source, None)
    }

    /// [`Self::open`] of an adapter, for the base model `base` in place of the one that the adapter
    /// names.
    pub fn open_on(source: &ModelSource, base: Option<&ModelSource>) -> Result<Self> {
        match source {
            ModelSource::Bundled(name) => {
                let (config, tokenizer, tensors) = bundled::open(name)?;
                let origin = format!("bundled model `{name}`");
                no_base(base, &origin)?;
                Self::new(config, tokenizer, ModelSettings::default(), Some(tensors), origin)
            }
            ModelSource::Local(folder) => Self::open_in(folder, base),
            ModelSource::Hub(source) => Self::open_in(&hub::fetch_model(source)?, base),
        }
    }

    /// A Hugging Face folder of a model, or of a LoRA adapter whose base model can be found.
    pub fn open_folder(folder: &Path) -> Result<Self> {
        Self::open_in(folder, None)
    }

    fn open_in(folder: &Path, base: Option<&ModelSource>) -> Result<Self> {
        if !folder.is_dir() {
            return Err(Error::input(format!(
                "the model folder {} does not exist; give a folder with config.json, \
                 tokenizer.json and model.safetensors",
                folder.display()
            )));
        }
        // A checkpoint says what its files were when they were written.
        checksums::verify_model(folder)?;
        if is_adapter(folder) {
            return Self::open_adapter(folder, base);
        }
        let origin = folder.display().to_string();
        no_base(base, &origin)?;
        let (mut config, settings) = ModelSettings::read(folder)?;
        let tokenizer = TextTokenizer::read(folder)?;
        let mut tensors = TensorFiles::open(folder)?;
        settle_head(&mut config, &mut tensors)?;
        check_tensors(&config, &tensors)?;
        Self::new(config, tokenizer, settings, Some(tensors), origin)
    }

    fn new(
        config: DecoderSpec,
        tokenizer: TextTokenizer,
        mut settings: ModelSettings,
        tensors: Option<TensorFiles>,
        origin: String,
    ) -> Result<Self> {
        let located = |error: Error| Error::input(format!("{error} ({origin})"));
        check_tokens(&config, &tokenizer).map_err(located)?;
        settings.compare(&config, &tokenizer)?;
        Ok(Self {
            config,
            tokenizer,
            settings,
            tensors,
            adapter: None,
            quantised: None,
            rounded: None,
            origin,
        })
    }

    fn open_adapter(folder: &Path, base: Option<&ModelSource>) -> Result<Self> {
        let adapter = AdapterFiles::open(folder)?;
        let base = base.cloned().map_or_else(|| adapter.base(), Ok)?;
        if matches!(&base, ModelSource::Local(base) if is_adapter(base)) {
            return Err(Error::input(format!(
                "the base model of the adapter in {} is an adapter itself; merge that with \
                 `orthant export` first",
                folder.display()
            )));
        }
        let mut model = Self::open(&base).map_err(|error| {
            Error::input(format!(
                "{error}; it is the base model of the adapter in {}, and --base gives another one \
                 to a command",
                folder.display()
            ))
        })?;
        let adapter = adapter.fit(base, &model.config)?;
        if folder::member(folder, "tokenizer.json")?.is_some() {
            model.tokenizer = TextTokenizer::read(folder)?;
            let located = |error: Error| Error::input(format!("{error} ({})", folder.display()));
            check_tokens(&model.config, &model.tokenizer).map_err(located)?;
            model.settings.compare(&model.config, &model.tokenizer)?;
        }
        // It was trained on its base model as the run had it.
        let run = RunDir::checkpoint_experiment(folder)?;
        let quantised = run.as_ref().and_then(|experiment| experiment.quantize_base);
        let rounded = run.map(|experiment| data_type(experiment.precision));
        let origin = folder.display().to_string();
        Ok(Self { adapter: Some(adapter), quantised, rounded, origin, ..model })
    }

    /// Shape and tokenizer of a model on the hub, without downloading its weights. It cannot be
    /// loaded.
    pub(crate) fn shape_only(source: &HubRepository) -> Result<Self> {
        let folder = hub::fetch_shape(source)?;
        let (config, settings) = ModelSettings::read(&folder)?;
        Self::new(config, TextTokenizer::read(&folder)?, settings, None, source.to_string())
    }

    /// Whether it is a whole model, and no adapter.
    pub(crate) fn is_whole(&self) -> bool {
        self.adapter.is_none()
    }

    /// The same, of whose linear layers each is put into few bits as soon as it is read.
    pub(crate) fn quantised(self, quantised: Option<Quantisation>) -> Self {
        Self { quantised, ..self }
    }

    /// What about it is worth a warning.
    pub fn notes(&self) -> &[String] {
        self.settings.notes()
    }

    /// Loads it. A device without room for the weights is an input error.
    pub fn load(self, dtype: DType, device: &Device) -> Result<LanguageModel> {
        // An adapter's base model is decoded where the two are merged: both forms are there then.
        let (size, quantised) = (dtype.size_in_bytes(), self.quantised);
        let needed = if self.is_whole() {
            self.config.weight_bytes(size, quantised)
        } else {
            let codes = quantised.map_or(0, |_| self.config.weight_bytes(0, quantised));
            self.config.weight_bytes(size, None) + codes
        };
        let needed = needed as u64;
        if let Some(free) = machine::available(device).filter(|&free| free < needed) {
            return Err(Error::input(format!(
                "the weights take {} in {dtype:?}, but {} has {} free; {} ({})",
                machine::in_gib(needed),
                machine::device_name(device),
                machine::in_gib(free),
                if dtype == DType::F32 {
                    "bf16 takes half of it"
                } else {
                    "choose a smaller model or another device"
                },
                self.origin
            )));
        }
        let tensors = self
            .tensors
            .ok_or_else(|| Error::failed(format!("{} was not downloaded", self.origin)))?;
        let rounded = self.rounded.unwrap_or(dtype);
        let weights = Weights::of_files(&self.config, &tensors, dtype, device, quantised, rounded)?;
        // A matrix in few bits stands for one type, which must be that of all others.
        let weights = if rounded == dtype { weights } else { weights.dequantised(dtype)? };
        let model =
            LanguageModel::new(self.config, self.tokenizer, weights).map_err(
                |error| match error {
                    Error::Input(message) => Error::input(format!("{message} ({})", self.origin)),
                    other => other,
                },
            )?;
        let model = model.with_settings(self.settings);
        match self.adapter {
            None => Ok(model),
            Some(adapter) => {
                let adapter = adapter.load(dtype, device)?;
                model.with_adapter(adapter)
            }
        }
    }
}

impl LanguageModel {
    /// Loads the model that an experiment names.
    pub fn load(source: &ModelSource, dtype: DType, device: &Device) -> Result<Self> {
        ModelFiles::open(source)?.load(dtype, device)
    }

    /// [`Self::load`] of an adapter, for the base model `base` in place of the one that the adapter
    /// names.
    pub fn load_on(
        source: &ModelSource,
        base: Option<&ModelSource>,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        ModelFiles::open_on(source, base)?.load(dtype, device)
    }

    /// Reads a Hugging Face folder, of a model or of an adapter.
    pub fn read(folder: &Path, dtype: DType, device: &Device) -> Result<Self> {
        ModelFiles::open_folder(folder)?.load(dtype, device)
    }

    /// The same model with the weights of a checkpoint in `folder`, which must have its shape. Its
    /// own weights are given back first.
    pub(crate) fn with_weights_of(
        self,
        folder: &Path,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let Self { config, tokenizer, settings, .. } = self;
        let checkpoint = Self::read(folder, dtype, device)?;
        Ok(Self::new(config, tokenizer, checkpoint.weights)?.with_settings(settings))
    }
}

fn is_adapter(folder: &Path) -> bool {
    folder.join(ADAPTER_CONFIG).exists()
}

/// Refuses a base model for what is not an adapter.
fn no_base(base: Option<&ModelSource>, origin: &str) -> Result<()> {
    match base {
        None => Ok(()),
        Some(_) => Err(Error::input(format!(
            "{origin} is a whole model, not an adapter; leave --base out"
        ))),
    }
}

/// The head where the settings call it tied, as Transformers decides it: one that is in the files
/// with other values than the embeddings is read, and where only the head is in the files, it is
/// the embeddings.
fn settle_head(config: &mut DecoderSpec, tensors: &mut TensorFiles) -> Result<()> {
    const NAMES: [&str; 2] = [EMBEDDINGS, HEAD];
    let [has_embeddings, has_head] = NAMES.map(|name| tensors.has(name));
    if config.tie_word_embeddings && has_head {
        if has_embeddings {
            let shape = [config.vocab_size, config.hidden_size];
            config.tie_word_embeddings = tensors.are_equal(NAMES, &shape)?;
        } else {
            tensors.alias(NAMES[1], NAMES[0]);
        }
    }
    Ok(())
}

/// Refuses files without a tensor of the model, and files with one that belongs to nothing that
/// `config.json` describes.
fn check_tensors(config: &DecoderSpec, tensors: &TensorFiles) -> Result<()> {
    let parameters = config.parameters();
    for (name, shape) in &parameters {
        tensors.check(name, shape).map_err(|error| match name.as_str() {
            HEAD if !tensors.has(name) => Error::input(format!(
                "{error}; where the head is the embedding matrix, config.json must say \
                 \"tie_word_embeddings\": true"
            )),
            name if name.starts_with(LAYERS) && !tensors.has(name) => Error::input(format!(
                "{error}; config.json asks for {} layers of type {:?}, which have it",
                config.num_hidden_layers,
                config.family.name()
            )),
            _ => error,
        })?;
    }
    let known: BTreeSet<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    // A tied head is the embeddings again.
    let is_spare = |name: &str| is_table(name) || name == HEAD;
    match tensors.names().find(|name| !known.contains(name) && !is_spare(name)) {
        None => Ok(()),
        Some(name) => Err(Error::input(format!(
            "the tensor `{name}` belongs to nothing that config.json describes; correct \
             config.json, or take the tensor out ({})",
            tensors.origin(name)
        ))),
    }
}
