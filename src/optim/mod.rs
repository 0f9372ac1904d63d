//! Optimisation: accumulated gradients, clipping, `AdamW` with `f32` masters, learning-rate
//! schedules.

mod adamw;
mod gradients;
mod rule;
mod schedule;

pub(crate) use adamw::STEPS;
pub use adamw::{AdamW, AdamWSettings};
pub use gradients::Gradients;
pub use schedule::Schedule;
