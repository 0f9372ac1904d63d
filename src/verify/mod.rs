//! Answers: extraction from a completion and comparison with what is right. Pure: no files, no tensors, no randomness.

pub mod boxed;
pub mod expression;
mod majority;

pub use majority::majority;

use serde::{Deserialize, Serialize};

/// What the verifier says of one completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The answer is right.
    Correct,
    /// There is an answer and it is wrong.
    Incorrect,
    /// The completion has no final answer in the form that was asked for.
    NoAnswer,
    /// The comparison did not end within its step budget.
    TimedOut,
}

impl Verdict {
    /// Whether this is [`Verdict::Correct`].
    pub fn is_correct(self) -> bool {
        self == Self::Correct
    }
}

/// A verdict with what it is based on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The judgement.
    pub verdict: Verdict,
    /// The answer as it stands in the completion, if one was found.
    pub extracted: Option<String>,
}
