//! Evaluation: what samples of held-out problems say of a policy.

mod metrics;
mod suite;

pub use metrics::{Estimate, bootstrap_interval, estimate_pass_at_k, mean_pass_at_k, pass_at_k};
pub use suite::{EvaluationRecord, evaluate};
