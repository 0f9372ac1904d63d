//! Orthant: a desktop workbench for reinforcement learning of language models.

pub mod cli;
pub mod dashboard;
pub mod data;
pub mod error;
mod escape;
pub mod evaluation;
pub mod experiment;
pub mod figures;
mod files;
pub mod geometry;
mod guard;
pub mod machine;
pub mod memory;
pub mod methods;
pub mod metrics;
pub mod model;
pub mod objective;
pub mod optim;
pub mod prelude;
pub mod rng;
pub mod rollout;
pub mod run;
pub mod scoring;
pub mod stages;
pub mod sweep;
pub mod tasks;
pub mod trainer;
pub mod verify;
pub mod weights;

pub use orthant_kernels as kernels;

#[doc(hidden)]
pub use inventory as __inventory;
