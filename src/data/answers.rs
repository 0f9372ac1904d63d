//! The data sets' way to the verifier: judging a completion, and whether two answers are the same.

use crate::experiment::AnswerFormat;
use crate::verify::{self, Equality, Verification, answers_equal};

impl AnswerFormat {
    fn verifier(self) -> verify::AnswerFormat {
        match self {
            Self::Math => verify::AnswerFormat::Math,
            Self::MathAnywhere => verify::AnswerFormat::MathAnywhere,
            Self::Choice => verify::AnswerFormat::Choice,
        }
    }
}

/// Judges `completion` by the right answer.
pub(crate) fn judge(format: AnswerFormat, gold: &str, completion: &str) -> Verification {
    verify::verify(gold, completion, format.verifier())
}

/// Whether two answers of completions say the same. Neither is the right one, so either may be the one that is compared with.
pub(crate) fn same_answer(format: AnswerFormat, one: &str, other: &str) -> bool {
    let equal = |one: &str, other: &str| match format {
        AnswerFormat::Math | AnswerFormat::MathAnywhere => answers_equal(one, other) == Equality::Equal,
        AnswerFormat::Choice => judge(format, one, &format!("\\boxed{{{other}}}")).verdict.is_correct(),
    };
    equal(one, other) || equal(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_the_same_where_the_verifier_says_so_in_either_order() {
        use AnswerFormat::{Choice, Math};
        for (format, one, other, same) in [
            (Math, "12", "3 \\cdot 4", true),
            (Math, "\\frac{1}{2}", "0.5", true),
            (Math, "12", "13", false),
            (Math, "x \\ge 2", "[2, \\infty)", true),
            (Choice, "C", "\\text{(C)}", true),
            (Choice, "C", "D", false),
        ] {
            assert_eq!(same_answer(format, one, other), same, "{one} {other}");
            assert_eq!(same_answer(format, other, one), same, "{other} {one}");
        }
    }
}
