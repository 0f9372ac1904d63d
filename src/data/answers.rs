//! Whether two answers of completions are the same.

use crate::verify::{AnswerFormat, Equality, answers_equal, verify};

/// Whether two answers of completions say the same. Neither is the right one, so either may be the
/// one that is compared with.
pub(crate) fn same_answer(format: AnswerFormat, one: &str, other: &str) -> bool {
    let equal = |one: &str, other: &str| match format {
        AnswerFormat::Math | AnswerFormat::MathAnywhere => {
            answers_equal(one, other) == Equality::Equal
        }
        AnswerFormat::Choice => {
            verify(one, &format!("\\boxed{{{other}}}"), format).verdict.is_correct()
        }
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
