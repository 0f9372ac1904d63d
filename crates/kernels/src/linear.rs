//! y = x W^T, without copies of W in either pass.

use super::cuda;
use super::custom_gradient::{with_gradient, with_gradients};
use super::half;
use super::matmul::{View, matmul};
use super::storage::{fused, slice, with_slices};
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor};

/// x W^T for x (n, in) and W (out, in), as Hugging Face stores linear layers. Returns (n, out). A
/// frozen W costs no gradient.
pub fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if fused(&[x, weight]) {
        return x.contiguous()?.apply_op2(weight, Linear);
    }
    if cuda::applies(&[x, weight]) {
        return cuda::linear(x, weight);
    }
    if half::applies(&[x, weight]) {
        let y = half::linear(&x.detach(), &weight.detach())?;
        return with_gradients(x, weight, y, |x, weight, grad| {
            let dw = if weight.track_op() { Some(half::outer(grad, x)?) } else { None };
            Ok((Some(half::times(grad, weight)?), dw))
        });
    }
    if weight.track_op() {
        return linear_reference(x, weight);
    }
    let frozen = weight.clone();
    with_gradient(x, linear_reference(&x.detach(), weight)?, move |_, grad| grad.matmul(&frozen))
}

/// [`linear`] without gradients, in `f32`. What comes of logits depends on small differences of
/// large numbers, so products of `bf16` are not rounded to that type where it can be helped.
pub(super) fn logits(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if half::applies(&[x, weight]) {
        half::wide_linear(x, weight)
    } else {
        linear(x, weight)?.to_dtype(DType::F32)
    }
}

/// p W for p (n, out) and W (out, in), without gradients. Returns (n, in) in the type of W.
pub(super) fn times(p: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if half::applies(&[weight]) {
        half::times(p, weight)
    } else {
        p.to_dtype(weight.dtype())?.matmul(weight)
    }
}

/// The gradient of x (n, in) under [`linear`], from that of its result (n, out).
pub(super) fn input_gradient(grad: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if half::applies(&[grad, weight]) {
        half::times(grad, weight)
    } else {
        grad.contiguous()?.matmul(weight)
    }
}

/// [`linear`] from plain candle operations.
pub fn linear_reference(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.matmul(&weight.t()?)
}

struct Linear;

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, inner) = l1.shape().dims2()?;
        let (out, _) = l2.shape().dims2()?;
        let mut y = vec![0.0; rows * out];
        matmul(
            &mut y,
            View::new(slice(s1, l1)?, inner),
            View::new(slice(s2, l2)?, inner).t(),
            false,
        );
        Ok((CpuStorage::F32(y), (rows, out).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (rows, inner) = x.dims2()?;
        let (out, _) = weight.dims2()?;
        with_slices([x, weight, grad], |[x_data, w_data, g_data]| {
            let mut dx = vec![0.0; rows * inner];
            matmul(&mut dx, View::new(g_data, out), View::new(w_data, inner), false);
            // A frozen weight (the reference policy, a detached copy) needs no gradient.
            let dw = if weight.track_op() {
                let mut dw = vec![0.0; out * inner];
                matmul(&mut dw, View::new(g_data, out).t(), View::new(x_data, inner), false);
                Some(Tensor::from_vec(dw, (out, inner), x.device())?)
            } else {
                None
            };
            Ok((Some(Tensor::from_vec(dx, (rows, inner), x.device())?), dw))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, difference, random};
    use super::*;
    use candle_core::Var;

    /// The version for other devices and types, of a weight that is tracked and one that is not.
    #[test]
    fn a_frozen_weight_changes_no_value_and_costs_no_gradient() {
        let (x, w) = (
            Var::from_tensor(&random(&[7, 5], 1)).unwrap(),
            Var::from_tensor(&random(&[3, 5], 2)).unwrap(),
        );
        let gradients = |dtype: DType, frozen: bool| {
            let weight = if frozen { w.detach() } else { w.as_tensor().clone() };
            let y = linear(&x.to_dtype(dtype).unwrap(), &weight.to_dtype(dtype).unwrap()).unwrap();
            let store = y
                .to_dtype(DType::F32)
                .unwrap()
                .sqr()
                .unwrap()
                .sum_all()
                .unwrap()
                .backward()
                .unwrap();
            (store.get(&x).unwrap().clone(), store.get(&w).is_some())
        };
        let (expected, _) = gradients(DType::F32, false);
        for (dtype, tolerance) in [(DType::F32, 1e-4), (DType::F64, 1e-4), (DType::BF16, 0.2)] {
            for frozen in [false, true] {
                let (found, has_weight) = gradients(dtype, frozen);
                let off = difference(&found, &expected);
                assert!(off < tolerance && has_weight != frozen, "{dtype:?} {frozen} {off}");
            }
        }
    }

    #[test]
    fn fused_linear_agrees_with_the_reference_forward_and_backward() {
        agree(
            &[random(&[7, 5], 1), random(&[3, 5], 2)],
            |t| linear(&t[0], &t[1]),
            |t| linear_reference(&t[0], &t[1]),
            1e-5,
        );
    }
}
