//! Nodes of candle's graph whose forward and backward passes are written in terms of tensors.
//!
//! candle's custom operations see storages, and their forward pass has to return one. A node's
//! forward pass only makes the memory of the result: whoever adds the node fills it with a kernel
//! afterwards.

use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::cpu_backend::CpuDevice;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Tensor,
};

struct Node<B> {
    shape: Shape,
    dtype: DType,
    /// From the inputs, the output and the output's gradient to the inputs' gradients.
    backward: B,
}

impl<B> Node<B> {
    fn on_cpu(&self) -> Result<(CpuStorage, Shape)> {
        Ok((CpuDevice.zeros_impl(&self.shape, self.dtype)?, self.shape.clone()))
    }

    fn on_cuda(&self, input: &CudaStorage) -> Result<(CudaStorage, Shape)> {
        #[allow(unsafe_code, reason = "zeros would be written only to be overwritten")]
        // SAFETY: numbers have no invalid bits, and the kernel that follows writes all of it before
        // anybody reads it.
        let storage = unsafe { input.device().alloc_uninit(&self.shape, self.dtype)? };
        Ok((storage, self.shape.clone()))
    }
}

/// Memory for a function of one tensor, with its way back.
pub(super) fn node1<B>(
    x: &Tensor,
    shape: impl Into<Shape>,
    dtype: DType,
    backward: B,
) -> Result<Tensor>
where
    B: Fn([&Tensor; 1], &Tensor, &Tensor) -> Result<[Option<Tensor>; 1]> + Send + Sync + 'static,
{
    x.apply_op1(Node { shape: shape.into(), dtype, backward })
}

/// Memory for a function of two tensors, with its way back.
pub(super) fn node2<B>(
    inputs: [&Tensor; 2],
    shape: impl Into<Shape>,
    dtype: DType,
    backward: B,
) -> Result<Tensor>
where
    B: Fn([&Tensor; 2], &Tensor, &Tensor) -> Result<[Option<Tensor>; 2]> + Send + Sync + 'static,
{
    inputs[0].apply_op2(inputs[1], Node { shape: shape.into(), dtype, backward })
}

/// Memory for a function of three tensors, with its way back.
pub(super) fn node3<B>(
    inputs: [&Tensor; 3],
    shape: impl Into<Shape>,
    dtype: DType,
    backward: B,
) -> Result<Tensor>
where
    B: Fn([&Tensor; 3], &Tensor, &Tensor) -> Result<[Option<Tensor>; 3]> + Send + Sync + 'static,
{
    inputs[0].apply_op3(inputs[1], inputs[2], Node { shape: shape.into(), dtype, backward })
}

const NAME: &str = "cuda-kernel";

impl<B> CustomOp1 for Node<B>
where
    B: Fn([&Tensor; 1], &Tensor, &Tensor) -> Result<[Option<Tensor>; 1]>,
{
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.on_cpu()
    }

    fn cuda_fwd(&self, x: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.on_cuda(x)
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let [dx] = (self.backward)([x], y, grad)?;
        Ok(dx)
    }
}

impl<B> CustomOp2 for Node<B>
where
    B: Fn([&Tensor; 2], &Tensor, &Tensor) -> Result<[Option<Tensor>; 2]>,
{
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.on_cpu()
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.on_cuda(x)
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [da, db] = (self.backward)([a, b], y, grad)?;
        Ok((da, db))
    }
}

impl<B> CustomOp3 for Node<B>
where
    B: Fn([&Tensor; 3], &Tensor, &Tensor) -> Result<[Option<Tensor>; 3]>,
{
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.on_cpu()
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.on_cuda(x)
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [da, db, dc] = (self.backward)([a, b, c], y, grad)?;
        Ok((da, db, dc))
    }
}
