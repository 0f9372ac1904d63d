//! What is shown of a run, and what is chosen. No drawing here.

pub(crate) mod health;
pub(crate) mod label;
pub(crate) mod loader;
pub(crate) mod run;
