//! The gated activation of the MLP (Shazeer, 2020): f(gate) * up, with f(x) = x sigmoid(z(x)).
//!
//! | | z(x) |
//! |---|---|
//! | `SiLU` | x |
//! | GELU, by tanh (Hendrycks and Gimpel, 2016) | 2 sqrt(2 / pi) (x + 0.044715 x^3) |
//!
//! The second is 0.5 x (1 + tanh(z / 2)).

use super::custom_gradient::with_gradients;
use super::storage::{fused, slice, with_slices};
use super::{cuda, half, simd};
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor};
use multiversion::multiversion;
use rayon::prelude::*;

/// Elements per parallel task.
const BLOCK: usize = 16_384;

/// 2 sqrt(2 / pi)
const OUTER: f64 = 2.0 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
const CUBIC: f64 = 0.044_715;

/// The function f of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x sigmoid(x)
    Silu,
    /// The approximation of GELU by tanh.
    GeluTanh,
}

/// f(gate) * up, element by element, for two tensors of one shape.
pub fn gated(gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
    if fused(&[gate, up]) {
        gate.contiguous()?.apply_op2(&up.contiguous()?, Gated(activation))
    } else if cuda::applies(&[gate, up]) {
        cuda::gated(gate, up, activation)
    } else if half::applies(&[gate, up]) && activation == Activation::GeluTanh {
        gated_in_f32(gate, up, activation)
    } else {
        gated_reference(gate, up, activation)
    }
}

/// [`gated`] from plain candle operations.
pub fn gated_reference(gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Silu => gate.silu()? * up,
        Activation::GeluTanh => {
            let inner = ((gate.sqr()? * CUBIC)? + 1.0)?;
            let tanh = ((gate * inner)? * (OUTER / 2.0))?.tanh()?;
            ((gate * 0.5)? * (tanh + 1.0)?)? * up
        }
    }
}

/// [`gated`] of another type, rounded once: candle would round every step of it.
fn gated_in_f32(gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
    let wide = |t: &Tensor| t.detach().to_dtype(DType::F32);
    let y = gated(&wide(gate)?, &wide(up)?, activation)?.to_dtype(gate.dtype())?;
    with_gradients(gate, up, y, move |gate, up, grad| {
        let (d_gate, d_up) = gradients(&wide(gate)?, &wide(up)?, &wide(grad)?, activation)?;
        Ok((Some(d_gate.to_dtype(gate.dtype())?), Some(d_up.to_dtype(up.dtype())?)))
    })
}

/// Gradients of gate and up, given that of their activation.
fn gradients(
    gate: &Tensor,
    up: &Tensor,
    grad: &Tensor,
    activation: Activation,
) -> Result<(Tensor, Tensor)> {
    with_slices([gate, up, grad], |[g, u, grad]| {
        let (mut d_gate, mut d_up) = (g.to_vec(), u.to_vec());
        activate_backward(&mut d_gate, &mut d_up, grad, activation);
        let tensor = |data| Tensor::from_vec(data, gate.shape(), gate.device());
        Ok((tensor(d_gate)?, tensor(d_up)?))
    })
}

struct Gated(Activation);

/// y = f(gate) * up.
pub(super) fn activate(y: &mut [f32], gate: &[f32], up: &[f32], activation: Activation) {
    let elements: fn(&mut [f32], &[f32], &[f32]) = match activation {
        Activation::Silu => silu_elements,
        Activation::GeluTanh => gelu_elements,
    };
    let blocks = y.par_chunks_mut(BLOCK).zip(gate.par_chunks(BLOCK)).zip(up.par_chunks(BLOCK));
    blocks.for_each(|((y, gate), up)| elements(y, gate, up));
}

/// Replaces `gate` and `up` by the gradients with respect to them, from the one with respect to
/// their activation.
pub(super) fn activate_backward(
    gate: &mut [f32],
    up: &mut [f32],
    grad: &[f32],
    activation: Activation,
) {
    let elements: fn(&mut [f32], &mut [f32], &[f32]) = match activation {
        Activation::Silu => silu_elements_backward,
        Activation::GeluTanh => gelu_elements_backward,
    };
    let blocks =
        gate.par_chunks_mut(BLOCK).zip(up.par_chunks_mut(BLOCK)).zip(grad.par_chunks(BLOCK));
    blocks.for_each(|((gate, up), grad)| elements(gate, up, grad));
}

#[multiversion(targets = "simd")]
fn silu_elements(y: &mut [f32], gate: &[f32], up: &[f32]) {
    for ((y, g), u) in y.iter_mut().zip(gate).zip(up) {
        *y = g / (1.0 + simd::exp(-g)) * u;
    }
}

/// d gate = grad up s (1 + gate (1 - s)), d up = grad gate s, with s = sigmoid(gate).
#[multiversion(targets = "simd")]
fn silu_elements_backward(gate: &mut [f32], up: &mut [f32], grad: &[f32]) {
    for ((g, u), grad) in gate.iter_mut().zip(up.iter_mut()).zip(grad) {
        let s = 1.0 / (1.0 + simd::exp(-*g));
        let d_gate = grad * *u * s * (1.0 + *g * (1.0 - s));
        *u = grad * *g * s;
        *g = d_gate;
    }
}

#[multiversion(targets = "simd")]
fn gelu_elements(y: &mut [f32], gate: &[f32], up: &[f32]) {
    for ((y, g), u) in y.iter_mut().zip(gate).zip(up) {
        *y = gelu(*g) * u;
    }
}

/// d gate = grad up s (1 + gate (1 - s) z'(gate)), d up = grad gate s, with s = sigmoid(z(gate)).
#[multiversion(targets = "simd")]
fn gelu_elements_backward(gate: &mut [f32], up: &mut [f32], grad: &[f32]) {
    for ((g, u), grad) in gate.iter_mut().zip(up.iter_mut()).zip(grad) {
        let square = *g * *g;
        let s = gelu_sigmoid(*g, square);
        let slope = OUTER as f32 * (1.0 + 3.0 * CUBIC as f32 * square);
        let d_gate = grad * *u * s * (1.0 + *g * (1.0 - s) * slope);
        *u = grad * *g * s;
        *g = d_gate;
    }
}

/// The approximation of GELU by tanh.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
pub(super) fn gelu(x: f32) -> f32 {
    x * gelu_sigmoid(x, x * x)
}

/// sigmoid(z(x)), given x^2.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn gelu_sigmoid(x: f32, square: f32) -> f32 {
    1.0 / (1.0 + simd::exp(-OUTER as f32 * x * (1.0 + CUBIC as f32 * square)))
}

impl CustomOp2 for Gated {
    fn name(&self) -> &'static str {
        "gated"
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
        activate(&mut y, gate, up, self.0);
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (d_gate, d_up) = gradients(gate, up, grad, self.0)?;
        Ok((Some(d_gate), Some(d_up)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, agree_in_bf16, difference, random, values};
    use super::*;
    use candle_core::{Device, Var};

    const ALL: [Activation; 2] = [Activation::Silu, Activation::GeluTanh];

    #[test]
    fn fused_activations_agree_with_the_reference_forward_and_backward() {
        for activation in ALL {
            agree(
                &[random(&[9, 21], 1), random(&[9, 21], 2)],
                |t| gated(&t[0], &t[1], activation),
                |t| gated_reference(&t[0], &t[1], activation),
                1e-5,
            );
        }
    }

    #[test]
    fn in_bf16_an_activation_is_rounded_once() {
        let inputs = [random(&[9, 21], 1), random(&[9, 21], 2)];
        let gelu = Activation::GeluTanh;
        let reference = |t: &[Tensor]| gated_reference(&t[0], &t[1], gelu);
        agree_in_bf16(&inputs, |t| gated(&t[0], &t[1], gelu), reference);
        let [gate, up] = inputs.map(|t| t.to_dtype(DType::BF16).unwrap());
        let wide = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
        let expected = gated(&wide(&gate), &wide(&up), gelu).unwrap();
        let found = wide(&gated(&gate, &up, gelu).unwrap());
        for (found, expected) in values(&found).into_iter().zip(values(&expected)) {
            assert!((found - expected).abs() <= expected.abs() / 256.0, "{found} {expected}");
        }
    }

    /// Values of PyTorch's `gelu(x, approximate="tanh")` in `f64`.
    #[test]
    fn gelu_is_that_of_pytorch() {
        for (x, expected) in [
            (-9.0f64, -0.0),
            (-3.0, -0.003_637_392_081_772_994_3),
            (-0.5, -0.154_285_990_174_856_06),
            (0.0, 0.0),
            (1.0, 0.841_191_990_608_276_8),
            (4.0, 3.999_929_754_051_807_5),
            (50.0, 50.0),
        ] {
            let found = f64::from(gelu(x as f32));
            assert!((found - expected).abs() <= 1e-6 * x.abs().max(1.0), "{x}: {found}");
        }
    }

    #[test]
    fn strongly_negative_gates_have_finite_gradients() {
        for (function, activation) in ALL
            .into_iter()
            .flat_map(|activation| [gated, gated_reference].map(|function| (function, activation)))
        {
            let gate = Var::new(&[-200.0f32, -100.0, -50.0, 100.0], &Device::Cpu).unwrap();
            let up = Tensor::ones(4, DType::F32, &Device::Cpu).unwrap();
            let y = function(gate.as_tensor(), &up, activation).unwrap();
            let gradients = y.sum_all().unwrap().backward().unwrap();
            let expected = Tensor::new(&[0.0f32, 0.0, 0.0, 1.0], &Device::Cpu).unwrap();
            assert!(difference(gradients.get(&gate).unwrap(), &expected) < 1e-6);
        }
    }
}
