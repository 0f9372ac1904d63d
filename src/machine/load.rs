//! How busy the GPU is.

use candle_core::Device;

/// The share of time in which a GPU computed, from the driver's own samples (NVML).
pub struct GpuBusy {
    #[cfg(feature = "cuda")]
    source: Option<Source>,
}

#[cfg(feature = "cuda")]
struct Source {
    nvml: nvml_wrapper::Nvml,
    uuid: String,
    /// Time stamp of the newest sample that has been counted.
    last: u64,
}

#[cfg(feature = "cuda")]
impl GpuBusy {
    /// Watches `device` from now on; nothing where that is no GPU or the driver does not tell.
    pub fn new(device: &Device) -> Self {
        let mut busy = Self { source: Source::new(device) };
        busy.since_last();
        busy
    }

    /// Mean share, 0 to 1, since the last call, where the driver has samples of that time.
    pub fn since_last(&mut self) -> Option<f64> {
        self.source.as_mut()?.since_last()
    }
}

#[cfg(feature = "cuda")]
impl Source {
    fn new(device: &Device) -> Option<Self> {
        let Device::Cuda(device) = device else { return None };
        let uuid = device.cuda_stream().context().uuid().ok()?;
        let hex = format!("{:032x}", u128::from_be_bytes(uuid.bytes.map(|byte| byte as u8)));
        // Cards have the same numbers for the driver and for CUDA only by chance.
        let uuid = format!(
            "GPU-{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        );
        Some(Self { nvml: nvml_wrapper::Nvml::init().ok()?, uuid, last: 0 })
    }

    fn since_last(&mut self) -> Option<f64> {
        use nvml_wrapper::enum_wrappers::device::Sampling;
        use nvml_wrapper::enums::device::SampleValue;
        let card = self.nvml.device_by_uuid(self.uuid.as_str()).ok()?;
        let samples = card.samples(Sampling::GpuUtilization, self.last).ok()?;
        self.last = samples.iter().map(|sample| sample.timestamp).fold(self.last, u64::max);
        let percent = |value: &SampleValue| match *value {
            SampleValue::F64(value) => value,
            SampleValue::U32(value) => f64::from(value),
            SampleValue::U64(value) => value as f64,
            SampleValue::I64(value) => value as f64,
        };
        let sum: f64 = samples.iter().map(|sample| percent(&sample.value)).sum();
        (!samples.is_empty()).then(|| sum / samples.len() as f64 / 100.0)
    }
}

#[cfg(not(feature = "cuda"))]
impl GpuBusy {
    /// Nothing: this build knows no GPU.
    pub fn new(_: &Device) -> Self {
        Self {}
    }

    /// Nothing.
    pub fn since_last(&mut self) -> Option<f64> {
        None
    }
}
