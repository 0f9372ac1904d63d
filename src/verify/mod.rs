//! Answers: extraction from a completion and comparison with what is right. Pure: no files, no tensors, no randomness.

pub mod boxed;
pub mod expression;
mod majority;

pub use majority::majority;

use expression::Expression;
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

/// Whether the last box of a completion holds the answer `gold`: the same text, or an arithmetic expression of the same value.
pub fn boxed_answer_matches(gold: &str, completion: &str) -> bool {
    let Some(answer) = boxed::last_boxed(completion) else { return false };
    let value = |text: &str| Expression::parse(text).and_then(|expression| expression.evaluate());
    answer == gold.trim() || matches!((value(answer), value(gold)), (Ok(answer), Ok(gold)) if answer == gold)
}

#[cfg(test)]
mod tests {
    use super::boxed_answer_matches;

    #[test]
    fn boxed_answers_match_by_text_or_by_value() {
        for (gold, completion, expected) in [
            ("12", r"so \boxed{12}", true),
            ("12", r"so \boxed{3*4}", true),
            ("x+1", r"\boxed{ x+1 }", true),
            ("12", r"\boxed{13}", false),
            ("12", "12", false),
            ("1/0", r"\boxed{2/0}", false),
        ] {
            assert_eq!(boxed_answer_matches(gold, completion), expected, "{gold} {completion}");
        }
    }
}
