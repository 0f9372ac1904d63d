//! The parameters of a model under their Hugging Face names: made at random, read from and written to a folder.

use super::config::Qwen3Config;
use super::finite::first_not_finite;
use crate::error::{Error, Result};
use crate::rng;
use candle_core::{DType, Device, Tensor, Var};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Named parameters, each a variable whose value can be replaced in place.
#[derive(Clone)]
pub struct Weights {
    variables: BTreeMap<String, Var>,
}

impl Weights {
    /// Random weights in the manner of Transformers: normal with standard deviation `std` for matrices (output projections of
    /// the residual branches scaled down by sqrt(2 layers)), ones for norms.
    pub fn random(config: &Qwen3Config, std: f64, seed: u64, dtype: DType, device: &Device) -> Result<Self> {
        let residual = std / (2.0 * config.num_hidden_layers as f64).sqrt();
        let mut variables = BTreeMap::new();
        for (index, (name, shape)) in config.parameters().into_iter().enumerate() {
            let count = shape.iter().product();
            let values = if shape.len() == 1 {
                vec![1.0f32; count]
            } else {
                let std = if name.contains("o_proj") || name.contains("down_proj") { residual } else { std };
                let mut stream = rng::stream([seed, rng::WEIGHTS, index as u64, 0]);
                (0..count).map(|_| (rng::normal(&mut stream) * std) as f32).collect()
            };
            let tensor = Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?;
            variables.insert(name, Var::from_tensor(&tensor)?);
        }
        Ok(Self { variables })
    }

    /// Reads `model.safetensors`, or the shards that `model.safetensors.index.json` lists, from a Hugging Face folder.
    pub fn read(config: &Qwen3Config, folder: &Path, dtype: DType, device: &Device) -> Result<Self> {
        let mut shards: BTreeMap<PathBuf, HashMap<String, Tensor>> = BTreeMap::new();
        let index = folder.join("model.safetensors.index.json");
        let listed = if index.exists() { Some(read_shard_index(&index)?) } else { None };
        Self::collect(config, dtype, device, |name| {
            let file = match &listed {
                None => folder.join("model.safetensors"),
                Some(places) => match places.get(name) {
                    Some(place) => folder.join(place),
                    None => return Ok((None, index.display().to_string())),
                },
            };
            if !shards.contains_key(&file) {
                let tensors = candle_core::safetensors::load(&file, &Device::Cpu)
                    .map_err(|e| Error::input(format!("cannot read the model's weights: {e} ({})", file.display())))?;
                shards.insert(file.clone(), tensors);
            }
            Ok((shards[&file].get(name).cloned(), file.display().to_string()))
        })
    }

    /// Reads the content of a `model.safetensors` that came from `origin`.
    pub fn from_bytes(config: &Qwen3Config, bytes: &[u8], origin: &str, dtype: DType, device: &Device) -> Result<Self> {
        let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
            .map_err(|e| Error::input(format!("cannot read the model's weights: {e} ({origin})")))?;
        Self::collect(config, dtype, device, |name| Ok((tensors.get(name).cloned(), origin.to_string())))
    }

    /// Checks and converts every parameter that `find` gives, with where it looked.
    fn collect(
        config: &Qwen3Config,
        dtype: DType,
        device: &Device,
        mut find: impl FnMut(&str) -> Result<(Option<Tensor>, String)>,
    ) -> Result<Self> {
        let mut variables = BTreeMap::new();
        for (name, shape) in config.parameters() {
            let (tensor, origin) = find(&name)?;
            let tensor =
                tensor.ok_or_else(|| Error::input(format!("the tensor `{name}` {shape:?} is missing ({origin})")))?;
            if tensor.dims() != shape {
                return Err(Error::input(format!(
                    "the tensor `{name}` has shape {:?}, but config.json asks for {shape:?} ({origin})",
                    tensor.dims(),
                )));
            }
            if first_not_finite([(name.as_str(), &tensor)])?.is_some() {
                return Err(Error::input(format!("the tensor `{name}` has values that are not finite ({origin})")));
            }
            variables.insert(name, Var::from_tensor(&tensor.to_device(device)?.to_dtype(dtype)?)?);
        }
        Ok(Self { variables })
    }

    /// Writes `model.safetensors` into `folder`, in `f32`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join("model.safetensors");
        let mut tensors = HashMap::new();
        for (name, variable) in &self.variables {
            tensors.insert(name.clone(), variable.to_device(&Device::Cpu)?.to_dtype(DType::F32)?);
        }
        let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
        let bytes = safetensors::serialize(&tensors, Some(metadata))
            .map_err(|e| Error::failed(format!("cannot serialise the weights: {e} ({})", path.display())))?;
        std::fs::write(&path, bytes).map_err(Error::io("writing the weights", &path))
    }

    /// The variables by name, in a fixed order.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.variables.iter().map(|(name, variable)| (name.as_str(), variable))
    }

    /// The tensor of that name, followed by gradients.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        self.variable(name).map(|variable| variable.as_tensor().clone())
    }

    /// The variable of that name.
    pub(crate) fn variable(&self, name: &str) -> Result<&Var> {
        self.variables.get(name).ok_or_else(|| Error::failed(format!("the model has no tensor `{name}`")))
    }

    /// A copy with memory of its own, that later changes to `self` do not reach.
    pub fn copy(&self) -> Result<Self> {
        let mut variables = BTreeMap::new();
        for (name, variable) in &self.variables {
            variables.insert(name.clone(), Var::from_tensor(&variable.copy()?)?);
        }
        Ok(Self { variables })
    }

    /// SHA-256 over names, shapes and values as `f32`, in hexadecimal.
    pub fn hash(&self) -> Result<String> {
        use sha2::Digest;
        let mut hasher = sha2::Sha256::new();
        for (name, variable) in &self.variables {
            hasher.update(name.as_bytes());
            hasher.update(format!("{:?}", variable.dims()).as_bytes());
            let values: Vec<f32> = variable.flatten_all()?.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec1()?;
            for value in values {
                hasher.update(value.to_le_bytes());
            }
        }
        Ok(hexadecimal(hasher.finalize()))
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hexadecimal(bytes: impl IntoIterator<Item = u8>) -> String {
    let digits = bytes.into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}

/// The files that a `model.safetensors.index.json` lists, each once.
pub(super) fn shard_files(index: &Path) -> Result<Vec<String>> {
    let files: BTreeSet<String> = read_shard_index(index)?.into_values().collect();
    Ok(files.into_iter().collect())
}

/// Which file holds which tensor, from a `model.safetensors.index.json`.
fn read_shard_index(path: &Path) -> Result<HashMap<String, String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: HashMap<String, String>,
    }
    let text =
        std::fs::read_to_string(path).map_err(|e| Error::input(format!("cannot read {}: {e}", path.display())))?;
    let index: Index = serde_json::from_str(&text)
        .map_err(|e| Error::input(format!("the list of shards is not valid: {e} ({})", path.display())))?;
    Ok(index.weight_map)
}
