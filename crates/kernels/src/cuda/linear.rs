//! y = x W^T by cuBLAS, with gradients in the layout of their tensors; see
//! [`crate::linear`].

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp2, Layout, Result, Shape, Tensor};

struct Linear;

impl Linear {
    fn forward<S: BackendStorage>(
        x: &S,
        x_layout: &Layout,
        w: &S,
        w_layout: &Layout,
    ) -> Result<(S, Shape)> {
        let ((rows, inner), (out, _)) = (x_layout.shape().dims2()?, w_layout.shape().dims2()?);
        let y = x.matmul(w, (1, rows, out, inner), x_layout, &w_layout.transpose(0, 1)?)?;
        Ok((y, (rows, out).into()))
    }
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Self::forward(x, lx, w, lw)
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        lx: &Layout,
        w: &CudaStorage,
        lw: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Self::forward(x, lx, w, lw)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let dx = grad.matmul(&weight.detach())?;
        // A frozen weight needs no gradient.
        let dw = if weight.track_op() { Some(grad.t()?.matmul(&x.detach())?) } else { None };
        Ok((Some(dx), dw))
    }
}

/// [`crate::linear`] on a GPU.
pub(crate) fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op2(weight, Linear)
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{agree, random};
    use super::super::super::linear_reference;
    use super::*;

    #[test]
    fn linear_agrees_with_the_reference_forward_and_backward() {
        let inputs = [random(&[7, 5], 1), random(&[3, 5], 2)];
        agree(&inputs, |t| linear(&t[0], &t[1]), |t| linear_reference(&t[0], &t[1]), 1e-5);
    }
}
