//! The parameters of a model under their Hugging Face names: made at random, read from and written to a folder.

use super::config::Qwen3Config;
use super::tensor_files::TensorFiles;
use crate::error::{Error, Result};
use crate::files::checksums;
use crate::rng::{self, Domain};
use candle_core::{DType, Device, Tensor, Var};
use safetensors::SafeTensorError;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

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
                let mut stream = rng::stream(seed, Domain::Weights, [0, index as u64, 0]);
                (0..count).map(|_| (rng::normal(&mut stream) * std) as f32).collect()
            };
            let tensor = Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?;
            variables.insert(name, Var::from_tensor(&tensor)?);
        }
        Ok(Self { variables })
    }

    /// Reads the weights of a model of this shape from a Hugging Face folder, whole or in shards.
    pub fn read(config: &Qwen3Config, folder: &Path, dtype: DType, device: &Device) -> Result<Self> {
        Self::of_files(config, &TensorFiles::open(folder)?, dtype, device)
    }

    /// Reads the tensors of a model of this shape, one after another, each converted on the way.
    pub(super) fn of_files(config: &Qwen3Config, files: &TensorFiles, dtype: DType, device: &Device) -> Result<Self> {
        let read = |(name, shape): (String, Vec<usize>)| {
            let variable = files.read(&name, &shape, dtype, device)?;
            Ok((name, variable))
        };
        Ok(Self { variables: config.parameters().into_iter().map(read).collect::<Result<_>>()? })
    }

    /// The given variables.
    pub(super) fn of(variables: impl IntoIterator<Item = (String, Var)>) -> Self {
        Self { variables: variables.into_iter().collect() }
    }

    /// Writes a safetensors file, in the variables' own type, with `rename` of each name.
    pub(super) fn write(&self, path: &Path, rename: impl Fn(&str) -> String) -> Result<()> {
        let tensors = self.variables.iter().map(|(name, variable)| (rename(name), variable.as_tensor().clone()));
        write_tensors(path, tensors, HashMap::from([("format".to_string(), "pt".to_string())]))
    }

    /// The variables by name, in a fixed order.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.variables.iter().map(|(name, variable)| (name.as_str(), variable))
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.variables.values().map(|variable| variable.elem_count()).sum()
    }

    /// The tensor of that name, followed by gradients.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        self.variable(name).map(|variable| variable.as_tensor().clone())
    }

    /// The variable of that name.
    pub(crate) fn variable(&self, name: &str) -> Result<&Var> {
        self.variables.get(name).ok_or_else(|| Error::failed(format!("the model has no tensor `{name}`")))
    }

    /// A copy on `device` with memory of its own, that later changes to `self` do not reach.
    pub fn copy(&self, device: &Device) -> Result<Self> {
        let mut variables = BTreeMap::new();
        for (name, variable) in &self.variables {
            let is_there = variable.device().same_device(device);
            let copy = if is_there { variable.copy()? } else { variable.to_device(device)? };
            variables.insert(name.clone(), Var::from_tensor(&copy)?);
        }
        Ok(Self { variables })
    }

    /// SHA-256 over names, shapes and values as `f32`, in hexadecimal.
    pub fn hash(&self) -> Result<String> {
        /// Values that are widened at a time.
        const PIECE: usize = 1 << 22;
        use sha2::Digest;
        let mut hasher = sha2::Sha256::new();
        for (name, variable) in &self.variables {
            hasher.update(name.as_bytes());
            hasher.update(format!("{:?}", variable.dims()).as_bytes());
            let flat = variable.as_detached_tensor().flatten_all()?;
            for start in (0..flat.elem_count()).step_by(PIECE) {
                let piece = flat.narrow(0, start, PIECE.min(flat.elem_count() - start))?;
                let values: Vec<f32> = piece.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec1()?;
                let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
                hasher.update(&bytes);
            }
        }
        Ok(checksums::hexadecimal(hasher.finalize()))
    }
}

/// Writes a safetensors file. Only one tensor at a time is copied.
pub(crate) fn write_tensors(
    path: &Path,
    tensors: impl IntoIterator<Item = (String, Tensor)>,
    metadata: HashMap<String, String>,
) -> Result<()> {
    safetensors::serialize_to_file(tensors, Some(metadata), path).map_err(|error| match error {
        SafeTensorError::IoError(source) => Error::io("writing tensors", path)(source),
        other => Error::failed(format!("writing tensors failed: {other} ({})", path.display())),
    })
}
