//! What stands in for CUDA devices where the program was built without them.

use crate::error::Result as OrthantResult;
use candle_core::{Device, Result};

/// Fails: there are no such devices.
pub(crate) fn open(ordinal: usize) -> Result<Device> {
    Device::new_cuda(ordinal)
}

/// Nothing.
#[allow(clippy::unnecessary_wraps, reason = "as with devices")]
pub(crate) fn peak_memory(_: &Device) -> OrthantResult<Option<u64>> {
    Ok(None)
}
