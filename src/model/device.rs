//! Devices and data types by the names of the experiment file.

use crate::error::{Error, Result};
use crate::experiment::{DeviceChoice, Precision};
use crate::kernels;
use candle_core::{DType, Device};

/// Opens the device that an experiment asks for.
pub fn open_device(choice: DeviceChoice) -> Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Auto if !candle_core::utils::cuda_is_available() => Ok(Device::Cpu),
        DeviceChoice::Auto => Ok(kernels::open_cuda(0).unwrap_or(Device::Cpu)),
        DeviceChoice::Cuda(_) if !candle_core::utils::cuda_is_available() => Err(Error::input(
            "the experiment asks for a CUDA device, but this program was built without CUDA; build \
             it with --features cuda, or use device: Auto",
        )),
        DeviceChoice::Cuda(ordinal) => kernels::open_cuda(ordinal).map_err(|e| {
            Error::input(format!(
                "cannot open CUDA device {ordinal}: {e}; use device: Auto or another number"
            ))
        }),
    }
}

/// The tensor type of a precision.
pub fn data_type(precision: Precision) -> DType {
    match precision {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
    }
}
