//! Starting kernels: what a kernel is, what it is given, and memory it may write to.

use candle_core::{DType, Device, Result, Shape, Storage, Tensor, bail};

/// A CUDA source.
pub(super) struct Program {
    /// Its name, without extension.
    pub(super) name: &'static str,
    pub(super) source: &'static str,
    /// The kernels in it.
    #[cfg_attr(not(test), allow(dead_code, reason = "only the emulator has to list them"))]
    pub(super) kernels: &'static [&'static str],
}

/// What all sources begin with.
pub(super) const COMMON: &str = include_str!("common.cuh");

/// A program for tensors of one type and heads of one size.
#[derive(Clone, Copy)]
pub(super) struct Variant {
    pub(super) program: &'static Program,
    dtype: DType,
    /// Elements of a head; 0 where it does not matter.
    head_dim: usize,
    /// Query heads of a key/value head; 0 where it does not matter.
    group: usize,
}

impl Program {
    /// The program for tensors of this type.
    pub(super) const fn of(&'static self, dtype: DType) -> Variant {
        Variant { program: self, dtype, head_dim: 0, group: 0 }
    }
}

impl Variant {
    pub(super) const fn heads(self, head_dim: usize, group: usize) -> Self {
        Self { head_dim, group, ..self }
    }

    /// The macros to compile it with.
    pub(super) fn macros(&self) -> Vec<String> {
        let mut macros = Vec::new();
        if self.dtype == DType::BF16 {
            macros.push("-DBF16".to_string());
        }
        if self.head_dim > 0 {
            macros.push(format!("-DHEAD_DIM={}", self.head_dim));
        }
        if self.group > 0 {
            macros.push(format!("-DGROUP={}", self.group));
        }
        macros
    }

    /// What tells variants apart.
    pub(super) fn key(&self) -> Key {
        (self.program.name, self.dtype == DType::BF16, self.head_dim, self.group)
    }
}

/// Name of the program, whether for `bf16`, size of heads, query heads of a key/value head.
pub(super) type Key = (&'static str, bool, usize, usize);

/// One argument of a kernel. Kernels may write to any tensor that they are given.
#[derive(Clone, Copy)]
pub(super) enum Argument<'a> {
    /// The address of its first element; it must be contiguous.
    Tensor(&'a Tensor),
    U32(u32),
    U64(u64),
    F32(f32),
}

impl<'a> From<&'a Tensor> for Argument<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self::Tensor(tensor)
    }
}

impl From<f32> for Argument<'_> {
    fn from(value: f32) -> Self {
        Self::F32(value)
    }
}

impl From<u32> for Argument<'_> {
    fn from(value: u32) -> Self {
        Self::U32(value)
    }
}

impl From<usize> for Argument<'_> {
    /// As 32 bits.
    fn from(value: usize) -> Self {
        Self::U32(value as u32)
    }
}

impl From<u64> for Argument<'_> {
    fn from(value: u64) -> Self {
        Self::U64(value)
    }
}

/// Makes a list of arguments.
macro_rules! arguments {
    ($($argument:expr),* $(,)?) => { &[$($crate::kernels::cuda::launch::Argument::from($argument)),*] };
}
pub(super) use arguments;

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
    if offset.is_multiple_of(16) { Ok(tensor) } else { tensor.copy() }
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
