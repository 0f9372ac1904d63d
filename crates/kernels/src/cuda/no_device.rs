//! What stands in for CUDA devices where the program was built without them.

use candle_core::{Device, Result};

/// Fails: there are no such devices.
pub fn open(ordinal: usize) -> Result<Device> {
    Device::new_cuda(ordinal)
}

/// Nothing.
#[allow(clippy::unnecessary_wraps, reason = "as with devices")]
pub fn peak_memory(_: &Device) -> Result<Option<u64>> {
    Ok(None)
}

/// Nothing.
#[allow(clippy::unnecessary_wraps, reason = "as with devices")]
pub fn unused_memory(_: &Device) -> Result<Option<u64>> {
    Ok(None)
}

/// Nothing.
#[allow(clippy::unnecessary_wraps, reason = "as with devices")]
pub fn trim_memory(_: &Device) -> Result<()> {
    Ok(())
}

/// Nothing: other devices are not asked for kernels.
pub fn without_kernels(_: &Device) -> Option<String> {
    None
}
