//! Evaluation: what samples of held-out problems say of a policy.

mod continuation;
mod metrics;
mod output;
mod sampling;
mod suite;
mod summary;

pub use continuation::Replaced;
pub use metrics::{estimate_pass_at_k, majority_correct, mean_interval, mean_pass_at_k, pass_at_k};
pub use output::{EarlierSamples, EvaluationFolder};
pub use sampling::{EvaluationSettings, ProblemOutcome, SampledAnswer, sample_suite};
pub use suite::{Suite, SuiteProblem};
pub use summary::{Summary, evaluate};
