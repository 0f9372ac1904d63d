//! A parameter that can be replaced in place: a variable, or some rows of one.

use crate::error::{Error, Result};
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use safetensors::{Dtype, View};
use std::borrow::Cow;
use std::ops::{Deref, Range};

/// A parameter. As a tensor it is followed by gradients.
#[derive(Clone)]
pub struct Parameter {
    variable: Var,
    /// Its rows of the variable, where it shares it with others.
    rows: Option<Range<usize>>,
    tensor: Tensor,
}

impl From<Var> for Parameter {
    fn from(variable: Var) -> Self {
        let tensor = variable.as_tensor().clone();
        Self { variable, rows: None, tensor }
    }
}

impl Deref for Parameter {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.tensor
    }
}

impl Parameter {
    /// The given matrices, which have rows of one length, as parts of one variable, one behind
    /// another.
    pub(super) fn joined(parts: &[Self]) -> Result<Vec<Self>> {
        let tensors: Vec<Tensor> = parts.iter().map(Self::as_detached_tensor).collect();
        let variable = Var::from_tensor(&Tensor::cat(&tensors, 0)?)?;
        let mut end = 0;
        let part = |tensor: &Tensor| {
            let rows = end..end + tensor.dim(0)?;
            end = rows.end;
            let tensor = variable.narrow(0, rows.start, rows.len())?;
            Ok::<_, Error>(Self { variable: variable.clone(), rows: Some(rows), tensor })
        };
        tensors.iter().map(part).collect()
    }

    /// The variable that it is a part of.
    pub(super) fn shared(&self) -> Option<&Var> {
        self.rows.as_ref().map(|_| &self.variable)
    }

    /// Its first row in the variable.
    pub(super) fn first_row(&self) -> usize {
        self.rows.as_ref().map_or(0, |rows| rows.start)
    }

    /// The tensor.
    pub fn as_tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// The tensor, in the same memory, without gradients.
    pub fn as_detached_tensor(&self) -> Tensor {
        self.tensor.detach()
    }

    /// A copy in memory of its own, without gradients.
    pub(super) fn copied(&self) -> Result<Tensor> {
        Ok(self.as_detached_tensor().force_contiguous()?)
    }

    /// The tensor for somebody who reads its whole memory: a copy where others share that.
    pub(crate) fn alone(&self) -> Result<Tensor> {
        if self.rows.is_some() { self.copied() } else { Ok(self.as_detached_tensor()) }
    }

    /// Replaces its value, in place.
    pub fn set(&self, value: &Tensor) -> Result<()> {
        if self.rows.is_none() {
            return Ok(self.variable.set(value)?);
        }
        Ok(self.tensor.slice_set(&value.contiguous()?, 0, 0)?)
    }

    /// Its gradient, where a backward pass has left one.
    pub fn gradient(&self, store: &GradStore) -> Result<Option<Tensor>> {
        let Some(gradient) = store.get(&self.variable) else { return Ok(None) };
        Ok(Some(match &self.rows {
            None => gradient.clone(),
            Some(rows) => gradient.narrow(0, rows.start, rows.len())?,
        }))
    }
}

impl View for Parameter {
    fn dtype(&self) -> Dtype {
        self.tensor.dtype().into()
    }

    fn shape(&self) -> &[usize] {
        self.tensor.dims()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self.alone() {
            Ok(tensor) => Cow::Owned(tensor.data().into_owned()),
            // There is no room for a copy.
            Err(_) => self.tensor.data(),
        }
    }

    fn data_len(&self) -> usize {
        self.tensor.data_len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::check::{random, values};
    use candle_core::Device;

    #[test]
    fn parts_of_a_variable_are_set_and_have_gradients_by_themselves() {
        let parts = [2, 1, 3].map(|rows| {
            Parameter::from(Var::from_tensor(&random(&[rows, 4], rows as u64)).unwrap())
        });
        let joined = Parameter::joined(&parts).unwrap();
        let whole = joined[0].shared().unwrap().clone();
        assert!(parts[0].shared().is_none() && whole.dims() == [6, 4]);
        for (joined, part) in joined.iter().zip(&parts) {
            assert_eq!(values(joined), values(part));
            assert_eq!(values(&joined.alone().unwrap()), values(part));
        }
        let new = Tensor::new(&[[7f32, 8.0, 9.0, 10.0]], &Device::Cpu).unwrap();
        joined[1].set(&new).unwrap();
        assert!(joined[1].set(&random(&[2, 4], 1)).is_err());
        let expected = [values(&parts[0]), values(&new), values(&parts[2])].concat();
        assert_eq!(values(&whole), expected);

        // The sum of 2 a and 3 c, of the variable's first and last rows.
        let loss = (joined[0].as_tensor() * 2.0).unwrap().sum_all().unwrap();
        let loss = (loss + (joined[2].as_tensor() * 3.0).unwrap().sum_all().unwrap()).unwrap();
        let store = loss.backward().unwrap();
        let gradient = |part: &Parameter| values(&part.gradient(&store).unwrap().unwrap());
        assert_eq!(gradient(&joined[0]), [2.0; 8]);
        assert_eq!(gradient(&joined[1]), [0.0; 4]);
        assert_eq!(gradient(&joined[2]), [3.0; 12]);
        assert!(parts[0].gradient(&store).unwrap().is_none());
    }
}
