//! What is told while a base model is trained.

use crate::run::EvaluationRecord;

/// What happens while a base model is trained.
#[derive(Debug)]
pub enum PretrainEvent<'a> {
    /// What an earlier try left cannot be used; why.
    BeginsAnew(&'a str),
    /// What there is to warn of.
    Warning(&'a str),
    /// Training continues after this step, where an earlier try was when it ended.
    Continues(u64),
    /// A step was made.
    Step {
        /// Its number, from 1.
        step: u64,
        /// The running mean of the loss, nats per token.
        loss: f64,
        /// Tokens per second since this try began.
        tokens_per_s: f64,
    },
    /// A suite was measured.
    Evaluated {
        /// The step after which.
        step: u64,
        /// The running mean of the loss, nats per token.
        loss: f64,
        /// What was measured.
        record: &'a EvaluationRecord,
    },
}
