//! What a run trains, and what stays as it is.

use super::resume::Resumed;
use crate::error::Result;
use crate::experiment::{Adapter, EncoderSource, Experiment, OptimizerConfig};
use crate::model::{
    BertEncoder, FrozenNetwork, LanguageModel, LoraAdapter, PolicyEncoder, SentenceEncoder, hub,
};
use crate::optim::AdamW;
use crate::run::TrainerState;
use candle_core::{DType, Device};
use std::path::Path;

/// Policy, optimizer and the rest of a run's state as they were in a checkpoint, or as they begin.
pub(super) fn state_of(
    experiment: &Experiment,
    base: LanguageModel,
    resumed: Option<&Resumed>,
    dtype: DType,
    device: &Device,
) -> Result<(LanguageModel, AdamW, TrainerState)> {
    let OptimizerConfig::AdamW(settings) = &experiment.optimizer;
    let settings = settings.settings();
    let Some(resumed) = resumed else {
        let model = policy_of(experiment, base, None, dtype, device)?;
        let optimizer = AdamW::new(model.trained(), settings)?;
        return Ok((model, optimizer, TrainerState::default()));
    };
    let read = || {
        let model = policy_of(experiment, base, Some(&resumed.folder), dtype, device)?;
        let optimizer =
            AdamW::read(model.trained(), settings, &resumed.folder.join("trainer.safetensors"))?;
        Ok((model, optimizer))
    };
    let (model, optimizer) = read().map_err(|error| resumed.way_on(error))?;
    Ok((model, optimizer, resumed.state.clone()))
}

/// The policy as it was in a checkpoint, or as it begins: the base model, or the base model with an
/// adapter.
fn policy_of(
    experiment: &Experiment,
    base: LanguageModel,
    checkpoint: Option<&Path>,
    dtype: DType,
    device: &Device,
) -> Result<LanguageModel> {
    let source = experiment.model.clone();
    match (&experiment.adapter, checkpoint) {
        (Adapter::Full, None) => Ok(base),
        (Adapter::Full, Some(folder)) => base.with_weights_of(folder, dtype, device),
        (Adapter::Lora(config), None) => {
            let adapter =
                LoraAdapter::new(config, source, &base.config, experiment.seed, dtype, device)?;
            base.with_adapter(adapter)
        }
        (Adapter::Lora(config), Some(folder)) => {
            let adapter = LoraAdapter::read(folder, config, source, &base.config, dtype, device)?;
            base.with_adapter(adapter)
        }
    }
}

/// What stays as it is during the run: the reference of the KL term and the sentence encoder.
pub(super) struct FrozenBase {
    pub(super) reference: Option<FrozenNetwork>,
    pub(super) encoder: Option<SentenceEncoder>,
}

impl FrozenBase {
    /// Both are views of one set of weights: the base model's own where these are not trained,
    /// because an adapter is or because training continues from a checkpoint, and a copy where
    /// training begins with them, or where they wait in the machine's memory.
    pub(super) fn new(
        experiment: &Experiment,
        base: &LanguageModel,
        begins: bool,
        device: &Device,
    ) -> Result<Self> {
        let has_kl = experiment.objective.kl.coefficient > 0.0;
        let encoder = experiment.encoder();
        let is_trained = begins && experiment.adapter == Adapter::Full;
        let is_offloaded = experiment.objective.offload_reference == Some(true)
            && experiment.adapter == Adapter::Full;
        let weights = match has_kl || encoder == Some(&EncoderSource::Policy) {
            false => None,
            true if is_offloaded => Some(base.weights.copy(&Device::Cpu)?),
            true if is_trained => Some(base.weights.copy(device)?),
            true => Some(base.weights.clone()),
        };
        let network = || {
            let network = |weights| {
                if is_offloaded {
                    Ok(FrozenNetwork::offloaded(&base.config, weights, device))
                } else {
                    FrozenNetwork::new(&base.config, weights)
                }
            };
            weights.as_ref().map(network).transpose()
        };
        let encoder = match encoder {
            None => None,
            Some(EncoderSource::Policy) => network()?.map(|network| {
                SentenceEncoder::Policy(PolicyEncoder::new(network, base.tokenizer.clone()))
            }),
            Some(EncoderSource::Local(folder)) => {
                Some(SentenceEncoder::Bert(BertEncoder::read(folder, device)?))
            }
            Some(EncoderSource::Hub(source)) => {
                let folder = hub::fetch_encoder(source)?;
                Some(SentenceEncoder::Bert(BertEncoder::read(&folder, device)?))
            }
        };
        Ok(Self { reference: if has_kl { network()? } else { None }, encoder })
    }
}
