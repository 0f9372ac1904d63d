//! Words among tokens, and tokens as words.

use crate::verify::{numeral, token::Token, units};

/// The words of an answer that is a text, in lower case with single spaces, without punctuation.
pub(in crate::verify) fn words(tokens: &[Token]) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    let has_comma = tokens.iter().any(|token| matches!(token, Token::Symbol(',' | '∧' | '∨')));
    for (at, token) in tokens.iter().enumerate() {
        let follows_number = at > 0 && matches!(tokens[at - 1], Token::Number(_));
        match token {
            Token::Text(word) | Token::Word(word) if follows_number && keeps_case(word) => {
                words.push(word.clone());
            }
            Token::Text(word) | Token::Word(word) | Token::Number(word) => {
                words.push(word.to_lowercase());
            }
            Token::Letter(letter) => words.push(letter.to_lowercase().to_string()),
            Token::Symbol('(' | ')' | '[' | ']') if !has_comma => {}
            // `x-axis`
            Token::Symbol('-')
                if at > 0 && is_letter_compound(&tokens[at - 1], tokens.get(at + 1)) => {}
            Token::Symbol('{' | '}' | ',' | '∧' | '∨' | '\'' | ':') => {}
            _ => return None,
        }
    }
    let month = |word: &String| MONTHS.contains(&word.as_str());
    if words.iter().any(month) {
        // `30 October` and `October 30th`.
        words.retain(|word| !matches!(word.as_str(), "st" | "nd" | "rd" | "th" | "of" | "the"));
        words.sort();
    }
    (!words.is_empty()).then(|| words.join(" "))
}

/// Whether a hyphen between a letter and a word makes one name of both: `y-intercept` is the same
/// outside of `\text`.
fn is_letter_compound(before: &Token, after: Option<&Token>) -> bool {
    const NAMED_BY_LETTERS: [&str; 8] =
        ["axis", "axes", "plane", "value", "intercept", "intercepts", "coordinate", "coordinates"];
    matches!(before, Token::Letter(_))
        && matches!(after, Some(Token::Word(word)) if NAMED_BY_LETTERS.contains(&word.as_str()))
}

/// Whether a word after a number is a unit that its small letters are not: `5 mW`.
fn keeps_case(word: &str) -> bool {
    let lower = word.to_lowercase();
    let is_short = word.len() <= 3 && lower != *word && !MONTHS.contains(&lower.as_str());
    is_short && units::unit(word).is_some_and(|unit| units::unit(&lower) != Some(unit))
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Whether a word outside `\text` is a word rather than a product of variables.
pub(in crate::verify) fn is_prose(word: &str) -> bool {
    let upper = word.chars().all(|c| c.is_ascii_uppercase());
    upper || word.len() > 3 || word.chars().any(|c| c.is_ascii_uppercase())
}

/// Whether a word is that of a number.
pub(super) fn names_number(word: &str) -> bool {
    word.len() >= 3 && numeral::value(&word.to_lowercase()).is_some()
}

/// Whether a short word can only be a product of names, such as `hR` or `Rr`.
pub(super) fn mixes_cases(word: &str) -> bool {
    let has_upper = word.chars().any(|c| c.is_ascii_uppercase());
    let starts_lower = word.starts_with(|c: char| c.is_ascii_lowercase());
    has_upper
        && !word.chars().all(|c| c.is_ascii_uppercase())
        && (word.len() == 2 || (starts_lower && word.len() == 3))
}

/// Tokens as part of a name.
pub(super) fn spelt(tokens: &[Token]) -> String {
    tokens.iter().map(spelling).collect()
}

/// A token as part of a name.
pub(super) fn spelling(token: &Token) -> String {
    match token {
        Token::Number(text)
        | Token::Repeating(text)
        | Token::Word(text)
        | Token::Text(text)
        | Token::Command(text) => text.clone(),
        Token::Letter(letter) => letter.to_string(),
        Token::Symbol(symbol) => symbol.to_string(),
        Token::BeginMatrix | Token::EndMatrix => "matrix".to_string(),
    }
}
