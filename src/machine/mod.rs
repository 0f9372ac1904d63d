//! What this computer has: its devices, their memory, how busy they are, and what this process
//! uses.

mod load;
mod memory;
mod process;

pub use load::GpuBusy;
pub use memory::{available, device_name, in_gib, total};
pub use process::{ProcessLoad, ProcessUse};
