//! Named parameters, in memory and in safetensors files.

mod finite;
mod shard_list;
mod tensor_files;

pub use finite::first_not_finite;
pub(crate) use shard_list::{INDEX, is_table, shard_files};
pub(crate) use tensor_files::{TensorFiles, WHOLE};

use crate::error::{Error, Result};
use crate::files::checksums;
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
    /// The given variables.
    pub(crate) fn of(variables: impl IntoIterator<Item = (String, Var)>) -> Self {
        Self { variables: variables.into_iter().collect() }
    }

    /// Writes a safetensors file, in the variables' own type, with `rename` of each name.
    pub(crate) fn write(&self, path: &Path, rename: impl Fn(&str) -> String) -> Result<()> {
        let tensors = self
            .variables
            .iter()
            .map(|(name, variable)| (rename(name), variable.as_tensor().clone()));
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
        self.variables
            .get(name)
            .ok_or_else(|| Error::failed(format!("the model has no tensor `{name}`")))
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
                let values: Vec<f32> =
                    piece.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec1()?;
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
