//! Products of one input with several weights as one product, where the weights stand behind each
//! other in memory. That is how a GPU keeps those of a layer's projections to queries, keys and
//! values, and those of its MLP's gates and of what they gate; elsewhere, and with biases, adapters
//! or matrices in four bits, each product is its own.

use super::parts::Part;
use super::spec::DecoderSpec;
use super::weight::Weight;
use crate::kernels::{LayerParts, linear, linear_parts};
use candle_core::{Result, Tensor};

/// The joined weights of a layer.
pub(super) struct Joined {
    /// Of queries, keys and values: ((heads + 2 `kv_heads`) * `head_dim`, hidden).
    qkv: Option<Tensor>,
    /// Of gates and what they gate: (2 intermediate, hidden).
    gate_up: Option<Tensor>,
}

/// A layer's weights that may stand behind each other.
fn groups<T>(parts: &LayerParts<T>) -> [Vec<&T>; 2] {
    [vec![&parts.q_proj, &parts.k_proj, &parts.v_proj], vec![&parts.gate_proj, &parts.up_proj]]
}

impl DecoderSpec {
    /// The names of the weights of all layers that are to stand behind each other.
    pub(in crate::model) fn joined_weights(&self) -> impl Iterator<Item = Vec<String>> + '_ {
        (0..self.num_hidden_layers).flat_map(|index| {
            let parts: LayerParts<Part> = self.layer_parts(index);
            groups(&parts).map(|group| group.into_iter().map(|part| part.name.clone()).collect())
        })
    }
}

impl Joined {
    /// Of the layer with these parts; `together` finds weights of some names as one, where they are.
    pub(super) fn of(
        names: &LayerParts<Part>,
        weights: &LayerParts<Weight>,
        together: &dyn Fn(&[String]) -> Option<Tensor>,
    ) -> Self {
        let names = groups(names).map(|group| {
            let names: Vec<String> = group.into_iter().map(|part| part.name.clone()).collect();
            together(&names)
        });
        let are_plain = groups(weights).map(|group| group.into_iter().all(Weight::is_plain));
        let [qkv, gate_up] = names;
        let [qkv_plain, gate_up_plain] = are_plain;
        let has_biases = weights.q_bias.is_some();
        Self {
            qkv: qkv.filter(|_| qkv_plain && !has_biases),
            gate_up: gate_up.filter(|_| gate_up_plain),
        }
    }

    /// Queries, keys and values of x (n, hidden), side by side.
    pub(super) fn attention(&self, parts: &LayerParts<Weight>, x: &Tensor) -> Result<Tensor> {
        match &self.qkv {
            Some(weight) => linear(x, weight),
            None => Tensor::cat(&Self::each_of_attention(parts, x)?, 1),
        }
    }

    /// Gates and what they gate of x (n, hidden), side by side.
    pub(super) fn mlp(&self, parts: &LayerParts<Weight>, x: &Tensor) -> Result<Tensor> {
        match &self.gate_up {
            Some(weight) => linear(x, weight),
            None => Tensor::cat(&Self::each_of_mlp(parts, x)?, 1),
        }
    }

    /// Queries, keys and values of x (n, hidden), each by itself. Where joined weights are trained,
    /// backward is one product for each gradient.
    pub(super) fn apart_of_attention(
        &self,
        parts: &LayerParts<Weight>,
        x: &Tensor,
    ) -> Result<[Tensor; 3]> {
        match &self.qkv {
            Some(weight) if weight.track_op() => {
                let sizes = [&parts.q_proj, &parts.k_proj, &parts.v_proj].map(Weight::rows);
                linear_parts(x, weight, sizes)
            }
            _ => Self::each_of_attention(parts, x),
        }
    }

    /// Gates and what they gate of x (n, hidden), likewise.
    pub(super) fn apart_of_mlp(
        &self,
        parts: &LayerParts<Weight>,
        x: &Tensor,
    ) -> Result<[Tensor; 2]> {
        match &self.gate_up {
            Some(weight) if weight.track_op() => {
                linear_parts(x, weight, [&parts.gate_proj, &parts.up_proj].map(Weight::rows))
            }
            _ => Self::each_of_mlp(parts, x),
        }
    }

    fn each_of_attention(parts: &LayerParts<Weight>, x: &Tensor) -> Result<[Tensor; 3]> {
        Ok([
            parts.q_proj.apply(x, parts.q_bias.as_ref())?,
            parts.k_proj.apply(x, parts.k_bias.as_ref())?,
            parts.v_proj.apply(x, parts.v_bias.as_ref())?,
        ])
    }

    fn each_of_mlp(parts: &LayerParts<Weight>, x: &Tensor) -> Result<[Tensor; 2]> {
        Ok([parts.gate_proj.apply(x, None)?, parts.up_proj.apply(x, None)?])
    }
}

#[cfg(test)]
mod tests {
    use super::super::network::Decoder;
    use super::super::packed::PackedTokens;
    use super::*;
    use crate::kernels::check::{difference, random, values};
    use crate::model::ResponseBatch;
    use crate::optim::{AdamW, AdamWSettings, Gradients};
    use crate::weights::Weights;
    use candle_core::{DType, Device};

    fn weights(family: &str) -> (DecoderSpec, Weights) {
        let spec = DecoderSpec::parse(&format!(
            r#"{{"model_type": "{family}", "vocab_size": 48, "hidden_size": 36,
            "intermediate_size": 56, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": 18, "max_position_embeddings": 96,
            "tie_word_embeddings": true, "eos_token_id": 2}}"#
        ))
        .unwrap();
        let weights = Weights::random(&spec, 0.3, 11, DType::F32, &Device::Cpu).unwrap();
        for (index, (_, variable)) in weights.variables().enumerate() {
            if variable.rank() == 1 {
                let noise = (random(variable.dims(), index as u64) * 0.3).unwrap();
                variable.set(&(variable.as_tensor() + noise).unwrap()).unwrap();
            }
        }
        (spec, weights)
    }

    fn joined(spec: &DecoderSpec, weights: &Weights) -> Weights {
        let own = weights.copy(&Device::Cpu).unwrap();
        own.joined(spec.joined_weights()).unwrap()
    }

    /// Families with and without biases.
    #[test]
    fn products_of_joined_weights_are_those_of_separate_ones() {
        for family in ["qwen3", "qwen2", "olmo2"] {
            let (spec, weights) = weights(family);
            let together = joined(&spec, &weights);
            let layers = Decoder::frozen(&spec, &together).unwrap().layers;
            let has_biases = spec.qkv_bias;
            assert!(layers.iter().all(|layer| {
                let Joined { qkv, gate_up } = &layer.joined;
                qkv.is_some() != has_biases && gate_up.is_some()
            }));
            let ids: Vec<u32> = (0..30).map(|i| i * 7 % 48).collect();
            let prompts: [&[u32]; 2] = [&ids[..9], &ids[9..11]];
            let run = |weights: &Weights| {
                let network = Decoder::frozen(&spec, weights).unwrap();
                let (first, mut cache) = network.prefill_grouped(&prompts, 3, 5).unwrap();
                let mut all = vec![first];
                for step in 0..5 {
                    let tokens: Vec<u32> = (0..6).map(|row| (row * 11 + step * 5) % 48).collect();
                    all.push(network.decode_grouped(&tokens, &mut cache).unwrap());
                }
                all
            };
            for (a, b) in run(&together).iter().zip(run(&weights)) {
                let off = difference(a, &b);
                assert!(off < 1e-5, "{family}: {off:e}");
            }
        }
    }

    /// Of the same steps, in one graph and with a graph a layer.
    #[test]
    fn joined_weights_are_trained_as_separate_ones_are() {
        let (spec, weights) = weights("qwen3");
        let ids: Vec<u32> = (0..30).map(|i| i * 7 % 48).collect();
        let batch = ResponseBatch::new(&[(&ids[..9], &ids[9..17]), (&ids[..9], &ids[17..])]);
        let batch = batch.unwrap();
        let settings = AdamWSettings {
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.1,
            max_grad_norm: 1.0,
        };
        let train = |weights: &Weights, recompute: bool| {
            let network = Decoder::trainable(&spec, weights).unwrap();
            let mut optimizer = AdamW::new(weights, settings).unwrap();
            let mut norms = Vec::new();
            for _ in 0..2 {
                let mut gradients = Gradients::zeros(weights).unwrap();
                let loss = |statistics: &Tensor| statistics.narrow(1, 0, 1).unwrap().mean_all();
                if recompute {
                    let (statistics, layers) =
                        network.response_logprobs_recomputed(&batch, 1.0).unwrap();
                    let loss = loss(&statistics).unwrap();
                    let add = |store: &_| gradients.accumulate_part(weights, store);
                    network.backward(&loss, layers, add).unwrap();
                    gradients.check_complete().unwrap();
                } else {
                    let loss = loss(&network.response_logprobs(&batch, 1.0).unwrap()).unwrap();
                    gradients.accumulate(weights, &loss.backward().unwrap()).unwrap();
                }
                norms.push(gradients.norm().unwrap());
                optimizer.step(&gradients, norms[norms.len() - 1], 1e-3).unwrap();
            }
            norms
        };
        for recompute in [false, true] {
            let (own, together) = (weights.copy(&Device::Cpu).unwrap(), joined(&spec, &weights));
            let (expected, found) = (train(&own, recompute), train(&together, recompute));
            for (a, b) in found.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-4 * b, "{found:?} {expected:?}");
            }
            for ((name, a), (_, b)) in together.variables().zip(own.variables()) {
                let off = difference(a, b);
                assert!(off < 2e-5, "{name}: {off:e}");
                let before = weights.get(name).unwrap();
                assert!(difference(b, &before) > 1e-4, "{name} has not been trained");
            }
            // What was trained is what the frozen network sees.
            let tokens = PackedTokens::new([&ids[..]]);
            let [a, b] = [&own, &together]
                .map(|weights| Decoder::frozen(&spec, weights).unwrap().forward(&tokens).unwrap());
            assert!(difference(&a, &b) < 1e-3);
        }
    }

    #[test]
    fn joined_weights_are_written_hashed_and_copied_as_separate_ones_are() {
        let (spec, weights) = weights("qwen3");
        let together = joined(&spec, &weights);
        assert_eq!(together.hash().unwrap(), weights.hash().unwrap());
        let copy = together.copy(&Device::Cpu).unwrap();
        let name = "model.layers.1.mlp.up_proj.weight";
        let value = (weights.get(name).unwrap() + 1.0).unwrap();
        together.variable(name).unwrap().set(&value).unwrap();
        assert_eq!(values(&copy.get(name).unwrap()), values(&weights.get(name).unwrap()));
        let folder = tempfile::tempdir().unwrap();
        together.write(&folder.path().join("model.safetensors"), str::to_string).unwrap();
        let read = Weights::read(&spec, folder.path(), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(read.hash().unwrap(), together.hash().unwrap());
        assert_eq!(values(&read.get(name).unwrap()), values(&value));
        // Joining what is joined changes nothing.
        let again = together.clone().joined(spec.joined_weights()).unwrap();
        let group = spec.joined_weights().next().unwrap();
        let id = |weights: &Weights| weights.together(&group).unwrap().id();
        assert_eq!(id(&again), id(&together));
        let backwards: Vec<String> = group.iter().rev().cloned().collect();
        assert!(together.together(&backwards).is_none() && weights.together(&group).is_none());
        assert!(together.together(&group[..2]).is_none());
    }
}
