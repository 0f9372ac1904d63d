//! Gradients by parameter name, summed over micro-batches in `f32`.

use crate::error::{Error, Result};
use crate::kernels;
use crate::model::Weights;
use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};
use std::collections::{BTreeMap, BTreeSet};

/// One gradient tensor per parameter.
pub struct Gradients {
    by_name: BTreeMap<String, Tensor>,
    /// Parameters that no backward pass has given a gradient.
    missing: BTreeSet<String>,
}

impl Gradients {
    /// No gradient yet: zeros for all `weights`.
    pub fn zeros(weights: &Weights) -> Result<Self> {
        let zeros = |(name, variable): (&str, &Var)| {
            let zeros = Tensor::zeros(variable.shape(), DType::F32, variable.device())?;
            Ok((name.to_string(), zeros))
        };
        let missing = weights.variables().map(|(name, _)| name.to_string()).collect();
        Ok(Self { by_name: weights.variables().map(zeros).collect::<Result<_>>()?, missing })
    }

    /// Gradients that have been summed already: `f32` tensors by parameter name.
    pub(crate) fn from_sums(by_name: BTreeMap<String, Tensor>) -> Self {
        Self { by_name, missing: BTreeSet::new() }
    }

    /// Adds the gradients of one backward pass. Every parameter must have one: a missing gradient means that some operation
    /// cuts the graph, and training on would be silently wrong.
    pub fn accumulate(&mut self, weights: &Weights, store: &GradStore) -> Result<()> {
        self.accumulate_part(weights, store)?;
        self.check_complete()
    }

    /// Adds the gradients of a part of a backward pass, which has some of the parameters. [`Self::check_complete`] is for the end.
    pub fn accumulate_part(&mut self, weights: &Weights, store: &GradStore) -> Result<()> {
        for (name, sum) in &mut self.by_name {
            if let Some(grad) = store.get(weights.variable(name)?) {
                if kernels::on_gpu(&[sum]) {
                    kernels::accumulate(sum, grad)?;
                } else {
                    *sum = (&*sum + grad.to_dtype(DType::F32)?)?;
                }
                self.missing.remove(name);
            }
        }
        Ok(())
    }

    /// Fails, naming it, where a parameter has not received any gradient yet.
    pub fn check_complete(&self) -> Result<()> {
        match self.missing.first() {
            None => Ok(()),
            Some(name) => Err(Error::failed(format!("the parameter `{name}` received no gradient"))),
        }
    }

    /// The gradient of one parameter.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.by_name.get(name)
    }

    /// Global L2 norm over all parameters. Fails, naming the parameter, where it is not finite.
    pub fn norm(&self) -> Result<f64> {
        let mut total = 0.0;
        let on_gpu = kernels::on_gpu(&self.by_name.values().collect::<Vec<_>>());
        let squares = if on_gpu { kernels::squared_norms(self.by_name.values())? } else { Vec::new() };
        for (index, (name, grad)) in self.by_name.iter().enumerate() {
            let square = match squares.get(index) {
                Some(square) => *square,
                None => f64::from(grad.sqr()?.sum_all()?.to_scalar::<f32>()?),
            };
            if !square.is_finite() {
                return Err(Error::failed(format!("the gradient of `{name}` has no finite norm")));
            }
            total += square;
        }
        Ok(total.sqrt())
    }
}
