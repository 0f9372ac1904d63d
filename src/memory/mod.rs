//! Memory: what a device has, what a run will need of it, and settings that make it fit.

mod busy;
mod device;
mod estimate;
mod plan;

pub use busy::GpuBusy;
pub use device::{available, device_name, in_gib, total};
pub use estimate::{Estimate, Reference, Workload};
pub use plan::Plan;
