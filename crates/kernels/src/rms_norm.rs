//! Root-mean-square normalisation: y = x / sqrt(mean(x^2) + eps) * w (Zhang and Sennrich, 2019). Some
//! models keep w - 1 in place of w, so an offset can be added to it. The gradients are the same.

use super::custom_gradient::{Gradients2, with_gradients};
use super::storage::{fused, slice, with_slices};
use super::{cuda, half, simd};
use candle_core::{CpuStorage, CustomOp2, D, DType, Layout, Result, Shape, Tensor};
use multiversion::multiversion;
use rayon::prelude::*;
use std::borrow::Cow;

/// Rows per parallel task. Fixed, so that sums over rows have one order for any number of threads.
pub(super) const ROWS: usize = 64;

/// Normalises the last dimension of x (..., d) and scales it by `weight` (d).
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    offset_rms_norm(x, weight, eps, 0.0)
}

/// Normalises the last dimension of x (..., d) and scales it by `offset` + `weight` (d).
pub fn offset_rms_norm(x: &Tensor, weight: &Tensor, eps: f64, offset: f32) -> Result<Tensor> {
    if fused(&[x, weight]) {
        x.contiguous()?.apply_op2(weight, RmsNorm { eps: eps as f32, offset })
    } else if cuda::applies(&[x, weight]) {
        cuda::rms_norm(x, weight, eps, offset)
    } else if half::applies(&[x, weight]) {
        let y = rms_norm_reference(&x.detach(), &weight.detach(), eps, offset)?;
        with_gradients(x, weight, y, move |x, weight, grad| {
            backward_in_f32(x, weight, grad, eps as f32, offset)
        })
    } else {
        rms_norm_reference(x, weight, eps, offset)
    }
}

/// [`offset_rms_norm`] from plain candle operations; statistics are in `f32` whatever the type of
/// x.
pub fn rms_norm_reference(x: &Tensor, weight: &Tensor, eps: f64, offset: f32) -> Result<Tensor> {
    let wide = x.to_dtype(DType::F32)?;
    let mean_square = wide.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = wide.broadcast_div(&(mean_square + eps)?.sqrt()?)?;
    if offset == 0.0 {
        return normed.to_dtype(x.dtype())?.broadcast_mul(weight);
    }
    // In a type of few digits the sum would lose most of the weight's.
    let weight = (weight.to_dtype(DType::F32)? + f64::from(offset))?;
    normed.broadcast_mul(&weight)?.to_dtype(x.dtype())
}

/// Gradients of tensors of another type. candle would sum those of the weight over the rows in that
/// type, which in `bf16` loses all but the first few hundred of them.
fn backward_in_f32(
    x: &Tensor,
    weight: &Tensor,
    grad: &Tensor,
    eps: f32,
    offset: f32,
) -> Result<Gradients2> {
    let dtype = x.dtype();
    let wide = |t: &Tensor| t.detach().to_dtype(DType::F32);
    let (dx, dw) = gradients(&wide(x)?, &wide(weight)?, &wide(grad)?, eps, offset)?;
    Ok((
        Some(dx.to_dtype(dtype)?),
        if weight.track_op() { Some(dw.to_dtype(dtype)?) } else { None },
    ))
}

/// Gradients of x and of the weight, given that of the norm.
fn gradients(
    x: &Tensor,
    weight: &Tensor,
    grad: &Tensor,
    eps: f32,
    offset: f32,
) -> Result<(Tensor, Tensor)> {
    with_slices([x, weight, grad], |[x_data, w, g]| {
        let (mut dx, mut dw) = (vec![0.0; x_data.len()], vec![0.0; w.len()]);
        add_norm_backward(&mut dx, g, x_data, &shifted(w, offset), Some(&mut dw), eps);
        Ok((
            Tensor::from_vec(dx, x.shape(), x.device())?,
            Tensor::from_vec(dw, weight.shape(), x.device())?,
        ))
    })
}

struct RmsNorm {
    eps: f32,
    offset: f32,
}

/// `offset` + `weight`.
pub fn shifted(weight: &[f32], offset: f32) -> Cow<'_, [f32]> {
    if offset == 0.0 {
        return weight.into();
    }
    weight.iter().map(|w| offset + w).collect()
}

/// y = x / sqrt(mean(x^2) + eps) * weight, by rows: x and y (n, d), `weight` (d).
pub fn norm(y: &mut [f32], x: &[f32], weight: &[f32], eps: f32) {
    let block = ROWS * weight.len();
    y.par_chunks_mut(block)
        .zip(x.par_chunks(block))
        .for_each(|(y, x)| norm_rows(y, x, weight, eps));
}

/// Adds the gradient with respect to the norm's input x to `sum`, and the one with respect to its
/// weight to `weight_sum` where it is trained, from the one with respect to its output: `sum`, `grad`
/// and x (n, d), `weight` and `weight_sum` (d).
pub fn add_norm_backward(
    sum: &mut [f32],
    grad: &[f32],
    x: &[f32],
    weight: &[f32],
    weight_sum: Option<&mut [f32]>,
    eps: f32,
) {
    let block = ROWS * weight.len();
    let parts: Vec<Vec<f32>> = sum
        .par_chunks_mut(block)
        .zip(grad.par_chunks(block))
        .zip(x.par_chunks(block))
        .map(|((sum, grad), x)| {
            let mut part = vec![0.0; weight.len()];
            norm_rows_backward(sum, grad, x, weight, &mut part, eps);
            part
        })
        .collect();
    if let Some(weight_sum) = weight_sum {
        for part in &parts {
            simd::add_scaled(weight_sum, 1.0, part);
        }
    }
}

#[multiversion(targets = "simd")]
pub(super) fn norm_rows(y: &mut [f32], x: &[f32], weight: &[f32], eps: f32) {
    let d = weight.len();
    for (y, x) in y.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
        let r = 1.0 / (simd::dot(x, x) / d as f32 + eps).sqrt();
        for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
            *y = x * r * w;
        }
    }
}

/// With r = 1 / sqrt(mean(x^2) + eps): dx = r (w g - x r^2 mean(w g x)), dw = sum over rows of g x
/// r.
#[multiversion(targets = "simd")]
fn norm_rows_backward(
    sum: &mut [f32],
    grad: &[f32],
    x: &[f32],
    weight: &[f32],
    d_weight: &mut [f32],
    eps: f32,
) {
    let d = weight.len();
    let mut scaled = vec![0.0; d];
    for ((sum, grad), x) in sum.chunks_exact_mut(d).zip(grad.chunks_exact(d)).zip(x.chunks_exact(d))
    {
        let r = 1.0 / (simd::dot(x, x) / d as f32 + eps).sqrt();
        for ((((s, dw), g), x), w) in
            scaled.iter_mut().zip(d_weight.iter_mut()).zip(grad).zip(x).zip(weight)
        {
            *s = g * w;
            *dw += g * x * r;
        }
        let pull = r * r * r * simd::dot(&scaled, x) / d as f32;
        for ((sum, s), x) in sum.iter_mut().zip(&scaled).zip(x) {
            *sum += r * s - x * pull;
        }
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (slice(s1, l1)?, slice(s2, l2)?);
        let mut y = vec![0.0; x.len()];
        norm(&mut y, x, &shifted(weight, self.offset), self.eps);
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dw) = gradients(x, weight, grad, self.eps, self.offset)?;
        Ok((Some(dx), Some(dw)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, random, rounded, values, within_bf16};
    use super::*;
    use candle_core::Var;

    /// The gradient of the weight is a sum over rows, here of 3000 numbers of one sign.
    #[test]
    fn gradients_in_bf16_are_summed_in_f32() {
        let x = [
            rounded(&(random(&[3000, 16], 1).abs().unwrap() + 1.0).unwrap()),
            rounded(&random(&[16], 2)),
        ];
        let gradients = |dtype: DType| -> Vec<Tensor> {
            let [x, weight] =
                x.each_ref().map(|t| Var::from_tensor(&t.to_dtype(dtype).unwrap()).unwrap());
            let y = rms_norm(x.as_tensor(), weight.as_tensor(), 1e-6).unwrap();
            let store = y.sum_all().unwrap().backward().unwrap();
            [x, weight].map(|t| store.get(&t).unwrap().clone()).into()
        };
        let (found, expected) = (gradients(DType::BF16), gradients(DType::F32));
        assert!(values(&expected[1]).iter().all(|sum| *sum > 1000.0));
        for (found, expected) in found.iter().zip(&expected) {
            within_bf16(found, expected);
        }
    }

    #[test]
    fn fused_rms_norm_agrees_with_the_reference_forward_and_backward() {
        for (rows, d, offset) in [(5, 33, 0.0), (300, 16, 0.0), (70, 33, 1.0)] {
            agree(
                &[random(&[rows, d], 1), random(&[d], 2)],
                |t| offset_rms_norm(&t[0], &t[1], 1e-6, offset),
                |t| rms_norm_reference(&t[0], &t[1], 1e-6, offset),
                2e-5,
            );
        }
    }

    /// In `bf16` 1 + 0.001 is 1.
    #[test]
    fn an_offset_takes_no_digits_from_a_weight() {
        let (x, weight) = (rounded(&random(&[40, 16], 1)), rounded(&random(&[16], 2)));
        let small = (weight * 1e-3).unwrap();
        let wide = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
        let expected = offset_rms_norm(&wide(&x), &wide(&small), 1e-6, 1.0).unwrap();
        let found = wide(&offset_rms_norm(&x, &small, 1e-6, 1.0).unwrap());
        let off = values(&found).into_iter().zip(values(&expected));
        // Half a unit in the last place, everywhere.
        assert!(off.into_iter().all(|(a, b)| (a - b).abs() <= b.abs() / 256.0));
        let once = wide(&rounded(&expected));
        assert_eq!(values(&found), values(&once));
    }
}
