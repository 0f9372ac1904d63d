//! The update rule of `AdamW`: from plain candle operations, and in place for `f32` tensors on the
//! CPU, over all processors.
//!
//! With g the scaled gradient: m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2, and
//! w = decay w - rate (m / correction1) / (sqrt(v / correction2) + eps).

use crate::kernels::{fused, slice, slice_mut, with_slices};
use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor};
use multiversion::multiversion;
use rayon::prelude::*;

/// Elements per parallel task.
const BLOCK: usize = 16_384;

/// The constants of one step.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    pub(super) beta1: f64,
    pub(super) beta2: f64,
    pub(super) eps: f64,
    pub(super) learning_rate: f64,
    /// What the gradient is multiplied by.
    pub(super) scale: f64,
    /// 1 - beta^steps.
    pub(super) correction1: f64,
    pub(super) correction2: f64,
}

/// A moment's move, with g or with g^2.
struct Moment {
    keep: f32,
    share: f32,
    scale: f32,
    squared: bool,
}

/// A weight's move.
#[derive(Clone, Copy)]
struct Change {
    decay: f32,
    rate: f32,
    eps: f32,
    correction1: f32,
    correction2: f32,
}

impl Rule {
    /// New moments, from plain candle operations.
    pub(super) fn moments_reference(
        &self,
        first: &Tensor,
        second: &Tensor,
        grad: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let grad = (grad * self.scale)?;
        let first = ((first * self.beta1)? + (&grad * (1.0 - self.beta1))?)?;
        let second = ((second * self.beta2)? + (grad.sqr()? * (1.0 - self.beta2))?)?;
        Ok((first, second))
    }

    /// New weights, from plain candle operations.
    pub(super) fn changed_reference(
        &self,
        weight: &Tensor,
        first: &Tensor,
        second: &Tensor,
        decay: f64,
    ) -> Result<Tensor> {
        let root = ((second / self.correction2)?.sqrt()? + self.eps)?;
        let change = ((first / self.correction1)? / root)?;
        (weight * decay)? - (change * self.learning_rate)?
    }

    /// Whether the versions in place apply to tensors like these.
    pub(super) fn applies(tensors: &[&Tensor]) -> bool {
        fused(tensors) && tensors.iter().all(|tensor| tensor.is_contiguous())
    }

    /// Moves both moments.
    pub(super) fn moments(&self, first: &Tensor, second: &Tensor, grad: &Tensor) -> Result<()> {
        let moment = |beta: f64, squared| Moment {
            keep: beta as f32,
            share: (1.0 - beta) as f32,
            scale: self.scale as f32,
            squared,
        };
        first.inplace_op2(grad, &moment(self.beta1, false))?;
        second.inplace_op2(grad, &moment(self.beta2, true))
    }

    /// The sum of what [`Self::change`] would make of the weights: not finite where one of them is
    /// not.
    pub(super) fn changed_sum(
        &self,
        weight: &Tensor,
        first: &Tensor,
        second: &Tensor,
        decay: f64,
    ) -> Result<Tensor> {
        let change = self.constants(decay);
        let device = weight.device();
        with_slices([weight, first, second], |[weight, first, second]| {
            let blocks =
                weight.par_chunks(BLOCK).zip(first.par_chunks(BLOCK)).zip(second.par_chunks(BLOCK));
            let sums: Vec<f32> = blocks
                .map(|((weight, first), second)| changed_block_sum(weight, first, second, change))
                .collect();
            Tensor::new(sums.iter().sum::<f32>(), device)
        })
    }

    /// Moves the weights.
    pub(super) fn change(
        &self,
        weight: &Tensor,
        first: &Tensor,
        second: &Tensor,
        decay: f64,
    ) -> Result<()> {
        weight.inplace_op3(first, second, &self.constants(decay))
    }

    fn constants(&self, decay: f64) -> Change {
        let Self { eps, learning_rate, correction1, correction2, .. } = *self;
        Change {
            decay: decay as f32,
            rate: learning_rate as f32,
            eps: eps as f32,
            correction1: correction1 as f32,
            correction2: correction2 as f32,
        }
    }
}

impl Change {
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
    fn of(self, weight: f32, first: f32, second: f32) -> f32 {
        let root = (second / self.correction2).sqrt() + self.eps;
        weight * self.decay - first / self.correction1 / root * self.rate
    }
}

#[multiversion(targets = "simd")]
fn changed_block_sum(weight: &[f32], first: &[f32], second: &[f32], change: Change) -> f32 {
    let mut lanes = [0f32; 16];
    for ((weight, first), second) in weight.chunks(16).zip(first.chunks(16)).zip(second.chunks(16))
    {
        for (((sum, weight), first), second) in lanes.iter_mut().zip(weight).zip(first).zip(second)
        {
            *sum += change.of(*weight, *first, *second);
        }
    }
    lanes.iter().sum()
}

#[multiversion(targets = "simd")]
fn change_block(weight: &mut [f32], first: &[f32], second: &[f32], change: Change) {
    for ((weight, first), second) in weight.iter_mut().zip(first).zip(second) {
        *weight = change.of(*weight, *first, *second);
    }
}

#[multiversion(targets = "simd")]
fn move_block(moment: &mut [f32], grad: &[f32], by: &Moment) {
    for (moment, grad) in moment.iter_mut().zip(grad) {
        let grad = grad * by.scale;
        let term = if by.squared { grad * grad } else { grad };
        *moment = *moment * by.keep + term * by.share;
    }
}

impl InplaceOp2 for Moment {
    fn name(&self) -> &'static str {
        "adamw-moment"
    }

    fn cpu_fwd(
        &self,
        s1: &mut CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<()> {
        let (moment, grad) = (slice_mut(s1, l1)?, slice(s2, l2)?);
        moment
            .par_chunks_mut(BLOCK)
            .zip(grad.par_chunks(BLOCK))
            .for_each(|(moment, grad)| move_block(moment, grad, self));
        Ok(())
    }
}

impl InplaceOp3 for Change {
    fn name(&self) -> &'static str {
        "adamw-change"
    }

    fn cpu_fwd(
        &self,
        s1: &mut CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<()> {
        let (weight, first, second) = (slice_mut(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?);
        let blocks =
            weight.par_chunks_mut(BLOCK).zip(first.par_chunks(BLOCK)).zip(second.par_chunks(BLOCK));
        blocks.for_each(|((weight, first), second)| change_block(weight, first, second, *self));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::check::{difference, random};

    #[test]
    fn the_rule_in_place_agrees_with_the_reference() {
        let (beta1, beta2) = (0.9, 0.99);
        let [correction1, correction2] = [beta1, beta2].map(|beta: f64| 1.0 - beta.powi(3));
        let rule = Rule {
            beta1,
            beta2,
            eps: 1e-8,
            learning_rate: 0.1,
            scale: 0.3,
            correction1,
            correction2,
        };
        let shape = [BLOCK / 8 + 1, 9];
        let [weight, first, grad] = [1, 2, 3].map(|seed| random(&shape, seed));
        let second = random(&shape, 4).sqr().unwrap();
        let (first_expected, second_expected) =
            rule.moments_reference(&first, &second, &grad).unwrap();
        let expected =
            rule.changed_reference(&weight, &first_expected, &second_expected, 0.99).unwrap();
        assert!(Rule::applies(&[&weight, &first, &second, &grad]));
        rule.moments(&first, &second, &grad).unwrap();
        assert!(
            difference(&first, &first_expected) < 1e-6
                && difference(&second, &second_expected) < 1e-6
        );
        let sum =
            rule.changed_sum(&weight, &first, &second, 0.99).unwrap().to_scalar::<f32>().unwrap();
        let expected_sum = expected.sum_all().unwrap().to_scalar::<f32>().unwrap();
        assert!((sum - expected_sum).abs() < 1e-2, "{sum} {expected_sum}");
        rule.change(&weight, &first, &second, 0.99).unwrap();
        assert!(difference(&weight, &expected) < 1e-5);
    }

    #[test]
    fn a_weight_that_would_not_be_finite_is_seen_before_it_is_stored() {
        let rule = Rule {
            beta1: 0.9,
            beta2: 0.99,
            eps: 0.0,
            learning_rate: 0.1,
            scale: 1.0,
            correction1: 0.1,
            correction2: 0.01,
        };
        let weight = random(&[40], 1);
        let zeros = weight.zeros_like().unwrap();
        assert!(
            rule.changed_sum(&weight, &zeros, &zeros, 1.0)
                .unwrap()
                .to_scalar::<f32>()
                .unwrap()
                .is_nan()
        );
    }
}
