//! Operations whose value has been computed already and whose gradient is a function: a way around
//! the graph that candle would keep of the same computation. They work on every device and type.

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail,
};
use std::sync::{Mutex, PoisonError};

/// A value that has been computed, and is handed over once.
struct Value(Mutex<Option<Tensor>>);

impl Value {
    fn new(value: &Tensor) -> Result<Self> {
        // A storage of its own, which begins where the value does.
        let value = value.detach().contiguous()?;
        let begins = value.layout().start_offset() == 0;
        Ok(Self(Mutex::new(Some(if begins { value } else { value.copy()? }))))
    }

    fn take(&self) -> Result<Tensor> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(value) => Ok(value),
            None => bail!("the value of an operation was asked for twice"),
        }
    }

    fn cpu(&self) -> Result<(CpuStorage, Shape)> {
        let value = self.take()?;
        let (storage, layout) = value.storage_and_layout();
        match &*storage {
            Storage::Cpu(storage) => Ok((storage.try_clone(layout)?, layout.shape().clone())),
            _ => bail!("the value of an operation is on another device"),
        }
    }

    fn cuda(&self) -> Result<(CudaStorage, Shape)> {
        let value = self.take()?;
        let (storage, layout) = value.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, layout.shape().clone())),
            _ => bail!("the value of an operation is on another device"),
        }
    }
}

struct Op1<F> {
    value: Value,
    backward: F,
}

impl<F: Fn(&Tensor, &Tensor) -> Result<Tensor>> CustomOp1 for Op1<F> {
    fn name(&self) -> &'static str {
        "custom-gradient"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.value.cpu()
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.value.cuda()
    }

    fn bwd(&self, x: &Tensor, _value: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        (self.backward)(&x.detach(), grad).map(Some)
    }
}

/// `value` as a function of `x`. `backward` makes the gradient of `x` from `x` and the gradient of
/// `value`.
pub(super) fn with_gradient(
    x: &Tensor,
    value: Tensor,
    backward: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    if !x.track_op() {
        return Ok(value);
    }
    x.apply_op1(Op1 { value: Value::new(&value)?, backward })
}

struct Op2<F> {
    value: Value,
    backward: F,
}

/// Gradients of two arguments; none where an argument needs none.
pub(super) type Gradients2 = (Option<Tensor>, Option<Tensor>);

impl<F: Fn(&Tensor, &Tensor, &Tensor) -> Result<Gradients2>> CustomOp2 for Op2<F> {
    fn name(&self) -> &'static str {
        "custom-gradient"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.value.cpu()
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.value.cuda()
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, _value: &Tensor, grad: &Tensor) -> Result<Gradients2> {
        (self.backward)(x, y, grad)
    }
}

/// `value` as a function of `x` and `y`. `backward` makes their gradients from `x`, `y` and the
/// gradient of `value`; [`Tensor::track_op`] says of each whether it needs one.
pub(super) fn with_gradients(
    x: &Tensor,
    y: &Tensor,
    value: Tensor,
    backward: impl Fn(&Tensor, &Tensor, &Tensor) -> Result<Gradients2> + Send + Sync + 'static,
) -> Result<Tensor> {
    if !x.track_op() && !y.track_op() {
        return Ok(value);
    }
    x.apply_op2(y, Op2 { value: Value::new(&value)?, backward })
}
