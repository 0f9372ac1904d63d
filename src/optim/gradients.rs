//! Gradients by parameter name, summed over micro-batches in `f32`.

use crate::error::{Error, Result};
use crate::kernels::{self, Buffers};
use crate::weights::{Parameter, Weights};
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, DType, InplaceOp2, Layout, Tensor};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// One gradient tensor per parameter.
pub struct Gradients {
    by_name: BTreeMap<String, Tensor>,
    /// Parameters that no backward pass has given a gradient.
    missing: BTreeSet<String>,
    /// Whether they are in the memory of [`Buffers::sum`].
    are_of_buffers: bool,
}

impl Gradients {
    /// No gradient yet: zeros for all `weights`.
    pub fn zeros(weights: &Weights) -> Result<Self> {
        let zeros = |(name, variable): (&str, &Parameter)| {
            let zeros = Tensor::zeros(variable.shape(), DType::F32, variable.device())?;
            Ok((name.to_string(), zeros))
        };
        let missing = weights.variables().map(|(name, _)| name.to_string()).collect();
        let by_name = weights.variables().map(zeros).collect::<Result<_>>()?;
        Ok(Self { by_name, missing, are_of_buffers: false })
    }

    /// Gradients that have been summed already, in the memory of [`Buffers::sum`]: `f32` tensors by
    /// parameter name.
    pub(crate) fn from_sums(by_name: BTreeMap<String, Tensor>) -> Self {
        Self { by_name, missing: BTreeSet::new(), are_of_buffers: true }
    }

    /// Adds the gradients of one backward pass. Every parameter must have one: a missing gradient
    /// means that some operation cuts the graph, and training on would be silently wrong.
    pub fn accumulate(&mut self, weights: &Weights, store: &GradStore) -> Result<()> {
        self.accumulate_part(weights, store)?;
        self.check_complete()
    }

    /// Adds the gradients of a part of a backward pass, which has some of the parameters.
    /// [`Self::check_complete`] is for the end.
    pub fn accumulate_part(&mut self, weights: &Weights, store: &GradStore) -> Result<()> {
        for (name, sum) in &mut self.by_name {
            if let Some(grad) = weights.variable(name)?.gradient(store)? {
                if kernels::on_gpu(&[sum]) {
                    kernels::accumulate(sum, &grad)?;
                } else {
                    add(sum, &grad)?;
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
            Some(name) => {
                Err(Error::failed(format!("the parameter `{name}` received no gradient")))
            }
        }
    }

    /// The gradient of one parameter.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.by_name.get(name)
    }

    /// Gives memory that came from `buffers` back, for the next sums of the same parameters.
    pub fn free(self, buffers: &mut Buffers) {
        if !self.are_of_buffers {
            return;
        }
        buffers.give_sums(self.by_name.into_values().filter_map(kernels::into_elements));
    }

    /// Global L2 norm over all parameters. Fails, naming the parameter, where it is not finite.
    pub fn norm(&self) -> Result<f64> {
        let mut total = 0.0;
        let on_gpu = kernels::on_gpu(&self.by_name.values().collect::<Vec<_>>());
        let squares =
            if on_gpu { kernels::squared_norms(self.by_name.values())? } else { Vec::new() };
        for (index, (name, grad)) in self.by_name.iter().enumerate() {
            let square = match squares.get(index) {
                Some(square) => *square,
                None => kernels::with_slices([grad], |[grad]| Ok(kernels::squared_norm(grad)))?,
            };
            if !square.is_finite() {
                return Err(Error::failed(format!("the gradient of `{name}` has no finite norm")));
            }
            total += square;
        }
        Ok(total.sqrt())
    }
}

/// sum += grad; sum is `f32`.
fn add(sum: &mut Tensor, grad: &Tensor) -> Result<()> {
    if sum.device().is_cpu() && matches!(grad.dtype(), DType::F32 | DType::BF16) {
        return Ok(sum.inplace_op2(&grad.contiguous()?, &Add)?);
    }
    *sum = (&*sum + grad.to_dtype(DType::F32)?)?;
    Ok(())
}

/// Adds in place on the CPU.
struct Add;

/// Elements per parallel task.
const BLOCK: usize = 16_384;

impl InplaceOp2 for Add {
    fn name(&self) -> &'static str {
        "add-gradient"
    }

    fn cpu_fwd(
        &self,
        sum: &mut CpuStorage,
        sum_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> candle_core::Result<()> {
        let sum = kernels::slice_mut(sum, sum_layout)?;
        match grad {
            CpuStorage::BF16(_) => {
                add_values(sum, kernels::slice(grad, grad_layout)?, half::bf16::to_f32);
            }
            _ => add_values(sum, kernels::slice(grad, grad_layout)?, |g| g),
        }
        Ok(())
    }
}

fn add_values<T: Copy + Sync>(sum: &mut [f32], grad: &[T], widen: impl Fn(T) -> f32 + Sync) {
    sum.par_chunks_mut(BLOCK).zip(grad.par_chunks(BLOCK)).for_each(|(sum, grad)| {
        for (sum, grad) in sum.iter_mut().zip(grad) {
            *sum += widen(*grad);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn gradients_of_both_types_are_added_in_f32() {
        let device = &Device::Cpu;
        let mut sum = Tensor::new(&[1f32, 2.0, 3.0, 4.0], device).unwrap();
        let grad = Tensor::new(&[[0.25f32, 0.5], [1.0 / 512.0, 2.0]], device).unwrap();
        add(&mut sum, &grad.flatten_all().unwrap().to_dtype(DType::BF16).unwrap()).unwrap();
        // A transposed gradient, too.
        add(&mut sum, &grad.t().unwrap().flatten_all().unwrap()).unwrap();
        assert_eq!(sum.to_vec1::<f32>().unwrap(), [1.5, 2.5 + 1.0 / 512.0, 3.5 + 1.0 / 512.0, 8.0]);
    }
}
