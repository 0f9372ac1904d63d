//! Named parameters, in memory and in safetensors files.

mod finite;
mod shard_list;
mod stored;
mod tensor_files;

pub use finite::first_not_finite;
pub(crate) use shard_list::{INDEX, is_table, shard_files};
pub(crate) use stored::Stored;
pub(crate) use tensor_files::{TensorFiles, WHOLE};

use crate::error::{Error, Result};
use crate::files::checksums;
use crate::kernels::Nf4;
use candle_core::{DType, Device, Tensor, Var};
use safetensors::SafeTensorError;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// Named parameters, each a variable whose value can be replaced in place, or a matrix in four bits
/// that stays as it is.
#[derive(Clone)]
pub struct Weights {
    variables: BTreeMap<String, Var>,
    quantised: BTreeMap<String, Nf4>,
}

impl Weights {
    /// The given variables.
    pub(crate) fn of(variables: impl IntoIterator<Item = (String, Var)>) -> Self {
        Self { variables: variables.into_iter().collect(), quantised: BTreeMap::new() }
    }

    /// The same with these matrices, which take the place of variables of their names.
    pub(crate) fn with_quantised(
        mut self,
        matrices: impl IntoIterator<Item = (String, Nf4)>,
    ) -> Self {
        for (name, matrix) in matrices {
            self.variables.remove(&name);
            self.quantised.insert(name, matrix);
        }
        self
    }

    /// The same with every matrix in four bits as a variable of type `dtype`, which holds the values
    /// that the matrix stands for in its own type.
    pub(crate) fn dequantised(mut self, dtype: DType) -> Result<Self> {
        for (name, matrix) in std::mem::take(&mut self.quantised) {
            self.variables.insert(name, Var::from_tensor(&matrix.dequantize()?.to_dtype(dtype)?)?);
        }
        Ok(self)
    }

    /// The matrices in four bits by name, in a fixed order.
    pub fn quantised(&self) -> impl Iterator<Item = (&str, &Nf4)> {
        self.quantised.iter().map(|(name, matrix)| (name.as_str(), matrix))
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

    /// Number of elements of all variables.
    pub fn count(&self) -> usize {
        self.variables.values().map(|variable| variable.elem_count()).sum()
    }

    /// Bytes of those that are on a device.
    pub(crate) fn bytes_on(&self, device: &Device) -> usize {
        let tensors = self.variables.values().map(Var::as_tensor);
        let of_quantised = self.quantised.values().flat_map(|m| [m.codes(), m.scales()]);
        tensors
            .chain(of_quantised)
            .filter(|tensor| tensor.device().same_device(device))
            .map(|tensor| tensor.elem_count() * tensor.dtype().size_in_bytes())
            .sum()
    }

    /// The tensor of that name, followed by gradients.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        self.variable(name).map(|variable| variable.as_tensor().clone())
    }

    /// The parameter of that name; a variable is followed by gradients.
    pub(crate) fn stored(&self, name: &str) -> Result<Stored> {
        match self.quantised.get(name) {
            Some(matrix) => Ok(Stored::Nf4(matrix.clone())),
            None => self.get(name).map(Stored::Plain),
        }
    }

    /// The variable of that name.
    pub(crate) fn variable(&self, name: &str) -> Result<&Var> {
        self.variables
            .get(name)
            .ok_or_else(|| Error::failed(format!("the model has no tensor `{name}`")))
    }

    /// A copy on `device` that later changes to `self` do not reach, with memory of its own for all
    /// that can change.
    pub fn copy(&self, device: &Device) -> Result<Self> {
        let mut variables = BTreeMap::new();
        for (name, variable) in &self.variables {
            let is_there = variable.device().same_device(device);
            let copy = if is_there { variable.copy()? } else { variable.to_device(device)? };
            variables.insert(name.clone(), Var::from_tensor(&copy)?);
        }
        let matrices = self.quantised.iter();
        let quantised =
            matrices.map(|(name, matrix)| Ok((name.clone(), matrix.to_device(device)?)));
        Ok(Self { variables, quantised: quantised.collect::<Result<_>>()? })
    }

    /// SHA-256 over names, shapes and values as `f32`, in hexadecimal.
    pub fn hash(&self) -> Result<String> {
        /// Values that are widened at a time.
        const PIECE: usize = 1 << 22;
        use sha2::Digest;
        let mut hasher = sha2::Sha256::new();
        let names: BTreeSet<&String> = self.variables.keys().chain(self.quantised.keys()).collect();
        for name in names {
            let values = self.values(name)?;
            hasher.update(name.as_bytes());
            hasher.update(format!("{:?}", values.dims()).as_bytes());
            let flat = values.flatten_all()?;
            for start in (0..flat.elem_count()).step_by(PIECE) {
                let piece = flat.narrow(0, start, PIECE.min(flat.elem_count() - start))?;
                // From a GPU comes all that a tensor is a part of, so the piece is made one itself.
                let piece =
                    if piece.device().is_cpu() { piece } else { piece.force_contiguous()? };
                let values: Vec<f32> =
                    piece.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec1()?;
                let mut bytes = vec![0; 4 * values.len()];
                for (bytes, value) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
                    *bytes = value.to_le_bytes();
                }
                hasher.update(&bytes);
            }
        }
        Ok(checksums::hexadecimal(hasher.finalize()))
    }

    /// The values of a parameter, of a matrix in four bits those that it stands for.
    fn values(&self, name: &str) -> Result<Tensor> {
        match self.quantised.get(name) {
            Some(matrix) => Ok(matrix.to_device(&Device::Cpu)?.dequantize()?),
            None => Ok(self.variable(name)?.as_detached_tensor()),
        }
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
