//! The data sets' only way to the verifier: judging a completion, and whether two answers are the same.

use crate::experiment::AnswerFormat;
use crate::verify::{Verdict, Verification, boxed::last_boxed, boxed_answer_matches};

/// Judges `completion` by its last box: against an answer in mathematical notation, or the letter of a choice.
pub(crate) fn judge(format: AnswerFormat, gold: &str, completion: &str) -> Verification {
    let answer = last_boxed(completion);
    let extracted = match format {
        AnswerFormat::Math => answer.map(str::to_string),
        AnswerFormat::Choice => answer.and_then(letter).map(String::from),
    };
    let verdict = match &extracted {
        None => Verdict::NoAnswer,
        Some(answer) if same_answer(format, gold, answer) => Verdict::Correct,
        Some(_) => Verdict::Incorrect,
    };
    Verification { verdict, extracted }
}

/// Whether `answer` says the same as `gold`.
pub(crate) fn same_answer(format: AnswerFormat, gold: &str, answer: &str) -> bool {
    match format {
        AnswerFormat::Math => boxed_answer_matches(gold, &format!("\\boxed{{{answer}}}")),
        AnswerFormat::Choice => gold.trim() == answer.trim(),
    }
}

/// The one capital letter that a box holds besides brackets, dots and `\text`.
fn letter(boxed: &str) -> Option<char> {
    let bare = boxed.replace("\\textbf", "").replace("\\text", "");
    let mut letters = bare.chars().filter(|c| !"{}(). ".contains(*c));
    letters.next().filter(|letter| letters.next().is_none() && ('A'..='J').contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_judged_by_value_and_choices_by_letter() {
        use AnswerFormat::{Choice, Math};
        for (format, gold, completion, verdict) in [
            (Math, "12", r"so \boxed{3*4}", Verdict::Correct),
            (Math, "12", r"so \boxed{13}", Verdict::Incorrect),
            (Math, "12", "so 12", Verdict::NoAnswer),
            (Choice, "C", r"\boxed{C}", Verdict::Correct),
            (Choice, "C", r"\boxed{\text{(C).}}", Verdict::Correct),
            (Choice, "C", r"\boxed{D}", Verdict::Incorrect),
            (Choice, "C", r"\boxed{CD}", Verdict::NoAnswer),
            (Choice, "C", r"\boxed{c}", Verdict::NoAnswer),
        ] {
            assert_eq!(judge(format, gold, completion).verdict, verdict, "{completion}");
        }
    }
}
