//! The gated activation of the MLP: silu(gate) * up, with silu(x) = x / (1 + e^-x) (Shazeer, 2020).

use super::storage::{fused, slice, with_slices};
use super::{cuda, simd};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use multiversion::multiversion;
use rayon::prelude::*;

/// Elements per parallel task.
const BLOCK: usize = 16_384;

/// silu(gate) * up, element by element, for two tensors of one shape.
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if fused(&[gate, up]) {
        gate.contiguous()?.apply_op2(&up.contiguous()?, SwiGlu)
    } else if cuda::applies(&[gate, up]) {
        cuda::swiglu(gate, up)
    } else {
        swiglu_reference(gate, up)
    }
}

/// [`swiglu`] from plain candle operations.
pub fn swiglu_reference(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gate.silu()? * up
}

struct SwiGlu;

#[multiversion(targets = "simd")]
fn forward_block(y: &mut [f32], gate: &[f32], up: &[f32]) {
    for ((y, g), u) in y.iter_mut().zip(gate).zip(up) {
        *y = g / (1.0 + simd::exp(-g)) * u;
    }
}

/// d gate = grad up s (1 + gate (1 - s)), d up = grad gate s, with s = sigmoid(gate).
#[multiversion(targets = "simd")]
fn backward_block(d_gate: &mut [f32], d_up: &mut [f32], gate: &[f32], up: &[f32], grad: &[f32]) {
    for ((((dg, du), g), u), grad) in d_gate.iter_mut().zip(d_up.iter_mut()).zip(gate).zip(up).zip(grad) {
        let s = 1.0 / (1.0 + simd::exp(-g));
        *dg = grad * u * s * (1.0 + g * (1.0 - s));
        *du = grad * g * s;
    }
}

impl CustomOp2 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (slice(s1, l1)?, slice(s2, l2)?);
        let mut y = vec![0.0; gate.len()];
        y.par_chunks_mut(BLOCK)
            .zip(gate.par_chunks(BLOCK))
            .zip(up.par_chunks(BLOCK))
            .for_each(|((y, gate), up)| forward_block(y, gate, up));
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn bwd(&self, gate: &Tensor, up: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        with_slices([gate, up, grad], |[g, u, grad]| {
            let mut d_gate = vec![0.0; g.len()];
            let mut d_up = vec![0.0; g.len()];
            d_gate
                .par_chunks_mut(BLOCK)
                .zip(d_up.par_chunks_mut(BLOCK))
                .zip(g.par_chunks(BLOCK))
                .zip(u.par_chunks(BLOCK))
                .zip(grad.par_chunks(BLOCK))
                .for_each(|((((d_gate, d_up), g), u), grad)| backward_block(d_gate, d_up, g, u, grad));
            let tensor = |data| Tensor::from_vec(data, gate.shape(), gate.device());
            Ok((Some(tensor(d_gate)?), Some(tensor(d_up)?)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, difference, random};
    use super::*;
    use candle_core::{DType, Device, Var};

    #[test]
    fn fused_swiglu_agrees_with_the_reference_forward_and_backward() {
        agree(
            &[random(&[9, 21], 1), random(&[9, 21], 2)],
            |t| swiglu(&t[0], &t[1]),
            |t| swiglu_reference(&t[0], &t[1]),
            1e-5,
        );
    }

    #[test]
    fn strongly_negative_gates_have_finite_gradients() {
        for function in [swiglu, swiglu_reference] {
            let gate = Var::new(&[-200.0f32, -100.0, -50.0, 100.0], &Device::Cpu).unwrap();
            let up = Tensor::ones(4, DType::F32, &Device::Cpu).unwrap();
            let gradients = function(gate.as_tensor(), &up).unwrap().sum_all().unwrap().backward().unwrap();
            let expected = Tensor::new(&[0.0f32, 0.0, 0.0, 1.0], &Device::Cpu).unwrap();
            assert!(difference(gradients.get(&gate).unwrap(), &expected) < 1e-6);
        }
    }
}
