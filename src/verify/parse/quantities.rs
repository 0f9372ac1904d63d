//! What makes quantities of numbers: signs of currency, units, degrees, endings of ordinals.

use super::{Fault, Parsed, Parser};
use crate::verify::tree::{Node, Number};
use crate::verify::units::Unit;
use crate::verify::{numeral, token::Token, units};
use num_bigint::BigInt;

impl Parser<'_> {
    /// A sign of currency, also after a minus sign.
    pub(super) fn currency(&mut self) -> Option<String> {
        let negative = usize::from(self.is('-'));
        let unit = match self.tokens.get(self.at + negative)? {
            Token::Symbol('$') => "dollar",
            Token::Text(sign) if sign == "£" => "gbp",
            Token::Text(sign) if sign == "€" => "euro",
            Token::Text(sign) if sign == "¥" => "yen",
            _ => return None,
        };
        if negative > 0 {
            self.tokens.to_mut().swap(self.at, self.at + negative);
        }
        self.at += 1;
        Some(unit.to_string())
    }

    /// Words after a number, with an exponent if there is one: `cm^2`, `m/s`, `\frac{m}{s}`.
    pub(super) fn unit(&mut self) -> Parsed<Option<String>> {
        let start = self.at;
        let mut unit: Vec<String> = Vec::new();
        // The braces of a fraction of units.
        let mut braces = 0;
        loop {
            let next_is_word = self.is_text_at(1) || (!unit.is_empty() && self.is_unit_at(1));
            if self.restatement() > 0 {
                break;
            }
            match self.peek() {
                Some(Token::Text(word) | Token::Word(word)) => unit.push(word.clone()),
                Some(Token::Letter(letter)) if !unit.is_empty() && self.is_unit_at(0) => {
                    unit.push(letter.to_string());
                }
                Some(Token::Symbol('$')) => unit.push("dollar".to_string()),
                Some(Token::Symbol('/')) if next_is_word => unit.push("per".to_string()),
                Some(Token::Symbol('*')) if next_is_word => {}
                Some(Token::Command(_)) if self.is_unit_fraction() => {
                    self.at += 1;
                    braces += 1;
                }
                Some(Token::Symbol('}'))
                    if braces == 1 && self.tokens.get(self.at + 1) == Some(&Token::Symbol('{')) =>
                {
                    unit.push("per".to_string());
                    self.at += 1;
                    braces += 1;
                }
                Some(Token::Symbol('}')) if braces == 2 => braces = 0,
                _ => break,
            }
            self.at += 1;
            if self.is('^') && !unit.is_empty() {
                self.at += 1;
                let braced = self.take('{');
                let sign = if self.take('-') { "-" } else { "" };
                let (Some(Token::Number(exponent)), Some(last)) = (self.peek(), unit.last_mut())
                else {
                    return Err(Fault::Unreadable);
                };
                if numeral::changes(last) {
                    return Err(Fault::Unreadable);
                }
                *last = format!("{last}^{sign}{exponent}");
                self.at += 1;
                if braced {
                    self.expect('}')?;
                }
            }
        }
        if braces > 0
            || unit.iter().any(|word| alters(word))
            || turns_around(&unit)
            || (start..self.at).any(|at| self.denies(at))
        {
            return Err(Fault::Unreadable);
        }
        Ok((!unit.is_empty()).then(|| unit.join(" ")))
    }

    /// `2 h 30 min` as a sum, in units that measure the same, each smaller than the one before.
    pub(super) fn quantity_in_parts(&mut self) -> Parsed<Option<Node>> {
        let is_word =
            |token: &Token| matches!(token, Token::Text(_) | Token::Word(_) | Token::Letter(_));
        match &self.tokens[self.at..] {
            [Token::Number(_), word, Token::Number(_) | Token::Symbol('∧'), ..]
                if is_word(word) => {}
            _ => return Ok(None),
        }
        let mut parts: Vec<(String, String, Unit)> = Vec::new();
        let mut at = self.at;
        while let (Some(Token::Number(digits)), Some(word)) =
            (self.tokens.get(at), self.unit_at(at + 1))
        {
            let Some(unit) = units::unit(&word) else { break };
            let is_next = parts.last().is_none_or(|(.., last)| {
                last.dimensions == unit.dimensions && last.factor > unit.factor
            });
            if !is_next {
                return Ok(None);
            }
            parts.push((digits.clone(), word, unit));
            at += 2;
            let another = self.tokens.get(at) == Some(&Token::Symbol('∧'))
                && matches!(self.tokens.get(at + 1), Some(Token::Number(_)))
                && self.unit_at(at + 2).is_some_and(|word| is_smaller_unit(&parts, &word));
            at += usize::from(another);
        }
        let ends = match self.tokens.get(at) {
            None => true,
            Some(Token::Symbol(symbol)) => {
                matches!(symbol, ',' | ';' | '∧' | '∨' | ')' | '}' | '=' | '≈')
            }
            Some(_) => false,
        };
        if parts.len() < 2 || !ends {
            return Ok(None);
        }
        let mut terms = Vec::with_capacity(parts.len());
        for (digits, unit, _) in parts {
            terms.push(Node::Quantity { value: Box::new(self.number(&digits)?), unit });
        }
        self.at = at;
        Ok(Some(Node::Sum(terms)))
    }

    /// The unit at a place that is one word or sign.
    fn unit_at(&self, at: usize) -> Option<String> {
        match self.tokens.get(at)? {
            Token::Text(word) | Token::Word(word) => Some(word.clone()),
            Token::Letter(letter) => {
                Some(letter.to_string()).filter(|letter| units::is_sign(letter))
            }
            _ => None,
        }
    }

    pub(super) fn is_text_at(&self, offset: usize) -> bool {
        matches!(self.tokens.get(self.at + offset), Some(Token::Text(_)))
    }

    /// Whether a unit stands at an offset, in `\text` or not.
    fn is_unit_at(&self, offset: usize) -> bool {
        match self.tokens.get(self.at + offset) {
            Some(Token::Text(_)) => true,
            Some(Token::Word(word)) => units::is_known(word),
            Some(Token::Letter(letter)) => units::is_sign(letter.encode_utf8(&mut [0; 4])),
            _ => false,
        }
    }

    /// `\frac{\text{m}}{\text{s}}`.
    pub(super) fn is_unit_fraction(&self) -> bool {
        let is_fraction = matches!(self.peek(), Some(Token::Command(name)) if name == "frac");
        is_fraction
            && self.tokens.get(self.at + 1) == Some(&Token::Symbol('{'))
            && self.is_text_at(2)
    }

    /// The ending of an ordinal, in braces or not.
    pub(super) fn take_ordinal(&mut self) -> bool {
        let is_ending = |token: &Token| matches!(token, Token::Text(word) | Token::Word(word) if matches!(word.as_str(), "st" | "nd" | "rd" | "th"));
        let length = match &self.tokens[self.at..] {
            [ending, ..] if is_ending(ending) => 1,
            [Token::Symbol('{'), ending, Token::Symbol('}'), ..] if is_ending(ending) => 3,
            _ => 0,
        };
        self.at += length;
        length > 0
    }

    /// Degrees of an angle, or of a temperature where C or F follows.
    pub(super) fn degrees(&mut self, value: Node) -> Node {
        let scale = match self.peek() {
            Some(Token::Letter(letter)) => *letter,
            Some(Token::Text(word)) if word.len() == 1 => word.chars().next().unwrap_or_default(),
            Some(Token::Text(word) | Token::Word(word)) => match word.to_lowercase().as_str() {
                "celsius" => 'C',
                "fahrenheit" => 'F',
                _ => ' ',
            },
            _ => ' ',
        };
        let unit = match scale {
            'C' => "celsius",
            'F' => "fahrenheit",
            _ => return Node::Degrees(Box::new(value)),
        };
        self.at += 1;
        Node::Quantity { value: Box::new(value), unit: unit.to_string() }
    }

    /// `\circ` or the letter o after `^`, in braces or not.
    pub(super) fn take_degrees(&mut self) -> bool {
        let is_ring = |token: &Token| match token {
            Token::Symbol(symbol) => *symbol == '°',
            Token::Letter(letter) => *letter == 'o',
            Token::Text(word) => word == "o",
            _ => false,
        };
        let length = match &self.tokens[self.at..] {
            [ring, ..] if is_ring(ring) => 1,
            [Token::Symbol('{'), ring, Token::Symbol('}'), ..] if is_ring(ring) => 3,
            _ => 0,
        };
        self.at += length;
        length > 0
    }
}

/// Whether a word behind a value makes a statement of it, a bound, `5 at least`, or another value,
/// `5 doubled`.
fn alters(word: &str) -> bool {
    const WORDS: [&str; 23] = [
        "is",
        "least",
        "most",
        "minimum",
        "maximum",
        "inclusive",
        "exclusive",
        "too",
        "plus",
        "minus",
        "doubled",
        "tripled",
        "quadrupled",
        "halved",
        "twice",
        "inverse",
        "inverted",
        "reciprocal",
        "kilo",
        "mega",
        "giga",
        "mil",
        "myriad",
    ];
    WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// Whether the last words behind a value make another one of it: `7 negative`, `5 short of`. In
/// front of a noun they say what is counted, `7 negative numbers`.
fn turns_around(words: &[String]) -> bool {
    let is = |word: &String, known: &[&str]| known.iter().any(|k| word.eq_ignore_ascii_case(k));
    match words {
        [.., last] if is(last, &["negative", "short", "shy", "lacking"]) => true,
        [.., last, of] => is(last, &["short", "shy"]) && is(of, &["of"]),
        _ => false,
    }
}

/// Whether `ending` is that of a number as an ordinal.
pub(super) fn is_ordinal(number: &Number, ending: &str) -> bool {
    let last: BigInt = number.numer() % 100;
    let last = u32::try_from(&last).unwrap_or_default();
    let right = match (last % 10, last / 10) {
        (1..=3, 1) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    ending == right
}

/// Whether a unit measures what the last one does, and is smaller.
fn is_smaller_unit(parts: &[(String, String, Unit)], word: &str) -> bool {
    parts.last().zip(units::unit(word)).is_some_and(|((.., last), unit)| {
        last.dimensions == unit.dimensions && last.factor > unit.factor
    })
}
