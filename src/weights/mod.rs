//! Named parameters, in memory and in safetensors files.

mod finite;
mod parameter;
mod shard_list;
mod stored;
mod tensor_files;

pub use finite::first_not_finite;
pub use parameter::Parameter;
pub(crate) use shard_list::{INDEX, is_table, shard_files};
pub(crate) use stored::Stored;
pub(crate) use tensor_files::{TensorFiles, WHOLE};

use crate::error::{Error, Result};
use crate::files::checksums;
use crate::kernels::{self, Nf4};
use candle_core::{DType, Device, Tensor, Var};
use safetensors::{SafeTensorError, View};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// Named parameters, each a variable whose value can be replaced in place, or a matrix in four bits
/// that stays as it is.
#[derive(Clone)]
pub struct Weights {
    variables: BTreeMap<String, Parameter>,
    quantised: BTreeMap<String, Nf4>,
}

impl Weights {
    /// The given variables.
    pub(crate) fn of(variables: impl IntoIterator<Item = (String, Var)>) -> Self {
        let parameters = variables.into_iter().map(|(name, variable)| (name, variable.into()));
        Self { variables: parameters.collect(), quantised: BTreeMap::new() }
    }

    /// Whether kernels of a GPU apply to the variables.
    pub(crate) fn are_on_gpu(&self) -> bool {
        self.variables
            .values()
            .next()
            .is_some_and(|variable| kernels::on_gpu(&[variable.as_tensor()]))
    }

    /// The same with the matrices of each group in one piece of memory, one behind another, so that
    /// products with all of them can be one. Groups with a matrix in four bits stay as they are.
    pub(crate) fn joined(mut self, groups: impl IntoIterator<Item = Vec<String>>) -> Result<Self> {
        for names in groups {
            let parts = names.iter().map(|name| self.variables.get(name).cloned());
            let Some(parts) = parts.collect::<Option<Vec<_>>>() else { continue };
            if self.together(&names).is_none() {
                self.variables.extend(names.into_iter().zip(Parameter::joined(&parts)?));
            }
        }
        Ok(self)
    }

    /// The matrices of these names as one, followed by gradients, where they are all of a piece of
    /// memory, in this order.
    pub(crate) fn together(&self, names: &[String]) -> Option<Tensor> {
        let parts: Option<Vec<_>> = names.iter().map(|name| self.variables.get(name)).collect();
        let parts = parts?;
        let whole = parts.first()?.shared()?.as_tensor();
        let mut end = 0;
        for part in parts {
            let is_next = part.shared()?.id() == whole.id() && part.first_row() == end;
            if !is_next {
                return None;
            }
            end += part.dim(0).ok()?;
        }
        (whole.dim(0).ok()? == end).then(|| whole.clone())
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
            let variable = Var::from_tensor(&matrix.dequantize()?.to_dtype(dtype)?)?;
            self.variables.insert(name, variable.into());
        }
        Ok(self)
    }

    /// The matrices in four bits by name, in a fixed order.
    pub fn quantised(&self) -> impl Iterator<Item = (&str, &Nf4)> {
        self.quantised.iter().map(|(name, matrix)| (name.as_str(), matrix))
    }

    /// Writes a safetensors file, in the variables' own type, with `rename` of each name.
    pub(crate) fn write(&self, path: &Path, rename: impl Fn(&str) -> String) -> Result<()> {
        let variables = self.variables.iter();
        let tensors = variables.map(|(name, variable)| (rename(name), variable.clone()));
        write_tensors(path, tensors, HashMap::from([("format".to_string(), "pt".to_string())]))
    }

    /// The variables by name, in a fixed order.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.variables.iter().map(|(name, variable)| (name.as_str(), variable))
    }

    /// Number of elements of all variables.
    pub fn count(&self) -> usize {
        self.variables.values().map(|variable| variable.elem_count()).sum()
    }

    /// Bytes of those that are on a device.
    pub(crate) fn bytes_on(&self, device: &Device) -> usize {
        let tensors = self.variables.values().map(Parameter::as_tensor);
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
    pub(crate) fn variable(&self, name: &str) -> Result<&Parameter> {
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
            let own =
                if is_there { variable.copied()? } else { variable.alone()?.to_device(device)? };
            variables.insert(name.clone(), Var::from_tensor(&own)?.into());
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
            let count = flat.elem_count();
            let bytes_from = |start: usize| -> Result<Vec<u8>> {
                let piece = flat.narrow(0, start, PIECE.min(count - start))?;
                // From a GPU comes all that a tensor is a part of, so the piece is made one itself.
                let piece =
                    if piece.device().is_cpu() { piece } else { piece.force_contiguous()? };
                let values: Vec<f32> =
                    piece.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec1()?;
                let mut bytes = vec![0; 4 * values.len()];
                for (bytes, value) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
                    *bytes = value.to_le_bytes();
                }
                Ok(bytes)
            };
            // One piece is hashed while the next one is made.
            let mut bytes = if count > 0 { bytes_from(0)? } else { Vec::new() };
            for next in (0..count).step_by(PIECE).map(|start| start + PIECE) {
                let following = || if next < count { bytes_from(next) } else { Ok(Vec::new()) };
                let ((), made) = rayon::join(|| hasher.update(&bytes), following);
                bytes = made?;
            }
        }
        Ok(checksums::hexadecimal(hasher.finalize()))
    }

    /// The values of a parameter, of a matrix in four bits those that it stands for.
    fn values(&self, name: &str) -> Result<Tensor> {
        match self.quantised.get(name) {
            Some(matrix) => Ok(matrix.to_device(&Device::Cpu)?.dequantize()?),
            None => self.variable(name)?.alone(),
        }
    }
}

/// Writes a safetensors file. Only one tensor at a time is copied.
pub(crate) fn write_tensors<V: View>(
    path: &Path,
    tensors: impl IntoIterator<Item = (String, V)>,
    metadata: HashMap<String, String>,
) -> Result<()> {
    safetensors::serialize_to_file(tensors, Some(metadata), path).map_err(|error| match error {
        SafeTensorError::IoError(source) => Error::io("writing tensors", path)(source),
        other => Error::failed(format!("writing tensors failed: {other} ({})", path.display())),
    })
}
