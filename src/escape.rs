//! Text from outside, shown without being obeyed.
//!
//! Names, columns and answers of data can hold sequences that a terminal carries out: they change
//! its title, clear it, or turn the reading direction round. Such characters are written as JSON
//! writes them, so that lines of JSON stay the same JSON.

use std::borrow::Cow;
use std::fmt::{Display, Write};

/// The text with control characters, but for line ends and tabs, and those of the reading direction
/// written out: `\u001b`.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    escape(text, is_obeyed)
}

/// [`escaped`] for what stands within a line: without line ends and tabs too.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, |c| is_obeyed(c) || c == '\n' || c == '\t')
}

/// [`one_line`], cut after `most` characters where it is longer.
pub(crate) fn shown(text: &str, most: usize) -> String {
    cut(&one_line(text), most)
}

/// The text, cut after `most` characters where it is longer.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A number as people write it: with an exponent where it would take many digits.
pub(crate) fn number(value: f64) -> String {
    let is_short = value == 0.0 || !value.is_finite() || (1e-9..1e16).contains(&value.abs());
    if is_short { value.to_string() } else { format!("{value:e}") }
}

/// How much of a name or of a library's message, which may hold all of a file, a message shows.
pub(crate) const MOST_SHOWN: usize = 200;

/// How many values of a list that somebody else made a message names.
pub(crate) const MOST_LISTED: usize = 8;

/// The first `most` values of a list, and how many more there are: `a, b and 3 more`.
pub(crate) fn listed<T: Display>(values: impl IntoIterator<Item = T>, most: usize) -> String {
    let mut values = values.into_iter();
    let first: Vec<String> =
        values.by_ref().take(most).map(|value| shown(&value.to_string(), MOST_SHOWN)).collect();
    match values.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Whether a terminal obeys a character rather than showing it.
pub(crate) fn is_obeyed(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && c != '\n' && c != '\t')
}

fn escape(text: &str, is_hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            // Writing to a string cannot fail.
            let _ignored = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        assert_eq!(
            escaped("a\x1b]0;title\x07b\r\u{9b}2J\x7f"),
            "a\\u001b]0;title\\u0007b\\u000d\\u009b2J\\u007f"
        );
        assert_eq!(escaped("left \u{202e}right\u{2069}"), "left \\u202eright\\u2069");
        assert!(matches!(escaped("x\ty\né 答え 😀"), Cow::Borrowed(_)));
        assert_eq!(one_line("x\ty\nz"), "x\\u0009y\\u000az");
        assert_eq!(shown("Euler's \"Counting\" ü", 40), "Euler's \"Counting\" ü");
        assert_eq!(shown(&"ä".repeat(70_000), 3), "äää…");
    }

    #[test]
    fn numbers_far_from_1_have_an_exponent() {
        let values = [0.0, 0.5, -3.0, 1e-8, 100_000.0, 1e-320, -1e300, f64::INFINITY];
        let right = ["0", "0.5", "-3", "0.00000001", "100000", "1e-320", "-1e300", "inf"];
        assert_eq!(values.map(number), right);
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(listed(["a", "b\n"], 2), "a, b\\u000a");
        assert_eq!(listed(0..1_000_000, 3), "0, 1, 2 and 999997 more");
        assert!(listed(["x".repeat(70_000)], 3).len() < 300);
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({ "a\u{9b}": "\x1b[2J \u{202e} \x7f \\ \" \n" });
        let line = value.to_string();
        assert_ne!(escaped(&line), line);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped(&line)).unwrap(), value);
    }
}
