//! Starting kernels, and memory that they may write to.

use super::program::Variant;
pub(super) use super::program::{Argument, Program, arguments};
use candle_core::{DType, Device, Result, Shape, Storage, Tensor, bail};

/// Runs the kernel `name` with `blocks` (x, y) of `threads` threads. A launch without blocks does
/// nothing.
///
/// Where tensors are written to, nobody else may read or write them before the launch is over,
/// which on one stream means: before this function has returned.
pub(super) fn launch(
    variant: Variant,
    name: &'static str,
    blocks: [usize; 2],
    threads: usize,
    arguments: &[Argument],
) -> Result<()> {
    if blocks.contains(&0) {
        return Ok(());
    }
    let mut device = None;
    for argument in arguments {
        if let Argument::Tensor(tensor) = argument {
            if !tensor.is_contiguous() {
                bail!("the kernel {name} needs contiguous tensors, got {:?}", tensor.layout());
            }
            device = Some(tensor.device());
        }
    }
    if blocks[0] > i32::MAX as usize || blocks[1] > usize::from(u16::MAX) {
        bail!("the kernel {name} cannot have {blocks:?} blocks");
    }
    let blocks = blocks.map(|n| n as u32);
    match device {
        #[cfg(feature = "cuda")]
        Some(Device::Cuda(device)) => {
            super::device::launch(device, variant, name, blocks, threads as u32, arguments)
        }
        #[cfg(test)]
        Some(Device::Cpu) => {
            super::emulate::launch(variant, name, blocks, threads as u32, arguments)
        }
        _ => bail!("no kernel {name} of {} for {device:?}", variant.program.name),
    }
}

/// Whether kernels run on `device`. (Emulated ones run on the CPU, where only tests ask for them.)
pub(super) fn has_kernels(device: &Device) -> bool {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => super::device::has_kernels(device),
        _ => false,
    }
}

/// Memory for a kernel to write to.
pub(super) fn uninitialised(
    shape: impl Into<Shape>,
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    #[allow(unsafe_code, reason = "zeros would be written only to be overwritten")]
    // SAFETY: numbers of these types have no invalid bits, and the kernel that the memory is for
    // writes all of it before anybody reads it.
    unsafe {
        Tensor::empty(shape, dtype, device)
    }
}

/// The tensor itself where kernels can read it 16 bytes at a time, a copy otherwise.
pub(super) fn aligned(tensor: &Tensor) -> Result<Tensor> {
    let tensor = tensor.contiguous()?;
    let offset = tensor.layout().start_offset() * tensor.dtype().size_in_bytes();
    // `Tensor::copy` copies what the tensor is a part of, and so begins where that one began.
    if offset.is_multiple_of(16) { Ok(tensor) } else { tensor.force_contiguous() }
}

/// c = a b, or c += a b: a (m, k) and b (k, n) of one type, row-major or transposed, c (m, n)
/// contiguous and `f32`. Products and sums are in `f32`.
pub(super) fn multiply(c: &Tensor, a: &Tensor, b: &Tensor, accumulate: bool) -> Result<()> {
    let ((m, k), (inner, n)) = (a.dims2()?, b.dims2()?);
    if k != inner
        || c.dims() != [m, n]
        || c.dtype() != DType::F32
        || a.dtype() != b.dtype()
        || !c.is_contiguous()
    {
        bail!("product of {:?} and {:?} into {:?}", a.shape(), b.shape(), c.shape());
    }
    match &*c.storage_and_layout().0 {
        #[cfg(feature = "cuda")]
        Storage::Cuda(_) => return super::device::multiply(c, a, b, accumulate),
        Storage::Cpu(_) => {}
        _ => bail!("no product into {c:?}"),
    }
    let product = a.to_dtype(DType::F32)?.matmul(&b.to_dtype(DType::F32)?)?;
    c.slice_set(&if accumulate { (c + product)? } else { product }, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::super::super::check::random;
    use super::*;

    #[test]
    fn a_part_that_begins_anywhere_gets_memory_of_its_own() {
        let all = random(&[40], 1);
        let part = all.narrow(0, 3, 20).unwrap();
        let found = aligned(&part).unwrap();
        // A copy of what it is a part of would begin at the same place.
        assert_eq!(found.layout().start_offset(), 0);
        assert_eq!(found.to_vec1::<f32>().unwrap(), part.to_vec1::<f32>().unwrap());
        let part = all.narrow(0, 4, 20).unwrap();
        assert_eq!(aligned(&part).unwrap().id(), part.id());
    }
}
