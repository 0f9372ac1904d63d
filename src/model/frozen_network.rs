//! A network that is not trained: the reference of the KL term, or what responses are embedded by.

use super::decoder::{Decoder, DecoderSpec};
use crate::error::Result;
use crate::weights::Weights;
use candle_core::Device;

/// A network that is not trained, on its device or waiting in the machine's memory.
pub struct FrozenNetwork(Place);

enum Place {
    Device(Decoder),
    Host { config: DecoderSpec, weights: Weights, device: Device },
}

impl FrozenNetwork {
    /// The network over `weights`, whose memory it shares.
    pub fn new(config: &DecoderSpec, weights: &Weights) -> Result<Self> {
        Ok(Self(Place::Device(Decoder::frozen(config, weights)?)))
    }

    /// The network over `weights`, which wait where they are and are on `device` only while they
    /// are used.
    pub fn offloaded(config: &DecoderSpec, weights: &Weights, device: &Device) -> Self {
        Self(Place::Host {
            config: config.clone(),
            weights: weights.clone(),
            device: device.clone(),
        })
    }

    /// Does `work` with the network. An offloaded one is brought to its device before and leaves it
    /// after: all that a step asks of it should be asked in one go.
    pub fn with<T>(&self, work: impl FnOnce(&Decoder) -> Result<T>) -> Result<T> {
        match &self.0 {
            Place::Device(network) => work(network),
            Place::Host { config, weights, device } => {
                work(&Decoder::frozen_on(config, weights, device)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::decoder::PackedTokens;
    use super::super::language_model::LanguageModel;
    use super::*;
    use crate::experiment::ModelSource;
    use candle_core::DType;

    #[test]
    fn an_offloaded_network_says_the_same_and_does_not_follow_training() {
        let source = ModelSource::Bundled("countdown".to_string());
        let LanguageModel { config, weights, .. } =
            LanguageModel::load(&source, DType::F32, &Device::Cpu).unwrap();
        let ids: Vec<u32> = (1..20).collect();
        let hidden = |network: &FrozenNetwork| -> Vec<f32> {
            let run = |network: &Decoder| {
                Ok(network
                    .forward(&PackedTokens::new([ids.as_slice()]))?
                    .flatten_all()?
                    .to_vec1()?)
            };
            network.with(run).unwrap()
        };
        let shared = FrozenNetwork::new(&config, &weights).unwrap();
        let offloaded =
            FrozenNetwork::offloaded(&config, &weights.copy(&Device::Cpu).unwrap(), &Device::Cpu);
        let before = hidden(&shared);
        assert_eq!(before, hidden(&offloaded));
        for (_, variable) in weights.variables() {
            variable.set(&(variable.as_tensor() * 0.5).unwrap()).unwrap();
        }
        assert_eq!(before, hidden(&offloaded));
        assert_ne!(before, hidden(&shared), "this one shares the memory that has changed");
    }
}
