//! A model as the rest of the program uses it: weights, tokenizer, and the network over them in its
//! two forms.

use super::adapter::LoraAdapter;
use super::decoder::{Decoder, DecoderSpec};
use super::settings::ModelSettings;
use super::tokenizer::TextTokenizer;
use crate::error::{Error, Result};
use crate::files::checksums::sha256;
use crate::weights::{Parameter, WHOLE, Weights};
use candle_core::{DType, Device, Var};
use std::path::Path;

/// A loaded language model.
pub struct LanguageModel {
    /// Its shape.
    pub config: DecoderSpec,
    /// Its text codec.
    pub tokenizer: TextTokenizer,
    /// Its parameters, without those of an adapter.
    pub weights: Weights,
    /// Its adapter, where it has one: then `weights` stay as they are.
    pub adapter: Option<LoraAdapter>,
    /// The network with gradients.
    pub trainable: Decoder,
    /// The same network, seeing the same weights as they change, without gradients.
    pub frozen: Decoder,
    /// What came with it.
    pub(super) settings: ModelSettings,
}

/// Refuses a tokenizer with tokens that the model has not, and a model in which no token ends a
/// response.
pub(super) fn check_tokens(config: &DecoderSpec, tokenizer: &TextTokenizer) -> Result<()> {
    if tokenizer.vocabulary() > config.vocab_size {
        return Err(Error::input(format!(
            "the tokenizer needs {} tokens, but the model's vocab_size is {}; tokenizer.json and \
             config.json do not belong together",
            tokenizer.vocabulary(),
            config.vocab_size
        )));
    }
    if config.eos_token_ids.is_empty() {
        return Err(Error::input(
            "config.json names no eos_token_id; without one no response would ever end",
        ));
    }
    Ok(())
}

impl LanguageModel {
    /// Puts a model together. On a GPU weights that are used together get a place together.
    pub fn new(config: DecoderSpec, tokenizer: TextTokenizer, weights: Weights) -> Result<Self> {
        check_tokens(&config, &tokenizer)?;
        let weights =
            if weights.are_on_gpu() { weights.joined(config.joined_weights())? } else { weights };
        let trainable = Decoder::trainable(&config, &weights)?;
        let frozen = Decoder::frozen(&config, &weights)?;
        Ok(Self {
            config,
            tokenizer,
            weights,
            adapter: None,
            trainable,
            frozen,
            settings: ModelSettings::default(),
        })
    }

    /// The same model with what came with its weights.
    pub(super) fn with_settings(self, settings: ModelSettings) -> Self {
        Self { settings, ..self }
    }

    /// What about the files that it came from is worth a warning.
    pub fn notes(&self) -> &[String] {
        self.settings.notes()
    }

    /// What came with its weights and decides what is sampled: names of files, and SHA-256 of what
    /// they say.
    pub(crate) fn hashes(&self) -> Vec<(&'static str, String)> {
        let of_tokenizer =
            |name: &'static str| (name, sha256(self.tokenizer.companion(name).unwrap_or_default()));
        let mut all = vec![("tokenizer", self.tokenizer.hash())];
        all.extend(["tokenizer_config.json", "special_tokens_map.json"].map(of_tokenizer));
        all.extend(self.settings.texts().map(|(name, text)| (name, sha256(text))));
        all
    }

    /// The same model with an adapter, which is what is trained from now on.
    pub fn with_adapter(self, adapter: LoraAdapter) -> Result<Self> {
        let trainable = Decoder::adapted(&self.config, &self.weights, &adapter, true)?;
        let frozen = Decoder::adapted(&self.config, &self.weights, &adapter, false)?;
        Ok(Self { trainable, frozen, adapter: Some(adapter), ..self })
    }

    /// The same model as one without an adapter: its products are added to the weights, in `f32`,
    /// and rounded to their type.
    pub fn merged(self) -> Result<Self> {
        let Some(adapter) = &self.adapter else { return Ok(self) };
        let weights = self.weights.dequantised(self.trainable.head().dtype())?;
        adapter.merge_into(&weights)?;
        Ok(Self::new(self.config, self.tokenizer, weights)?.with_settings(self.settings))
    }

    /// The same model with weights of another type.
    pub fn converted(self, dtype: DType) -> Result<Self> {
        if self.trainable.head().dtype() == dtype {
            return Ok(self);
        }
        let convert = |(name, variable): (&str, &Parameter)| {
            Ok((
                name.to_string(),
                Var::from_tensor(&variable.as_detached_tensor().to_dtype(dtype)?)?,
            ))
        };
        let weights =
            Weights::of(self.weights.variables().map(convert).collect::<Result<Vec<_>>>()?);
        let matrices = self.weights.quantised();
        let weights = weights.with_quantised(
            matrices.map(|(name, matrix)| (name.to_string(), matrix.to_dtype(dtype))),
        );
        Ok(Self::new(self.config, self.tokenizer, weights)?.with_settings(self.settings))
    }

    /// Writes a Hugging Face folder; the folder must exist. A model with an adapter becomes a PEFT
    /// folder, which holds the adapter and names the base model.
    pub fn write(&self, folder: &Path) -> Result<()> {
        self.tokenizer.write(folder)?;
        if let Some(adapter) = &self.adapter {
            return adapter.write(folder);
        }
        let dtype = self.trainable.head().dtype();
        let weights = self.weights.clone().dequantised(dtype)?;
        weights.write(&folder.join(WHOLE), str::to_string)?;
        let path = folder.join("config.json");
        std::fs::write(&path, self.settings.config_json(&self.config, dtype))
            .map_err(Error::io("writing the model's shape", &path))?;
        let path = folder.join("generation_config.json");
        std::fs::write(&path, self.settings.generation_json(&self.config))
            .map_err(Error::io("writing the generation settings", &path))
    }

    /// The parameters that are trained: those of the adapter where there is one, and else all.
    pub fn trained(&self) -> &Weights {
        self.adapter.as_ref().map_or(&self.weights, LoraAdapter::weights)
    }

    /// Bytes of its parameters that are on a device.
    pub(crate) fn bytes_on(&self, device: &Device) -> u64 {
        let of_adapter = self.adapter.as_ref().map_or(0, |a| a.weights().bytes_on(device));
        (self.weights.bytes_on(device) + of_adapter) as u64
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.config.parameter_count()
    }
}
