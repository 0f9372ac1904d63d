//! The gated activation; see [`crate::gated`].

use super::super::Activation;
use super::launch::{Program, aligned, arguments, launch, uninitialised};
use super::node::node2;
use candle_core::{Result, Tensor, bail};

pub(super) static PROGRAM: Program = Program {
    name: "gated",
    source: include_str!("gated.cu"),
    kernels: &["swiglu_forward", "swiglu_backward", "geglu_forward", "geglu_backward"],
};

/// Bytes of each tensor that a thread works on.
const BYTES: usize = 16;

fn blocks(x: &Tensor) -> [usize; 2] {
    [x.elem_count().div_ceil(BYTES / x.dtype().size_in_bytes()).div_ceil(256), 1]
}

/// The kernels of an activation, forward and backward.
fn kernels(activation: Activation) -> [&'static str; 2] {
    match activation {
        Activation::Silu => ["swiglu_forward", "swiglu_backward"],
        Activation::GeluTanh => ["geglu_forward", "geglu_backward"],
    }
}

/// [`crate::gated`] on a GPU.
pub(crate) fn gated(gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
    if gate.shape() != up.shape() {
        bail!("gated activation of {:?} and {:?}", gate.shape(), up.shape());
    }
    let (gate, up) = (aligned(gate)?, aligned(up)?);
    let [forward, backward] = kernels(activation);
    let y = node2([&gate, &up], gate.shape(), gate.dtype(), move |[gate, up], _, grad| {
        let d_gate = uninitialised(gate.shape(), gate.dtype(), gate.device())?;
        let d_up = uninitialised(gate.shape(), gate.dtype(), gate.device())?;
        let grad = aligned(grad)?;
        let arguments = arguments![gate, up, &grad, &d_gate, &d_up, gate.elem_count() as u64];
        launch(PROGRAM.of(gate.dtype()), backward, blocks(gate), 256, arguments)?;
        Ok([Some(d_gate), Some(d_up)])
    })?;
    let arguments = arguments![&gate, &up, &y, gate.elem_count() as u64];
    launch(PROGRAM.of(gate.dtype()), forward, blocks(&gate), 256, arguments)?;
    Ok(y)
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{agree, agree_in_bf16, difference, random};
    use super::super::super::gated_reference;
    use super::super::emulate;
    use super::*;
    use candle_core::{DType, Device, Var};

    #[test]
    fn emulated_activations_agree_with_the_reference_forward_and_backward() {
        if !emulate::available() {
            return;
        }
        let inputs = [random(&[9, 131], 1), random(&[9, 131], 2)];
        for activation in [Activation::Silu, Activation::GeluTanh] {
            let emulated = |t: &[Tensor]| gated(&t[0], &t[1], activation);
            let reference = |t: &[Tensor]| gated_reference(&t[0], &t[1], activation);
            agree(&inputs, emulated, reference, 1e-5);
            agree_in_bf16(&inputs, emulated, reference);
        }
    }

    #[test]
    fn strongly_negative_gates_have_finite_gradients() {
        if !emulate::available() {
            return;
        }
        for activation in [Activation::Silu, Activation::GeluTanh] {
            let gate = Var::new(&[-200.0f32, -100.0, -50.0, 100.0], &Device::Cpu).unwrap();
            let up = Tensor::ones(4, DType::F32, &Device::Cpu).unwrap();
            let y = gated(gate.as_tensor(), &up, activation).unwrap();
            let gradients = y.sum_all().unwrap().backward().unwrap();
            let expected = Tensor::new(&[0.0f32, 0.0, 0.0, 1.0], &Device::Cpu).unwrap();
            assert!(difference(gradients.get(&gate).unwrap(), &expected) < 1e-6);
        }
    }
}
