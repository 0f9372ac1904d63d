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

/// y = silu(gate) * up.
pub(super) fn activate(y: &mut [f32], gate: &[f32], up: &[f32]) {
    let blocks = y.par_chunks_mut(BLOCK).zip(gate.par_chunks(BLOCK)).zip(up.par_chunks(BLOCK));
    blocks.for_each(|((y, gate), up)| activate_elements(y, gate, up));
}

/// Replaces `gate` and `up` by the gradients with respect to them, from the one with respect to
/// their activation.
pub(super) fn activate_backward(gate: &mut [f32], up: &mut [f32], grad: &[f32]) {
    let blocks =
        gate.par_chunks_mut(BLOCK).zip(up.par_chunks_mut(BLOCK)).zip(grad.par_chunks(BLOCK));
    blocks.for_each(|((gate, up), grad)| activate_elements_backward(gate, up, grad));
}

#[multiversion(targets = "simd")]
fn activate_elements(y: &mut [f32], gate: &[f32], up: &[f32]) {
    for ((y, g), u) in y.iter_mut().zip(gate).zip(up) {
        *y = g / (1.0 + simd::exp(-g)) * u;
    }
}

/// d gate = grad up s (1 + gate (1 - s)), d up = grad gate s, with s = sigmoid(gate).
#[multiversion(targets = "simd")]
fn activate_elements_backward(gate: &mut [f32], up: &mut [f32], grad: &[f32]) {
    for ((g, u), grad) in gate.iter_mut().zip(up.iter_mut()).zip(grad) {
        let s = 1.0 / (1.0 + simd::exp(-*g));
        let d_gate = grad * *u * s * (1.0 + *g * (1.0 - s));
        *u = grad * *g * s;
        *g = d_gate;
    }
}

impl CustomOp2 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (slice(s1, l1)?, slice(s2, l2)?);
        let mut y = vec![0.0; gate.len()];
        activate(&mut y, gate, up);
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        with_slices([gate, up, grad], |[g, u, grad]| {
            let (mut d_gate, mut d_up) = (g.to_vec(), u.to_vec());
            activate_backward(&mut d_gate, &mut d_up, grad);
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
            let gradients =
                function(gate.as_tensor(), &up).unwrap().sum_all().unwrap().backward().unwrap();
            let expected = Tensor::new(&[0.0f32, 0.0, 0.0, 1.0], &Device::Cpu).unwrap();
            assert!(difference(gradients.get(&gate).unwrap(), &expected) < 1e-6);
        }
    }
}
