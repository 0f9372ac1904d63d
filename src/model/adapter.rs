//! LoRA (Hu et al., arXiv 2106.09685): some linear layers compute x W^T + (alpha / r) (x A^T) B^T, and only A (r, in) and B (out, r)
//! are trained. A starts at random, uniform within 1 / sqrt(in) as in PEFT, and B at zero, so that training starts from the base model.
//!
//! In files an adapter is what Python's PEFT reads and writes: `adapter_config.json`, which names the base model, and
//! `adapter_model.safetensors`.

use super::bundled;
use super::config::Qwen3Config;
use super::projection::LowRank;
use super::tensor_files::TensorFiles;
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::experiment::{HubRepository, LoraConfig, LoraTarget, ModelSource};
use crate::rng::{self, Domain};
use candle_core::{DType, Device, Tensor, Var};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The settings of an adapter in its folder.
pub(super) const ADAPTER_CONFIG: &str = "adapter_config.json";

/// The weights of an adapter in its folder.
const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";

/// What PEFT puts before the names of a model's modules.
const PREFIX: &str = "base_model.model.";

/// A trainable low-rank addition to a model.
pub struct LoraAdapter {
    config: LoraConfig,
    base: ModelSource,
    /// `model.layers.0.self_attn.q_proj.lora_A.weight` and so on.
    weights: Weights,
}

impl LoraAdapter {
    /// A new adapter of `base`, a model of this shape, that changes nothing yet.
    pub fn new(
        config: &LoraConfig,
        base: ModelSource,
        shape: &Qwen3Config,
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
        Ok(Self { config: config.clone(), base, weights: Weights::of(variables) })
    }

    /// The adapter in a checkpoint, with the settings that the experiment gives.
    pub fn read(
        folder: &Path,
        config: &LoraConfig,
        base: ModelSource,
        shape: &Qwen3Config,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let files =
            AdapterFiles { folder: folder.to_path_buf(), config: config.clone(), base, ..AdapterFiles::open(folder)? };
        files.check(shape)?;
        files.load(shape, dtype, device)
    }

    /// Its parameters.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// What it adds to the linear layer of that name, such as `model.layers.0.self_attn.q_proj`.
    pub(super) fn low_rank(&self, module: &str, tracked: bool) -> Result<Option<LowRank>> {
        let is_adapted = self.config.targets.iter().any(|target| module.ends_with(target.module()));
        if !is_adapted {
            return Ok(None);
        }
        let get = |matrix: &str| {
            let tensor = self.weights.get(&format!("{module}.lora_{matrix}.weight"))?;
            Ok::<_, Error>(if tracked { tensor } else { tensor.detach() })
        };
        Ok(Some(LowRank { a: get("A")?, b: get("B")?, scale: self.config.scale() }))
    }

    /// Adds it to the weights of its base model, in `f32`.
    pub(super) fn merge_into(&self, base: &Weights) -> Result<()> {
        for (name, variable) in base.variables() {
            let Some(LowRank { a, b, scale }) =
                name.strip_suffix(".weight").map(|module| self.low_rank(module, false)).transpose()?.flatten()
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
        let targets: Vec<&str> = self.config.targets.iter().map(|target| target.name()).collect();
        let config = serde_json::json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base,
            "revision": revision,
            "r": self.config.rank,
            "lora_alpha": self.config.alpha,
            "lora_dropout": 0.0,
            "target_modules": targets,
            "bias": "none",
            "fan_in_fan_out": false,
            "use_rslora": false,
            "use_dora": false,
            "modules_to_save": null,
            "inference_mode": true,
        });
        let path = folder.join(ADAPTER_CONFIG);
        std::fs::write(&path, format!("{config:#}\n")).map_err(Error::io("writing the adapter's settings", &path))
    }
}

/// Names and shapes of an adapter's parameters.
pub(crate) fn parameters(config: &LoraConfig, shape: &Qwen3Config) -> Vec<(String, Vec<usize>)> {
    let mut all = Vec::new();
    for (name, dims) in shape.parameters() {
        let Some(module) = name.strip_suffix(".weight") else { continue };
        if dims.len() == 2 && config.targets.iter().any(|target| module.ends_with(target.module())) {
            all.push((format!("{module}.lora_A.weight"), vec![config.rank, dims[1]]));
            all.push((format!("{module}.lora_B.weight"), vec![dims[0], config.rank]));
        }
    }
    all
}

/// A PEFT folder that has been looked at, but not loaded.
pub(super) struct AdapterFiles {
    folder: PathBuf,
    config: LoraConfig,
    base: ModelSource,
    tensors: TensorFiles,
}

/// What an `adapter_config.json` may hold.
#[derive(Deserialize)]
struct Raw {
    peft_type: Option<String>,
    base_model_name_or_path: Option<String>,
    revision: Option<String>,
    r: usize,
    lora_alpha: f64,
    target_modules: serde_json::Value,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    bias: Option<String>,
    modules_to_save: Option<Vec<String>>,
    rank_pattern: Option<serde_json::Map<String, serde_json::Value>>,
    alpha_pattern: Option<serde_json::Map<String, serde_json::Value>>,
}

impl AdapterFiles {
    /// Reads the settings and the header of the weights.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(ADAPTER_CONFIG);
        let bad = |why: String| Error::input(format!("the adapter cannot be used: {why} ({})", path.display()));
        let text = std::fs::read_to_string(&path).map_err(|error| bad(error.to_string()))?;
        let raw: Raw = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        let kind = raw.peft_type.as_deref().unwrap_or("LORA");
        if kind != "LORA" {
            return Err(bad(format!("it is of type `{kind}`, but only LORA is supported")));
        }
        let unsupported = [
            (raw.use_dora, "use_dora"),
            (raw.fan_in_fan_out, "fan_in_fan_out"),
            (raw.bias.as_deref().is_some_and(|bias| bias != "none"), "bias"),
            (raw.modules_to_save.is_some_and(|modules| !modules.is_empty()), "modules_to_save"),
            (raw.rank_pattern.is_some_and(|pattern| !pattern.is_empty()), "rank_pattern"),
            (raw.alpha_pattern.is_some_and(|pattern| !pattern.is_empty()), "alpha_pattern"),
        ];
        if let Some((_, field)) = unsupported.iter().find(|(found, _)| *found) {
            return Err(bad(format!("its setting `{field}` is not supported")));
        }
        let targets = match &raw.target_modules {
            serde_json::Value::String(all) if all == "all-linear" => LoraTarget::ALL.to_vec(),
            serde_json::Value::Array(names) => {
                let target = |name: &serde_json::Value| {
                    let found = LoraTarget::ALL.into_iter().find(|target| name.as_str() == Some(target.name()));
                    found.ok_or_else(|| bad(format!("target_modules has {name}, which is no linear layer of Qwen3")))
                };
                names.iter().map(target).collect::<Result<_>>()?
            }
            other => return Err(bad(format!("target_modules is {other}; it must be a list of names"))),
        };
        let name = raw.base_model_name_or_path.unwrap_or_default();
        let base = if Path::new(&name).is_dir() {
            ModelSource::Local(PathBuf::from(&name))
        } else if bundled::names().any(|bundled| bundled == name) {
            ModelSource::Bundled(name)
        } else if name.split('/').filter(|part| !part.is_empty()).count() == 2 && !name.starts_with(['/', '.']) {
            let revision = raw.revision.unwrap_or_else(|| "main".to_string());
            ModelSource::Hub(HubRepository { repo: name, revision })
        } else {
            return Err(bad(format!(
                "its base model {name:?} is not on this machine; write its folder, or its repository on the hub, into base_model_name_or_path"
            )));
        };
        let alpha = if raw.use_rslora { raw.lora_alpha * (raw.r as f64).sqrt() } else { raw.lora_alpha };
        let config = LoraConfig { rank: raw.r, alpha, targets };
        let tensors = TensorFiles::open_file(folder.join(ADAPTER_WEIGHTS))?;
        Ok(Self { folder: folder.to_path_buf(), config, base, tensors })
    }

    /// The model that it belongs to.
    pub(super) fn base(&self) -> &ModelSource {
        &self.base
    }

    /// Refuses an adapter that does not fit a model of this shape.
    pub(super) fn check(&self, shape: &Qwen3Config) -> Result<()> {
        let parameters = parameters(&self.config, shape);
        for (name, shape) in &parameters {
            self.tensors.check(&format!("{PREFIX}{name}"), shape)?;
        }
        let known = |name: &str| {
            name.strip_prefix(PREFIX).is_some_and(|name| parameters.iter().any(|(parameter, _)| parameter == name))
        };
        match self.tensors.names().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err(Error::input(format!(
                "the tensor `{name}` belongs to no linear layer that {ADAPTER_CONFIG} names ({})",
                self.folder.join(ADAPTER_WEIGHTS).display()
            ))),
        }
    }

    /// Reads the weights.
    pub(super) fn load(self, shape: &Qwen3Config, dtype: DType, device: &Device) -> Result<LoraAdapter> {
        let read = |(name, shape): (String, Vec<usize>)| {
            let variable = self.tensors.read(&format!("{PREFIX}{name}"), &shape, dtype, device)?;
            Ok((name, variable))
        };
        let variables = parameters(&self.config, shape).into_iter().map(read).collect::<Result<Vec<_>>>()?;
        Ok(LoraAdapter { config: self.config, base: self.base, weights: Weights::of(variables) })
    }
}
