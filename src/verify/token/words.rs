//! Letters and words, in text and outside.

use super::characters::{is_foreign, is_invisible};
use super::{Brace, Lexer, Token};
use crate::verify::units;

/// Functions whose name may stand without a backslash.
const BARE_FUNCTIONS: [&str; 18] = [
    "sqrt", "sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "arcsin", "arccos", "arctan",
    "pi", "theta", "alpha", "beta", "exp", "binom",
];

impl Lexer<'_> {
    pub(super) fn is_hyphen(&self) -> bool {
        match self.tokens.last() {
            Some(Token::Text(_) | Token::Word(_) | Token::Letter(_)) => true,
            Some(Token::Number(_)) => self.rest().starts_with(char::is_alphabetic),
            _ => false,
        }
    }

    /// Whether a word that is not a product of names stands before, and a letter behind:
    /// `twenty-five`.
    pub(super) fn follows_long_word(&self) -> bool {
        let is_long = |word: &String| {
            word.len() > 3 && word.bytes().all(|letter| letter.is_ascii_lowercase())
        };
        matches!(self.tokens.last(), Some(Token::Word(word)) if is_long(word))
            && self.rest().starts_with(|c: char| c.is_ascii_alphabetic())
    }

    /// Whether a word stands between two brackets, such as the `U` of `(1,2) U (3,4)`.
    fn is_between_brackets(&self) -> bool {
        let after =
            self.rest()[Self::blank(self.rest())..].trim_start_matches(r"\left").trim_start();
        matches!(self.tokens.last(), Some(Token::Symbol(')' | ']')))
            && after.starts_with(['(', '['])
    }

    /// ASCII letters up to the first other character.
    pub(super) fn letters(&mut self) {
        let rest = self.rest();
        let text_mode = self.in_text();
        let mut word = String::new();
        let mut chars = rest.char_indices().peekable();
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            let next_is_letter = chars.peek().is_some_and(|(_, next)| next.is_ascii_alphabetic());
            // Dots of abbreviations: `p.m.`, `sq.`.
            if c.is_alphabetic() && !is_invisible(c) && (text_mode || c.is_ascii()) {
                word.push(c);
            } else if is_invisible(c) || (text_mode && c == '.' && next_is_letter) {
            } else {
                end = at;
                break;
            }
        }
        self.at += end;
        let lower = word.to_lowercase();
        // `p.m.` outside `\text`.
        let half_of_day =
            self.rest().strip_prefix(".m").filter(|_| matches!(lower.as_str(), "a" | "p"));
        if let (Some(after), Some(Token::Number(_))) = (half_of_day, self.tokens.last()) {
            self.at = self.text.len() - after.len();
            self.tokens.push(Token::Text(format!("{lower}m")));
        } else if lower == "and" {
            self.symbol('∧');
        } else if lower == "or" {
            self.symbol('∨');
        } else if lower == "mod" {
            self.tokens.push(Token::Command(lower));
        } else if word == "U" && self.is_between_brackets() {
            self.symbol('∪');
        } else if matches!(lower.as_str(), "infinity" | "infty" | "inf") {
            self.symbol('∞');
        } else if text_mode {
            self.tokens.push(Token::Text(word));
        } else if let (Some(letter), true) = (word.chars().next(), word.len() == 1) {
            self.tokens.push(Token::Letter(letter));
        } else if BARE_FUNCTIONS.contains(&word.as_str()) {
            self.tokens.push(Token::Command(word));
        } else {
            self.tokens.push(Token::Word(word));
        }
    }

    /// A word of Chinese or another script that needs no `\text`.
    pub(super) fn foreign_word(&mut self) {
        let rest = self.rest();
        let word = &rest[..rest.find(|c| !is_foreign(c)).unwrap_or(rest.len())];
        let token = match word {
            "和" | "与" | "且" | "及" | "и" => Token::Symbol('∧'),
            "或" | "或者" | "или" => Token::Symbol('∨'),
            word => Token::Text(word.to_string()),
        };
        self.at += word.len();
        self.tokens.push(token);
    }

    /// The group after `\text`, where functions are functions; after `\mathrm` (`math`), one letter
    /// is a variable.
    pub(super) fn text_group(&mut self, math: bool) {
        self.at += Self::blank(self.rest());
        let Some(body) = self.rest().strip_prefix('{') else { return };
        let letters = &body[..body.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(body.len())];
        let is_name = (math && letters.len() == 1 && !self.is_unit(letters))
            || BARE_FUNCTIONS.contains(&letters);
        if body[letters.len()..].starts_with('}') && is_name {
            let letters = letters.to_string();
            self.at += letters.len() + 2;
            self.tokens.push(match letters.chars().next() {
                Some(letter) if letters.len() == 1 => Token::Letter(letter),
                _ => Token::Command(letters),
            });
            return;
        }
        self.at += 1;
        self.braces.push(Brace::Text);
    }

    /// Whether the one letter in `\mathrm{}` is a unit: it is the sign of one, and follows a value
    /// or another unit.
    fn is_unit(&self, letter: &str) -> bool {
        let follows = match self.tokens.as_slice() {
            [
                ..,
                Token::Number(_)
                | Token::Repeating(_)
                | Token::Symbol('}' | ')' | '!')
                | Token::Text(_),
            ]
            | [.., Token::Text(_), Token::Symbol('*' | '/')]
            | [.., Token::Text(_), Token::Symbol('}'), Token::Symbol('{')]
            | [
                ..,
                Token::Text(_),
                Token::Symbol('^'),
                Token::Number(_),
                Token::Symbol('*' | '/'),
            ] => true,
            // `5 \frac{\mathrm{m}}{\mathrm{s}}`
            [
                ..,
                Token::Number(_) | Token::Symbol('}' | ')'),
                Token::Command(name),
                Token::Symbol('{'),
            ] => name == "frac",
            [.., Token::Command(name)] => name == "pi",
            _ => false,
        };
        follows && units::is_sign(letter)
    }
}
