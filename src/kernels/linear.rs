//! y = x W^T, without copies of W in either pass.

use super::cuda;
use super::matmul::{View, matmul};
use super::storage::{fused, slice, with_slices};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

/// x W^T for x (n, in) and W (out, in), as Hugging Face stores linear layers. Returns (n, out).
pub fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if fused(&[x, weight]) {
        x.contiguous()?.apply_op2(weight, Linear)
    } else if cuda::applies(&[x, weight]) {
        cuda::linear(x, weight)
    } else {
        linear_reference(x, weight)
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

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, inner) = l1.shape().dims2()?;
        let (out, _) = l2.shape().dims2()?;
        let mut y = vec![0.0; rows * out];
        matmul(&mut y, View::new(slice(s1, l1)?, inner), View::new(slice(s2, l2)?, inner).t(), false);
        Ok((CpuStorage::F32(y), (rows, out).into()))
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
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
    use super::super::check::{agree, random};
    use super::*;

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
