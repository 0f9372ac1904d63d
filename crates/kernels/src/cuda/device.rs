//! Kernels on a CUDA device: compiled by NVRTC when first used, launched on the device's stream.

use super::program::{Argument, COMMON, Key, Variant};
use candle_core::cuda::cudarc::cublas::{result::gemm_ex, sys as cublas};
use candle_core::cuda::cudarc::driver::{
    CudaFunction, CudaStream, DevicePtr, DriverError, LaunchConfig, PushKernelArg, sys as driver,
};
use candle_core::cuda::cudarc::nvrtc::{CompileError, CompileOptions, compile_ptx_with_opts};
use candle_core::cuda::{CudaStorageSlice, DeviceId};
use candle_core::{
    CudaDevice, CudaStorage, DType, Device, Error, Layout, Result, Storage, Tensor, bail,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::c_void;
use std::sync::{LazyLock, Mutex, PoisonError};

/// Opens a device, once per program: with one stream for all threads, and a memory pool that keeps
/// what is freed.
///
/// candle's own choice, a stream per thread, would let the trainer's thread read weights before the
/// thread that loads them has written them. And by default the pool returns free memory to the
/// driver whenever somebody waits for the device, which is after every token.
pub fn open(ordinal: usize) -> Result<Device> {
    static OPEN: Mutex<BTreeMap<usize, Device>> = Mutex::new(BTreeMap::new());
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(device) = open.get(&ordinal) {
        return Ok(device.clone());
    }
    let device = open_new(ordinal)?;
    open.insert(ordinal, device.clone());
    Ok(device)
}

fn open_new(ordinal: usize) -> Result<Device> {
    let device = Device::new_cuda_with_stream(ordinal)?;
    let cuda = device.as_cuda_device()?;
    #[allow(unsafe_code, reason = "events per tensor would cost several calls per launch")]
    // SAFETY: this device's tensors are only ever used on its one stream, where everything happens
    // in order.
    unsafe {
        cuda.disable_event_tracking();
    }
    if let Some(pool) = pool(cuda)? {
        let mut everything = u64::MAX;
        let threshold = driver::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        #[allow(unsafe_code, reason = "the driver's interface")]
        // SAFETY: the pool belongs to an open device, and the attribute is a 64-bit number.
        unsafe { driver::cuMemPoolSetAttribute(pool, threshold, (&raw mut everything).cast()) }
            .result()
            .map_err(Error::wrap)?;
    }
    Ok(device)
}

/// The memory pool that tensors come from, where the device has one.
fn pool(device: &CudaDevice) -> Result<Option<driver::CUmemoryPool>> {
    let stream = device.cuda_stream();
    let context = stream.context();
    if !context.has_async_alloc() {
        return Ok(None);
    }
    let mut pool = std::ptr::null_mut();
    #[allow(unsafe_code, reason = "the driver's interface")]
    // SAFETY: the device is open, and the pointer is written before it is read.
    unsafe { driver::cuDeviceGetDefaultMemPool(&raw mut pool, context.cu_device()) }
        .result()
        .map_err(Error::wrap)?;
    Ok(Some(pool))
}

/// Most bytes that tensors on the device have taken at one time since the last call; nothing for
/// other devices.
pub fn peak_memory(device: &Device) -> Result<Option<u64>> {
    let Device::Cuda(device) = device else { return Ok(None) };
    let Some(pool) = pool(device)? else { return Ok(None) };
    let attribute = driver::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH;
    let bytes = attribute_of(pool, attribute)?;
    let mut reset = 0u64;
    #[allow(unsafe_code, reason = "the driver's interface")]
    // SAFETY: the pool belongs to an open device, the attribute is a 64-bit number, and setting it
    // to zero is how it is reset.
    unsafe { driver::cuMemPoolSetAttribute(pool, attribute, (&raw mut reset).cast()) }
        .result()
        .map_err(untold)?;
    Ok(Some(bytes))
}

/// Bytes that the device's memory pool holds and no tensor uses. The driver counts them as taken,
/// but tensors of this program get them. Nothing for other devices.
pub fn unused_memory(device: &Device) -> Result<Option<u64>> {
    let Device::Cuda(device) = device else { return Ok(None) };
    let Some(pool) = pool(device)? else { return Ok(None) };
    let of = |attribute| attribute_of(pool, attribute);
    let reserved = of(driver::CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)?;
    let used = of(driver::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?;
    Ok(Some(reserved.saturating_sub(used)))
}

/// Gives what the device's memory pool holds and no tensor uses back to the driver, for other
/// programs. Does nothing for other devices.
pub fn trim_memory(device: &Device) -> Result<()> {
    let Device::Cuda(device) = device else { return Ok(()) };
    let Some(pool) = pool(device)? else { return Ok(()) };
    // What has been freed counts as unused when the stream has come that far.
    device.cuda_stream().synchronize().map_err(Error::wrap)?;
    #[allow(unsafe_code, reason = "the driver's interface")]
    // SAFETY: the pool belongs to an open device, and memory in use stays.
    unsafe { driver::cuMemPoolTrimTo(pool, 0) }.result().map_err(Error::wrap)
}

/// An attribute of a pool that is a 64-bit number.
fn attribute_of(pool: driver::CUmemoryPool, attribute: driver::CUmemPool_attribute) -> Result<u64> {
    let mut value = 0u64;
    #[allow(unsafe_code, reason = "the driver's interface")]
    // SAFETY: the pool belongs to an open device, and those who call ask for attributes that are
    // 64-bit numbers.
    unsafe { driver::cuMemPoolGetAttribute(pool, attribute, (&raw mut value).cast()) }
        .result()
        .map_err(untold)?;
    Ok(value)
}

fn untold(error: DriverError) -> Error {
    Error::msg(format!("the device does not tell its memory: {error}"))
}

/// The first generation with what the kernels use.
const OLDEST: i32 = 8;

/// Compute capability, major and minor.
fn capability(device: &CudaDevice) -> Result<(i32, i32)> {
    thread_local! {
        static KNOWN: RefCell<HashMap<DeviceId, (i32, i32)>> = RefCell::default();
    }
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&device.id()).copied()) {
        return Ok(known);
    }
    let found = device.cuda_stream().context().compute_capability().map_err(Error::wrap)?;
    KNOWN.with_borrow_mut(|known| known.insert(device.id(), found));
    Ok(found)
}

/// Whether the device is new enough (tensor cores for `bf16`).
pub(super) fn has_kernels(device: &CudaDevice) -> bool {
    capability(device).is_ok_and(|(major, _)| major >= OLDEST)
}

/// Why a CUDA device is computed on with candle's plain operations in place of the kernels, where it
/// is.
pub fn without_kernels(device: &Device) -> Option<String> {
    let Device::Cuda(device) = device else { return None };
    match capability(device) {
        Ok((major, _)) if major >= OLDEST => None,
        Ok((major, minor)) => Some(format!(
            "the kernels need compute capability {OLDEST}.0, and it has {major}.{minor}"
        )),
        Err(error) => Some(format!("it does not tell its compute capability: {error}")),
    }
}

/// Compiles a variant for an architecture; returns PTX. `compute_80` is a virtual one, whose PTX
/// the driver assembles; for `sm_80` NVRTC assembles it too, and fails where that fails.
pub(super) fn compile(variant: Variant, architecture: &str) -> Result<String> {
    let mut options = variant.macros();
    options.push(format!("--gpu-architecture={architecture}"));
    options.push("--std=c++17".to_string());
    let source =
        format!("{COMMON}\n#line 1 \"{}.cu\"\n{}", variant.program.name, variant.program.source);
    let name = Some(format!("{}.cu", variant.program.name));
    match compile_ptx_with_opts(
        source,
        CompileOptions { options, name, ..CompileOptions::default() },
    ) {
        Ok(ptx) => Ok(ptx.to_src()),
        Err(CompileError::CompileError { log, .. }) => {
            bail!("{} does not compile: {}", variant.program.name, log.to_string_lossy())
        }
        Err(error) => bail!("NVRTC failed on {}: {error}", variant.program.name),
    }
}

fn function(device: &CudaDevice, variant: Variant, name: &'static str) -> Result<CudaFunction> {
    type Functions = HashMap<(DeviceId, Key, &'static str), CudaFunction>;
    thread_local! {
        static FUNCTIONS: RefCell<Functions> = RefCell::default();
    }
    type Compiled = HashMap<(Key, (i32, i32)), String>;
    static COMPILED: LazyLock<Mutex<Compiled>> = LazyLock::new(Mutex::default);

    let key = (device.id(), variant.key(), name);
    if let Some(function) = FUNCTIONS.with_borrow(|functions| functions.get(&key).cloned()) {
        return Ok(function);
    }
    let (major, minor) = capability(device)?;
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let ptx = match compiled.entry((variant.key(), (major, minor))) {
        std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
        std::collections::hash_map::Entry::Vacant(entry) => {
            entry.insert(compile(variant, &format!("compute_{major}{minor}"))?)
        }
    };
    let module = format!("orthant-{:?}", variant.key());
    let function = device.get_or_load_custom_func(name, &module, ptx)?.into_cuda_function();
    FUNCTIONS.with_borrow_mut(|functions| functions.insert(key, function.clone()));
    Ok(function)
}

/// The address of a tensor's first element.
fn address(storage: &CudaStorage, layout: &Layout, stream: &CudaStream) -> Result<u64> {
    let base = match &storage.slice {
        CudaStorageSlice::U8(slice) => slice.device_ptr(stream).0,
        CudaStorageSlice::U32(slice) => slice.device_ptr(stream).0,
        CudaStorageSlice::BF16(slice) => slice.device_ptr(stream).0,
        CudaStorageSlice::F32(slice) => slice.device_ptr(stream).0,
        CudaStorageSlice::F64(slice) => slice.device_ptr(stream).0,
        _ => bail!("kernels have no tensors of this type"),
    };
    let size = match &storage.slice {
        CudaStorageSlice::U8(_) => 1,
        CudaStorageSlice::BF16(_) => 2,
        CudaStorageSlice::F64(_) => 8,
        _ => 4,
    };
    Ok(base + (layout.start_offset() * size) as u64)
}

fn address_of(tensor: &Tensor, stream: &CudaStream) -> Result<u64> {
    match &*tensor.storage_and_layout().0 {
        Storage::Cuda(storage) => address(storage, tensor.layout(), stream),
        _ => bail!("a kernel was given a tensor that is not on its device"),
    }
}

/// Runs a kernel; the tensors have been checked to be contiguous.
pub(super) fn launch(
    device: &CudaDevice,
    variant: Variant,
    name: &'static str,
    blocks: [u32; 2],
    threads: u32,
    arguments: &[Argument],
) -> Result<()> {
    let function = function(device, variant, name)?;
    let stream = device.cuda_stream();
    let mut addresses = Vec::with_capacity(arguments.len());
    for argument in arguments {
        addresses.push(match argument {
            Argument::Tensor(tensor)
                if !tensor.device().same_device(&Device::Cuda(device.clone())) =>
            {
                bail!("the kernel {name} was given tensors of two devices")
            }
            Argument::Tensor(tensor) => address_of(tensor, &stream)?,
            _ => 0,
        });
    }
    let mut builder = stream.launch_builder(&function);
    for (argument, address) in arguments.iter().zip(&addresses) {
        match argument {
            Argument::Tensor(_) => builder.arg(address),
            Argument::U32(value) => builder.arg(value),
            Argument::U64(value) => builder.arg(value),
            Argument::F32(value) => builder.arg(value),
        };
    }
    let config = LaunchConfig {
        grid_dim: (blocks[0], blocks[1], 1),
        block_dim: (threads, 1, 1),
        shared_mem_bytes: 0,
    };
    #[allow(unsafe_code, reason = "kernels are foreign code")]
    // SAFETY: the functions that call this pass what the kernel of that name takes, which the
    // emulator checks by number, size and bounds for the same calls; all of the tensors' work is on
    // this stream, so their memory is neither freed nor used by others before the kernel is done
    // with it.
    unsafe { builder.launch(config) }.map_err(Error::wrap)?;
    Ok(())
}

/// [`super::launch::multiply`] by cuBLAS; shapes and types have been checked.
pub(super) fn multiply(c: &Tensor, a: &Tensor, b: &Tensor, accumulate: bool) -> Result<()> {
    let ((m, k), (_, n)) = (a.dims2()?, b.dims2()?);
    if m == 0 || n == 0 || k == 0 {
        if accumulate {
            return Ok(());
        }
        bail!("an empty product {m} x {k} x {n}");
    }
    // Tensor cores would round factors of `f32` to ten bits.
    let (kind, algorithm) = match a.dtype() {
        DType::BF16 => (
            cublas::cudaDataType::CUDA_R_16BF,
            cublas::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT_TENSOR_OP,
        ),
        DType::F32 => {
            (cublas::cudaDataType::CUDA_R_32F, cublas::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT)
        }
        other => bail!("no product of {other:?}"),
    };
    let Device::Cuda(device) = c.device() else {
        bail!("a product needs its result on a CUDA device")
    };
    let stream = device.cuda_stream();
    let handle = device.cublas_handle();
    // cuBLAS counts columns first: c^T = b^T a^T, and a row-major matrix is its transpose
    // column-major.
    let (operation_b, stride_b) = operand(b)?;
    let (operation_a, stride_a) = operand(a)?;
    let (alpha, beta) = (1f32, f32::from(u8::from(accumulate)));
    let (b, a, c) = (address_of(b, &stream)?, address_of(a, &stream)?, address_of(c, &stream)?);
    #[allow(unsafe_code, reason = "cuBLAS's interface")]
    // SAFETY: the addresses are of tensors of these shapes, strides and types on the handle's
    // device and stream; alpha and beta are 32-bit floats on the host, as this compute type takes
    // them.
    unsafe {
        gemm_ex(
            *handle.handle(),
            operation_b,
            operation_a,
            n as i32,
            m as i32,
            k as i32,
            (&raw const alpha).cast::<c_void>(),
            b as *const c_void,
            kind,
            stride_b,
            a as *const c_void,
            kind,
            stride_a,
            (&raw const beta).cast::<c_void>(),
            c as *mut c_void,
            cublas::cudaDataType::CUDA_R_32F,
            n as i32,
            cublas::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            algorithm,
        )
    }
    .map_err(Error::wrap)
}

/// How cuBLAS is to read a row-major or transposed matrix, so that it sees its transpose, and the
/// distance of rows (columns).
fn operand(matrix: &Tensor) -> Result<(cublas::cublasOperation_t, i32)> {
    let (rows, columns) = matrix.dims2()?;
    let &[by_row, by_column] = matrix.stride() else { bail!("a product needs matrices") };
    if by_column == 1 && (by_row >= columns || rows == 1) {
        Ok((cublas::cublasOperation_t::CUBLAS_OP_N, by_row.max(columns) as i32))
    } else if by_row == 1 && (by_column >= rows || columns == 1) {
        Ok((cublas::cublasOperation_t::CUBLAS_OP_T, by_column.max(rows) as i32))
    } else {
        bail!("a product needs rows or columns without gaps, got {:?}", matrix.layout())
    }
}
