//! Memory: what a run will need of a device, and settings that make it fit.

mod estimate;
mod plan;

pub use estimate::{Estimate, Reference, Workload};
pub use plan::Plan;
