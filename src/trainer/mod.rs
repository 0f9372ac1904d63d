//! The trainer: what prepares a run, and the thread that makes its steps.

mod commands;
mod end;
mod inputs;
mod orders;
mod past;
mod policy;
mod prepare;
mod pretrain;
mod replaced;
mod resume;
mod run;
mod sources;
mod thread;

pub use end::RunEnd;
pub use pretrain::{PretrainEvent, pretrain};
pub(crate) use resume::continues;
pub use run::{Run, RunBuilder};
