//! Numbers: separators, decimals that repeat, powers of ten.

use super::characters::{digit, is_invisible};
use super::kinds::{Commas, Token};
use super::{Lexer, without_zeros};

/// The length of `2024-05-01`.
const LONGEST_DATE: usize = 10;

impl Lexer<'_> {
    /// The exponent of ten of `1.5e-3` as calculators and programs write it.
    fn exponent_of_ten(&mut self) {
        let Some(after) = self.rest().strip_prefix(['e', 'E']) else { return };
        let (negative, digits) = match after.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, after.strip_prefix('+').unwrap_or(after)),
        };
        let (exponent, width) = Self::digits(digits);
        let mut after = digits[width..].chars();
        let goes_on = match after.next() {
            Some('.') => after.next().is_some_and(|c| digit(c).is_some()),
            next => next.is_some_and(|c| c.is_ascii_alphabetic()),
        };
        if exponent.is_empty() || goes_on {
            return;
        }
        self.at = self.text.len() - digits.len() + width;
        self.symbol('*');
        self.tokens.push(Token::Number("10".to_string()));
        self.symbol('^');
        self.symbol('{');
        if negative {
            self.symbol('-');
        }
        self.tokens.push(Token::Number(without_zeros(&exponent)));
        self.symbol('}');
    }

    /// The bytes of white space and of invisible characters at the start of `text`.
    pub(super) fn blank(text: &str) -> usize {
        text.find(|c: char| !(c.is_whitespace() || is_invisible(c))).unwrap_or(text.len())
    }

    /// The bytes of a separator of thousands at the start of `text`, and whether it may also
    /// separate two numbers.
    fn separator(&self, text: &str) -> Option<(usize, bool)> {
        if !text.starts_with([
            ',', '{', '\\', ' ', '\u{a0}', '\u{2009}', '\u{202f}', '~', '\'', '’', '_',
        ]) {
            return None;
        }
        for spelling in [
            r",\!", "{,}", "{, }", " {, }", r"{,}\!", r"\,", r"\ ", r"\;", " ", "\u{a0}",
            "\u{2009}", "\u{202f}", "~", "'", "’", "_",
        ] {
            if let Some(mut after) = text.strip_prefix(spelling) {
                after = after.trim_start_matches(r"\!").trim_start_matches([' ', '\n']);
                after = after.strip_prefix(r"\,").or(after.strip_prefix(r"\;")).unwrap_or(after);
                return Some((text.len() - after.len(), false));
            }
        }
        if text.starts_with(',') && self.brackets == 0 { Some((1, true)) } else { None }
    }

    fn digits(text: &str) -> (String, usize) {
        let mut digits = String::new();
        for (at, c) in text.char_indices() {
            match digit(c) {
                Some(value) => digits.extend(char::from_digit(value, 10)),
                None if is_invisible(c) => {}
                None => return (digits, at),
            }
        }
        (digits, text.len())
    }

    /// A date or a time of day, which is worked out to no number: `2024-05-01`, `1/2/2020`,
    /// `07:30`.
    fn date(&mut self) -> bool {
        let rest = self.rest();
        let separator = rest.bytes().take(5).find(|byte| !byte.is_ascii_digit());
        let Some(separator @ (b'-' | b'/' | b':')) = separator else { return false };
        let goes_on = |c: char| c.is_ascii_digit() || matches!(c, '-' | '/' | ':' | '.');
        let length = rest.chars().take(LONGEST_DATE + 2).take_while(|c| goes_on(*c)).count();
        let written = rest[..length].trim_end_matches(['.', '-', '/', ':']);
        let parts: Vec<&str> = written.split(char::from(separator)).take(4).collect();
        let begins = matches!(
            self.tokens.last(),
            None | Some(Token::Symbol('{' | ',' | '=' | '(' | '∧' | '∨'))
        );
        let ends = rest[written.len()..].trim_start_matches(['.', ' ']);
        let alone = ends.is_empty() || ends.starts_with(['}', ',', '$', ')', '\n']);
        let is = |part: &str, digits: std::ops::RangeInclusive<usize>, most: u32| {
            digits.contains(&part.len())
                && part.parse().is_ok_and(|value: u32| (1..=most).contains(&value))
        };
        let is_year = |part: &str| is(part, 4..=4, 2199) && !part.starts_with('0');
        if !(begins && alone) || written.len() > LONGEST_DATE {
            return false;
        }
        match (separator, parts.as_slice()) {
            (b'-' | b'/', [year, month, day])
                if is_year(year) && is(month, 1..=2, 12) && is(day, 1..=2, 31) => {}
            (b'-' | b'/', [one, other, year])
                if is_year(year) && is(one, 1..=2, 31) && is(other, 1..=2, 31) => {}
            (b':', [hour, minute])
                if hour.len() <= 2
                    && minute.len() == 2
                    && (hour.len() == 2 || minute.starts_with('0')) =>
            {
                let has_zero = |part: &str| part.len() == 2 && part.starts_with('0');
                if !((has_zero(hour) || has_zero(minute))
                    && hour.parse().is_ok_and(|hour: u32| hour < 25)
                    && minute.parse().is_ok_and(|minute: u32| minute < 60))
                {
                    return false;
                }
                let tokens = [
                    Token::Number(without_zeros(hour)),
                    Token::Symbol(':'),
                    Token::Number(without_zeros(minute)),
                    Token::Text("clock".to_string()),
                ];
                self.at += written.len();
                self.tokens.extend(tokens);
                return true;
            }
            _ => return false,
        }
        let plain = parts.iter().map(|part| without_zeros(part)).collect::<Vec<_>>();
        self.at += written.len();
        self.tokens.push(Token::Text(plain.join(&char::from(separator).to_string())));
        true
    }

    pub(super) fn number(&mut self) {
        if self.date() {
            return;
        }
        let (mut whole, width) = Self::digits(self.rest());
        self.at += width;
        let grouped = (1..=3).contains(&whole.len()) && !whole.starts_with('0');
        let mut grouped_by = None;
        while grouped && let Some((width, ambiguous)) = self.separator(self.rest()) {
            let (group, digits) = Self::digits(&self.rest()[width..]);
            if group.len() != 3 || grouped_by.is_some_and(|by| by != ambiguous) {
                break;
            }
            self.ambiguous |= ambiguous;
            if ambiguous && self.commas == Commas::Separate {
                break;
            }
            grouped_by = Some(ambiguous);
            whole.push_str(&group);
            self.at += width + digits;
        }
        // `1.234.567`: with one group alone the point would be decimal.
        if grouped && grouped_by.is_none() && self.groups_after_points() >= 2 {
            while let Some(after) = self.rest().strip_prefix('.') {
                let (group, digits) = Self::digits(after);
                if group.len() != 3 {
                    break;
                }
                whole.push_str(&group);
                self.at += 1 + digits;
            }
            self.tokens.push(Token::Number(without_zeros(&whole)));
            return;
        }
        let mut text =
            if whole.is_empty() || whole.starts_with('0') { without_zeros(&whole) } else { whole };
        if let Some(after) = self.rest().strip_prefix('.') {
            let (decimals, width) = Self::digits(after);
            if !decimals.is_empty() {
                text = format!("{text}.{decimals}");
                self.at += 1 + width;
            }
            let repeating = ["overline", "bar", "dot"].iter().find_map(|name| {
                let body = self.rest().strip_prefix('.').unwrap_or(self.rest());
                let body = body.strip_prefix('\\')?.strip_prefix(name)?;
                let Some(body) = body.strip_prefix('{') else {
                    // `0.\bar3`
                    let body = body.trim_start();
                    return body
                        .chars()
                        .next()
                        .filter(char::is_ascii_digit)
                        .map(|c| (c.to_string(), body.len() - 1));
                };
                let (digits, width) = Self::digits(body);
                let after = body[width..].strip_prefix('}')?;
                (!digits.is_empty()).then_some((digits, after.len()))
            });
            let repeating = repeating.or_else(|| {
                // `0.(3)`
                let (digits, width) = Self::digits(self.rest().strip_prefix(".(")?);
                let after = self.rest()[2 + width..].strip_prefix(')')?;
                (!digits.is_empty()).then_some((digits, after.len()))
            });
            if let Some((digits, left)) = repeating {
                self.at = self.text.len() - left;
                self.tokens.push(Token::Number(text));
                self.tokens.push(Token::Repeating(digits));
                return;
            }
        }
        if text.contains('.')
            && let Some(width) = self.ellipsis()
        {
            self.at += width;
            let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
            if let Some((before, period)) = repetition(decimals) {
                self.tokens.push(Token::Number(
                    format!("{whole}.{before}").trim_end_matches('.').to_string(),
                ));
                self.tokens.push(Token::Repeating(period.to_string()));
                return;
            }
        }
        self.tokens.push(Token::Number(text));
        self.exponent_of_ten();
    }

    /// How many groups of three digits follow, each after a point.
    fn groups_after_points(&self) -> usize {
        let mut rest = self.rest();
        let mut groups = 0;
        while let Some(after) = rest.strip_prefix('.') {
            let (group, width) = Self::digits(after);
            if group.is_empty() {
                break;
            }
            if group.len() != 3 {
                return 0;
            }
            groups += 1;
            rest = &after[width..];
        }
        groups
    }

    /// The length of the dots after the decimals of a number that continues.
    fn ellipsis(&self) -> Option<usize> {
        let rest = self.rest();
        let spaces = Self::blank(rest);
        ["...", "…", "⋯", r"\ldots", r"\dots", r"\cdots"]
            .iter()
            .find(|dots| rest[spaces..].starts_with(*dots))
            .map(|dots| spaces + dots.len())
    }
}

/// Decimals that continue, as what does not repeat and what does: `1666` as `1` and `6`. One digit
/// must be there three times at the end, several digits twice.
fn repetition(decimals: &str) -> Option<(&str, &str)> {
    (1..=decimals.len() / 2).find_map(|length| {
        let (before, period) = decimals.split_at_checked(decimals.len() - length)?;
        let copies = if length == 1 { 2 } else { 1 };
        let rest = (0..copies).try_fold(before, |rest, _| rest.strip_suffix(period))?;
        // `0.444`: all copies of the period are part of the repetition.
        let mut start = rest;
        while let Some(shorter) = start.strip_suffix(period) {
            start = shorter;
        }
        Some((start, period))
    })
}
