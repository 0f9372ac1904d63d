//! Devices and data types by the names of the experiment file.

use crate::error::{Error, Result};
use crate::experiment::{DeviceChoice, Precision};
use crate::kernels;
use candle_core::{DType, Device};

/// Opens the device that an experiment asks for. `warn` is told where `Auto` takes the CPU because
/// the GPU cannot be opened, and where a GPU can do without the kernels only.
pub fn open_device(choice: DeviceChoice, mut warn: impl FnMut(String)) -> Result<Device> {
    let device = match choice {
        DeviceChoice::Cpu => Device::Cpu,
        DeviceChoice::Auto if !candle_core::utils::cuda_is_available() => Device::Cpu,
        DeviceChoice::Auto => gpu_or_cpu(kernels::open_cuda(0), &mut warn),
        DeviceChoice::Cuda(_) if !candle_core::utils::cuda_is_available() => {
            return Err(Error::input(
                "the experiment asks for a CUDA device, but this program was built without CUDA; \
                 build it with --features cuda, or use device: Auto",
            ));
        }
        DeviceChoice::Cuda(ordinal) => kernels::open_cuda(ordinal).map_err(|e| {
            Error::input(format!(
                "cannot open CUDA device {ordinal}: {e}; use device: Auto or another number"
            ))
        })?,
    };
    if let Some(why) = kernels::without_kernels(&device) {
        warn(format!("the GPU will be slow and take more memory than planned: {why}"));
    }
    Ok(device)
}

/// The GPU where it could be opened, else the CPU, with a warning that says why.
fn gpu_or_cpu(gpu: candle_core::Result<Device>, mut warn: impl FnMut(String)) -> Device {
    gpu.unwrap_or_else(|error| {
        warn(format!("the CPU computes, because the GPU cannot be opened: {error}"));
        Device::Cpu
    })
}

/// The tensor type of a precision.
pub fn data_type(precision: Precision) -> DType {
    match precision {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_gpu_is_told_before_the_cpu_is_taken() {
        let mut told = Vec::new();
        let error = candle_core::Error::msg("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH");
        assert!(gpu_or_cpu(Err(error), |warning| told.push(warning)).is_cpu());
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"), "{told:?}");
        assert!(gpu_or_cpu(Ok(Device::Cpu), |warning| told.push(warning)).is_cpu());
        assert_eq!(told.len(), 1);
    }
}
