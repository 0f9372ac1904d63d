//! Answers that stand outside of a box: phrases, the last number, letters of choices.

mod announcements;
mod choices;
mod clauses;
mod correction;
mod letters;
mod values;

pub(super) use choices::{choice, named_choice};
pub(super) use letters::{boxed_letter, lone_letter};
pub(super) use values::phrase_or_number;

/// Signs of emphasis and spacing around an answer.
fn is_frame(c: char) -> bool {
    c.is_whitespace() || matches!(c, '*' | '$' | ':' | '：' | '_' | '"')
}

/// The same around the letter of a choice, which may stand in quotation marks too.
fn is_choice_frame(c: char) -> bool {
    is_frame(c) || matches!(c, '`' | '\'' | '‘' | '’' | '“' | '”' | '「' | '」')
}

fn is_bracket_or_frame(c: char) -> bool {
    is_choice_frame(c) || matches!(c, '(' | '[' | ')' | ']')
}

fn is_choice(letter: char) -> bool {
    matches!(letter.to_ascii_uppercase(), 'A'..='J')
}
