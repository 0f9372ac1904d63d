//! What this computer has: its devices, their memory, and how busy they are.

mod load;
mod memory;

pub use load::GpuBusy;
pub use memory::{available, device_name, in_gib, total};
