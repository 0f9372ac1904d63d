//! LoRA (Hu et al., arXiv 2106.09685): some linear layers compute x W^T + (alpha / r) (x A^T) B^T,
//! and only A (r, in) and B (out, r) are trained. A starts at random, uniform within 1 / sqrt(in)
//! as in PEFT, and B at zero, so that training starts from the base model.
//!
//! In files an adapter is what Python's PEFT reads and writes: `adapter_config.json`, which names
//! the base model, and `adapter_model.safetensors`.

use super::decoder::{DecoderSpec, LowRank};
use crate::error::{Error, Result};
use crate::experiment::{LoraConfig, ModelSource};
use crate::rng::{self, Domain};
use crate::weights::Weights;
use candle_core::{DType, Device, Tensor, Var};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The settings of an adapter in its folder.
pub(super) const ADAPTER_CONFIG: &str = "adapter_config.json";

/// The weights of an adapter in its folder.
pub(super) const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";

/// What PEFT puts before the names of a model's modules.
pub(super) const PREFIX: &str = "base_model.model.";

/// A trainable low-rank addition to a model.
pub struct LoraAdapter {
    /// What stands in `adapter_config.json`, but for the base model.
    settings: Map<String, Value>,
    base: ModelSource,
    /// What the product of each adapted module, such as `model.layers.0.self_attn.q_proj`, is
    /// multiplied by.
    scales: BTreeMap<String, f64>,
    /// `model.layers.0.self_attn.q_proj.lora_A.weight` and so on.
    weights: Weights,
}

impl LoraAdapter {
    /// A new adapter of `base`, a model of this shape, that changes nothing yet.
    pub fn new(
        config: &LoraConfig,
        base: ModelSource,
        shape: &DecoderSpec,
        seed: u64,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let mut variables = Vec::new();
        for (index, (name, shape)) in parameters(config, shape).into_iter().enumerate() {
            let count: usize = shape.iter().product();
            let values: Vec<f32> = if name.ends_with("lora_A.weight") {
                let bound = 1.0 / (shape[1] as f32).sqrt();
                let mut stream = rng::stream(seed, Domain::Adapters, [0, index as u64, 0]);
                (0..count).map(|_| bound * (2.0 * rng::unit_f32(&mut stream) - 1.0)).collect()
            } else {
                vec![0.0; count]
            };
            let tensor = Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?;
            variables.push((name, Var::from_tensor(&tensor)?));
        }
        Ok(Self::of_config(config, base, Weights::of(variables)))
    }

    /// An adapter whose settings are those of an experiment.
    pub(super) fn of_config(config: &LoraConfig, base: ModelSource, weights: Weights) -> Self {
        let modules =
            weights.variables().filter_map(|(name, _)| name.strip_suffix(".lora_A.weight"));
        let scales = modules.map(|module| (module.to_string(), config.scale())).collect();
        Self { settings: settings(config), base, scales, weights }
    }

    pub(super) fn of(
        settings: Map<String, Value>,
        base: ModelSource,
        scales: BTreeMap<String, f64>,
        weights: Weights,
    ) -> Self {
        Self { settings, base, scales, weights }
    }

    /// Its parameters.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// What it adds to the linear layer of that name, such as `model.layers.0.self_attn.q_proj`.
    pub(super) fn low_rank(&self, module: &str, tracked: bool) -> Result<Option<LowRank>> {
        let Some(&scale) = self.scales.get(module) else { return Ok(None) };
        let get = |matrix: &str| {
            let tensor = self.weights.get(&format!("{module}.lora_{matrix}.weight"))?;
            Ok::<_, Error>(if tracked { tensor } else { tensor.detach() })
        };
        Ok(Some(LowRank { a: get("A")?, b: get("B")?, scale }))
    }

    /// Adds it to the weights of its base model, in `f32`.
    pub(super) fn merge_into(&self, base: &Weights) -> Result<()> {
        for (name, variable) in base.variables() {
            let Some(LowRank { a, b, scale }) = name
                .strip_suffix(".weight")
                .map(|module| self.low_rank(module, false))
                .transpose()?
                .flatten()
            else {
                continue;
            };
            let product = (b.to_dtype(DType::F32)?.matmul(&a.to_dtype(DType::F32)?)? * scale)?;
            let merged = (variable.as_detached_tensor().to_dtype(DType::F32)? + product)?;
            variable.set(&merged.to_dtype(variable.dtype())?)?;
        }
        Ok(())
    }

    /// Writes a PEFT folder; the folder must exist.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        self.weights.write(&folder.join(ADAPTER_WEIGHTS), |name| format!("{PREFIX}{name}"))?;
        let (base, revision) = match &self.base {
            ModelSource::Bundled(name) => (name.clone(), None),
            ModelSource::Local(folder) => (folder.display().to_string(), None),
            ModelSource::Hub(source) => (source.repo.clone(), Some(source.revision.clone())),
        };
        let mut config = self.settings.clone();
        config.insert("base_model_name_or_path".to_string(), base.into());
        config.insert("revision".to_string(), revision.into());
        let config = Value::Object(config);
        let path = folder.join(ADAPTER_CONFIG);
        std::fs::write(&path, format!("{config:#}\n"))
            .map_err(Error::io("writing the adapter's settings", &path))
    }
}

/// The settings of a new adapter as PEFT reads them.
fn settings(config: &LoraConfig) -> Map<String, Value> {
    let targets: Vec<&str> = config.targets.iter().map(|target| target.name()).collect();
    let settings = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": null,
        "revision": null,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": 0.0,
        "target_modules": targets,
        "bias": "none",
        "fan_in_fan_out": false,
        "use_rslora": false,
        "use_dora": false,
        "modules_to_save": null,
        "inference_mode": true,
    });
    let Value::Object(settings) = settings else { return Map::new() };
    settings
}

/// Names and shapes of an adapter's parameters.
pub(crate) fn parameters(config: &LoraConfig, shape: &DecoderSpec) -> Vec<(String, Vec<usize>)> {
    let mut all = Vec::new();
    for (module, dims) in shape.linear_layers() {
        if config.targets.iter().any(|target| module.ends_with(target.module())) {
            all.push((format!("{module}.lora_A.weight"), vec![config.rank, dims[1]]));
            all.push((format!("{module}.lora_B.weight"), vec![dims[0], config.rank]));
        }
    }
    all
}
