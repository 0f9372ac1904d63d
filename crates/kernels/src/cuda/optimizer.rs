//! Sums of gradients, their norm and the update, in place; see [`crate::optim`].

use super::launch::{Program, aligned, arguments, launch, uninitialised};
use candle_core::{DType, Result, Tensor, bail};

pub(super) static PROGRAM: Program = Program {
    name: "optimizer",
    source: include_str!("optimizer.cu"),
    kernels: &["accumulate", "squares", "adamw_moments", "adamw_store"],
};

const THREADS: usize = 256;

/// Most blocks that share a sum of squares, which keep every GPU busy, and the fewest elements that
/// are worth a block.
const MOST_PARTS: usize = 1024;
const PART: usize = 32 * THREADS;

/// sum += grad: `sum` in `f32`, `grad` of either type.
pub fn accumulate(sum: &Tensor, grad: &Tensor) -> Result<()> {
    let (n, grad) = (sum.elem_count(), aligned(grad)?);
    if grad.elem_count() != n {
        bail!("gradient {:?} for a sum {:?}", grad.shape(), sum.shape());
    }
    let blocks = n.div_ceil(16 / grad.dtype().size_in_bytes()).div_ceil(THREADS);
    launch(
        PROGRAM.of(grad.dtype()),
        "accumulate",
        [blocks, 1],
        THREADS,
        arguments![sum, &grad, n as u64],
    )
}

/// The sum of squares of each tensor (`f32`), with one wait for the device.
pub fn squared_norms<'a>(tensors: impl ExactSizeIterator<Item = &'a Tensor>) -> Result<Vec<f64>> {
    let tensors: Vec<&Tensor> = tensors.collect();
    let parts = |tensor: &Tensor| tensor.elem_count().div_ceil(PART).min(MOST_PARTS);
    let Some(first) = tensors.first() else { return Ok(Vec::new()) };
    let all = tensors.iter().map(|tensor| parts(tensor)).sum::<usize>();
    let partial = uninitialised(all, DType::F64, first.device())?;
    let mut at = 0;
    for tensor in &tensors {
        let own = partial.narrow(0, at, parts(tensor))?;
        let arguments = arguments![*tensor, &own, tensor.elem_count() as u64];
        launch(PROGRAM.of(DType::F32), "squares", [parts(tensor), 1], THREADS, arguments)?;
        at += parts(tensor);
    }
    let partial = partial.to_vec1::<f64>()?;
    let mut rest = partial.as_slice();
    let sums = tensors.iter().map(|tensor| {
        let (own, others) = rest.split_at(parts(tensor));
        rest = others;
        own.iter().sum()
    });
    Ok(sums.collect())
}

/// One parameter and its state: the weight in the model's type, all else in `f32`.
pub struct Parameter<'a> {
    /// What is trained, `f32` or `bf16`.
    pub weight: &'a Tensor,
    /// The weight itself where that is `f32`.
    pub master: &'a Tensor,
    /// Mean of the gradients, m.
    pub first: &'a Tensor,
    /// Mean of their squares, v.
    pub second: &'a Tensor,
    /// Sum of the gradients of this step.
    pub gradient: &'a Tensor,
    /// What the weight is multiplied by before it moves.
    pub decay: f32,
}

/// What all parameters have in common.
#[derive(Clone, Copy)]
pub struct Rule {
    /// How much of m stays.
    pub beta1: f64,
    /// How much of v stays.
    pub beta2: f64,
    /// What is added to the root of v.
    pub eps: f64,
    /// Length of a move.
    pub learning_rate: f64,
    /// What gradients are multiplied by.
    pub scale: f64,
    /// Steps taken, this one included.
    pub steps: i32,
}

/// One step of `AdamW` in place. Returns the place of the first parameter that would not be finite;
/// no weight has changed then, but the moments have.
pub fn adamw(parameters: &[Parameter], rule: Rule) -> Result<Option<usize>> {
    let Rule { beta1, beta2, eps, learning_rate, scale, steps } = rule;
    let Some(first) = parameters.first() else { return Ok(None) };
    let device = first.weight.device();
    let rate = (learning_rate / (1.0 - beta1.powi(steps))) as f32;
    let root_correction = (1.0 / (1.0 - beta2.powi(steps)).sqrt()) as f32;
    let (beta1, beta2, eps, scale) = (beta1 as f32, beta2 as f32, eps as f32, scale as f32);
    let flags = Tensor::zeros(parameters.len(), DType::U32, device)?;
    for (i, p) in parameters.iter().enumerate() {
        let n = p.master.elem_count();
        let flag = flags.narrow(0, i, 1)?;
        let arguments = arguments![
            p.master,
            p.gradient,
            p.first,
            p.second,
            &flag,
            n as u64,
            scale,
            beta1,
            beta2,
            rate,
            root_correction,
            eps,
            p.decay
        ];
        launch(
            PROGRAM.of(DType::F32),
            "adamw_moments",
            [n.div_ceil(THREADS), 1],
            THREADS,
            arguments,
        )?;
    }
    if let Some(place) = flags.to_vec1::<u32>()?.iter().position(|&flag| flag != 0) {
        return Ok(Some(place));
    }
    for p in parameters {
        let n = p.master.elem_count();
        let dtype = p.weight.dtype();
        // In `f32` the weight is the master, which the kernel writes anyway.
        let nothing = uninitialised(1, dtype, device)?;
        let weight = if dtype == DType::F32 { &nothing } else { p.weight };
        let arguments = arguments![
            p.master,
            p.first,
            p.second,
            weight,
            n as u64,
            rate,
            root_correction,
            eps,
            p.decay
        ];
        launch(PROGRAM.of(dtype), "adamw_store", [n.div_ceil(THREADS), 1], THREADS, arguments)?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{difference, random, rounded, values};
    use super::super::emulate;
    use super::*;
    use candle_core::Device;

    #[test]
    fn emulated_sums_and_norms_agree_with_candle() {
        if !emulate::available() {
            return;
        }
        for n in [1, 7, 1000] {
            let (sum, grad) = (random(&[n], 1), random(&[n], 2));
            let expected = (&sum + &grad).unwrap();
            accumulate(&sum, &grad).unwrap();
            assert!(difference(&sum, &expected) < 1e-6);
            let grad = rounded(&grad);
            let expected = (&sum + grad.to_dtype(DType::F32).unwrap()).unwrap();
            accumulate(&sum, &grad).unwrap();
            assert!(difference(&sum, &expected) < 1e-6);
        }
        // One block, several, and one element more than a block's.
        let tensors = [random(&[3, 5], 1), random(&[20_003], 2), random(&[PART + 1], 3)];
        for (tensor, found) in tensors.iter().zip(squared_norms(tensors.iter()).unwrap()) {
            let expected: f64 = values(tensor).iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            assert!((found - expected).abs() < 1e-9 * expected);
        }
    }

    #[test]
    fn two_emulated_steps_follow_the_equations_of_the_paper() {
        if !emulate::available() {
            return;
        }
        for dtype in [DType::F32, DType::BF16] {
            let n = 301;
            let weight = random(&[n], 1).to_dtype(dtype).unwrap();
            // As in the optimizer, the master of an `f32` weight is the weight.
            let master = weight.to_dtype(DType::F32).unwrap();
            let zeros = || Tensor::zeros(n, DType::F32, &Device::Cpu).unwrap();
            let (first, second, gradient) = (zeros(), zeros(), random(&[n], 2));
            let mut expected: Vec<f64> = values(&master).into_iter().map(f64::from).collect();
            let g: Vec<f64> = values(&gradient).into_iter().map(|g| f64::from(g) * 0.5).collect();
            let (mut m, mut v) = (vec![0.0; n], vec![0.0; n]);
            for steps in 1..=2 {
                let rule = Rule {
                    beta1: 0.9,
                    beta2: 0.99,
                    eps: 1e-8,
                    learning_rate: 0.01,
                    scale: 0.5,
                    steps,
                };
                let parameter = Parameter {
                    weight: &weight,
                    master: &master,
                    first: &first,
                    second: &second,
                    gradient: &gradient,
                    decay: 0.999,
                };
                assert_eq!(adamw(&[parameter], rule).unwrap(), None);
                for i in 0..n {
                    m[i] = 0.9 * m[i] + 0.1 * g[i];
                    v[i] = 0.99 * v[i] + 0.01 * g[i] * g[i];
                    let (m, v) =
                        (m[i] / (1.0 - 0.9f64.powi(steps)), v[i] / (1.0 - 0.99f64.powi(steps)));
                    expected[i] = expected[i] * 0.999 - 0.01 * m / (v.sqrt() + 1e-8);
                }
            }
            let expected: Vec<f32> = expected.into_iter().map(|x| x as f32).collect();
            let expected = Tensor::from_vec(expected, n, &Device::Cpu).unwrap();
            assert!(difference(&master, &expected) < 1e-6);
            assert!(
                difference(&weight.to_dtype(DType::F32).unwrap(), &rounded_as(&expected, dtype))
                    < 1e-2
            );
        }
    }

    fn rounded_as(tensor: &Tensor, dtype: DType) -> Tensor {
        tensor.to_dtype(dtype).unwrap().to_dtype(DType::F32).unwrap()
    }

    #[test]
    fn a_step_that_would_break_a_weight_names_it_and_changes_none() {
        if !emulate::available() {
            return;
        }
        let state = |value: f32| Tensor::full(value, 5, &Device::Cpu).unwrap();
        let zeros = [state(0.0), state(0.0), state(0.0), state(0.0)];
        let good = [state(1.0), state(0.0), state(0.0), state(1.0)];
        // Without eps, a gradient of 0 gives 0 / 0.
        let rule =
            Rule { beta1: 0.9, beta2: 0.99, eps: 0.0, learning_rate: 0.01, scale: 1.0, steps: 1 };
        let parameters: Vec<Parameter> = [&good, &zeros]
            .into_iter()
            .map(|s| Parameter {
                weight: &s[0],
                master: &s[0],
                first: &s[1],
                second: &s[2],
                gradient: &s[3],
                decay: 1.0,
            })
            .collect();
        assert_eq!(adamw(&parameters, rule).unwrap(), Some(1));
        assert_eq!(values(&good[0]), [1.0; 5]);
    }
}
