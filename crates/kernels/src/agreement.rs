//! What tests of differentiable operations assert: fused against reference, forward and backward,
//! and finite differences.

use super::check::{difference, random, values};
use candle_core::{DType, Device, Result, Tensor, Var};

/// Asserts that two functions have equal values and equal gradients with respect to every input,
/// for a loss that weighs each output differently.
pub(crate) fn agree(
    inputs: &[Tensor],
    fused: impl Fn(&[Tensor]) -> Result<Tensor>,
    reference: impl Fn(&[Tensor]) -> Result<Tensor>,
    tolerance: f32,
) {
    let grads = agree_without_differences(inputs, &fused, reference, tolerance);
    finite_differences(inputs, &grads, &fused);
}

/// [`agree`] without finite differences, for inputs that make these expensive. Returns the
/// gradients.
pub(crate) fn agree_without_differences(
    inputs: &[Tensor],
    fused: impl Fn(&[Tensor]) -> Result<Tensor>,
    reference: impl Fn(&[Tensor]) -> Result<Tensor>,
    tolerance: f32,
) -> Vec<Tensor> {
    let run = |f: &dyn Fn(&[Tensor]) -> Result<Tensor>| {
        let vars: Vec<Var> = inputs.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
        let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let y = f(&tensors).unwrap();
        let weights = random(y.dims(), 99);
        let grads = (&y * weights).unwrap().sum_all().unwrap().backward().unwrap();
        let grads: Vec<Tensor> = vars
            .iter()
            .enumerate()
            .map(|(i, v)| {
                grads.get(v).unwrap_or_else(|| panic!("no gradient for input {i}")).clone()
            })
            .collect();
        (y, grads)
    };
    let (y, grads) = run(&fused);
    let (expected, expected_grads) = run(&reference);
    let forward = difference(&y, &expected);
    assert!(forward < tolerance, "values differ by {forward:e}");
    for (i, (grad, expected)) in grads.iter().zip(&expected_grads).enumerate() {
        let backward = difference(grad, expected);
        assert!(backward < 4.0 * tolerance, "gradients of input {i} differ by {backward:e}");
    }
    grads
}

/// The tensor rounded to `bf16`.
pub(crate) fn rounded(tensor: &Tensor) -> Tensor {
    tensor.to_dtype(DType::BF16).unwrap()
}

/// Asserts that a result in `bf16` is what it should be, up to roundings of it and of what it is
/// made of.
pub(crate) fn within_bf16(found: &Tensor, expected: &Tensor) {
    within_bf16_of(found, expected, 0.0);
}

/// [`within_bf16`] of elements that are what terms of the size `terms` leave of each other.
fn within_bf16_of(found: &Tensor, expected: &Tensor, terms: f32) {
    assert_eq!(found.shape(), expected.shape());
    let (found, expected) = (values(&found.to_dtype(DType::F32).unwrap()), values(expected));
    let size = (expected.iter().map(|x| x * x).sum::<f32>() / expected.len().max(1) as f32).sqrt();
    let size = size.max(terms);
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let allowed = 0.02 * (expected.abs() + size);
        assert!(
            (found - expected).abs() <= allowed,
            "element {i}: {found} for {expected}, of size {size}"
        );
    }
}

/// Asserts that a function of `bf16` tensors has the values and gradients that the reference has in
/// `f32` for the same inputs.
pub(crate) fn agree_in_bf16(
    inputs: &[Tensor],
    fused: impl Fn(&[Tensor]) -> Result<Tensor>,
    reference: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    agree_in_bf16_of(inputs, fused, reference, 0.0);
}

/// [`agree_in_bf16`] where gradients are what terms of the size `terms` leave of each other.
pub(crate) fn agree_in_bf16_of(
    inputs: &[Tensor],
    fused: impl Fn(&[Tensor]) -> Result<Tensor>,
    reference: impl Fn(&[Tensor]) -> Result<Tensor>,
    terms: f32,
) {
    let run = |f: &dyn Fn(&[Tensor]) -> Result<Tensor>, dtype: DType| {
        let vars: Vec<Var> = inputs
            .iter()
            .map(|t| Var::from_tensor(&rounded(t).to_dtype(dtype).unwrap()).unwrap())
            .collect();
        let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let y = f(&tensors).unwrap();
        let weights = rounded(&random(y.dims(), 99)).to_dtype(y.dtype()).unwrap();
        let grads = (&y * weights).unwrap().sum_all().unwrap().backward().unwrap();
        let grads: Vec<Tensor> = vars.iter().map(|v| grads.get(v).unwrap().clone()).collect();
        (y, grads)
    };
    let (y, grads) = run(&fused, DType::BF16);
    let (expected, expected_grads) = run(&reference, DType::F32);
    within_bf16(&y, &expected);
    for (grad, expected) in grads.iter().zip(&expected_grads) {
        assert_eq!(grad.dtype(), DType::BF16);
        within_bf16_of(grad, expected, terms);
    }
}

/// Checks a few entries of each gradient against central differences.
fn finite_differences(
    inputs: &[Tensor],
    grads: &[Tensor],
    f: &dyn Fn(&[Tensor]) -> Result<Tensor>,
) {
    const H: f32 = 1e-2;
    let loss = |inputs: &[Tensor]| -> f64 {
        let y = f(inputs).unwrap();
        let weights = random(y.dims(), 99);
        values(&y).iter().zip(values(&weights)).map(|(y, w)| f64::from(*y) * f64::from(w)).sum()
    };
    for (which, grad) in grads.iter().enumerate() {
        let grad = values(grad);
        let data = values(&inputs[which]);
        for entry in (0..data.len()).step_by(data.len().div_ceil(7)) {
            let nudged = |by: f32| {
                let mut data = data.clone();
                data[entry] += by;
                let mut inputs = inputs.to_vec();
                inputs[which] =
                    Tensor::from_vec(data, inputs[which].shape(), &Device::Cpu).unwrap();
                loss(&inputs)
            };
            let slope = (nudged(H) - nudged(-H)) / f64::from(2.0 * H);
            let error = (slope - f64::from(grad[entry])).abs();
            assert!(
                error < 2e-2 * slope.abs().max(1.0),
                "input {which}, entry {entry}: slope {slope}, gradient {}",
                grad[entry]
            );
        }
    }
}
