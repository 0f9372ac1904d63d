//! Gradients by parameter name, summed over micro-batches in `f32`.

use crate::error::{Error, Result};
use crate::model::Weights;
use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor};
use std::collections::BTreeMap;

/// One gradient tensor per parameter.
#[derive(Default)]
pub struct Gradients {
    by_name: BTreeMap<String, Tensor>,
}

impl Gradients {
    /// Adds the gradients of one backward pass. Every parameter must have one: a missing gradient means that some operation
    /// cuts the graph, and training on would be silently wrong.
    pub fn accumulate(&mut self, weights: &Weights, store: &GradStore) -> Result<()> {
        for (name, variable) in weights.variables() {
            let grad = store
                .get(variable)
                .ok_or_else(|| Error::failed(format!("the parameter `{name}` received no gradient")))?
                .to_dtype(DType::F32)?;
            let sum = match self.by_name.remove(name) {
                Some(sum) => (sum + grad)?,
                None => grad,
            };
            self.by_name.insert(name.to_string(), sum);
        }
        Ok(())
    }

    /// The gradient of one parameter.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.by_name.get(name)
    }

    /// Global L2 norm over all parameters. Fails, naming the parameter, where a gradient is not finite.
    pub fn norm(&self) -> Result<f64> {
        let mut total = 0.0;
        for (name, grad) in &self.by_name {
            let square = f64::from(grad.sqr()?.sum_all()?.to_scalar::<f32>()?);
            if !square.is_finite() {
                return Err(Error::failed(format!("the gradient of `{name}` is not finite")));
            }
            total += square;
        }
        Ok(total.sqrt())
    }
}
