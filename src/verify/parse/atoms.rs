//! Numbers, letters and words.

use super::words::spelling;
use super::{Fault, Parsed, Parser};
use crate::verify::tree::{Constant, Decimal, Function, Node, Number};
use crate::verify::{numeral, token::Token};
use num_bigint::BigInt;

impl Parser<'_> {
    pub(super) fn atom(&mut self) -> Parsed {
        let token = self.peek().ok_or(Fault::Unreadable)?.clone();
        self.at += 1;
        match token {
            Token::Number(digits) => self.number(&digits),
            Token::Letter(letter) => self.letter(letter),
            Token::Word(word) => self.word(&word),
            Token::Command(name) => self.command(&name),
            Token::BeginMatrix => self.matrix(),
            Token::Symbol(symbol) => self.bracketed(symbol),
            Token::Text(_) | Token::Repeating(_) | Token::EndMatrix => Err(Fault::Unreadable),
        }
    }

    /// A number, its repeating decimals, the fraction of a mixed number, or the base below it.
    pub(super) fn number(&mut self, digits: &str) -> Parsed {
        self.budget.spend((digits.len() as u64).pow(2) / 100)?;
        if self.take('_') {
            return Ok(Node::Based { digits: digits.to_string(), base: self.base()? });
        }
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let integer: BigInt =
            format!("{whole}{decimals}").parse().map_err(|_| Fault::Unreadable)?;
        if decimals.len() > 10_000 {
            return Err(Fault::Exhausted);
        }
        let mut scale = BigInt::from(10).pow(decimals.len() as u32);
        if let Some(Token::Repeating(repeating)) = self.peek() {
            // 0.1(6) = (16 - 1) / (100 - 10)
            let repeating = repeating.clone();
            self.at += 1;
            self.budget.spend((repeating.len() as u64).pow(2) / 100)?;
            let shift = BigInt::from(10).pow(repeating.len() as u32);
            let all: BigInt =
                format!("{whole}{decimals}{repeating}").parse().map_err(|_| Fault::Unreadable)?;
            let value = Number::new(all - integer, scale * (shift - 1));
            return Ok(Node::number(value));
        }
        if decimals.is_empty() {
            let integer = Number::from_integer(integer);
            return Ok(match self.proper_fraction() {
                Some(fraction) => Node::number(integer + fraction),
                None => Node::number(integer),
            });
        }
        let significant =
            digits.trim_start_matches(['0', '.']).bytes().filter(u8::is_ascii_digit).count() as u32;
        let places = decimals.len() as u32;
        if integer == BigInt::ZERO {
            scale = BigInt::from(1);
        }
        Ok(Node::Number {
            value: Number::new(integer, scale),
            decimal: Some(Decimal { places, significant }),
        })
    }

    /// The `\frac{1}{2}` or `1/2` of `2\frac{1}{2}` or `2 1/2`.
    fn proper_fraction(&mut self) -> Option<Number> {
        let rest = &self.tokens[self.at..];
        let number = |token: Option<&Token>| match token {
            Some(Token::Number(digits)) if digits.len() <= 18 => digits.parse::<i64>().ok(),
            _ => None,
        };
        let symbol = |token: Option<&Token>, symbol| token == Some(&Token::Symbol(symbol));
        let (numerator, denominator, length) =
            if rest.first() == Some(&Token::Command("frac".to_string())) {
                let mut at = 1;
                let mut arguments = Vec::new();
                while arguments.len() < 2 {
                    if symbol(rest.get(at), '{') {
                        arguments.push(number(rest.get(at + 1))?);
                        if !symbol(rest.get(at + 2), '}') {
                            return None;
                        }
                        at += 3;
                    } else {
                        let value = number(rest.get(at))?;
                        at += 1;
                        if arguments.is_empty() && (10..100).contains(&value) {
                            arguments.extend([value / 10, value % 10]);
                        } else {
                            arguments.push(value);
                        }
                    }
                }
                (arguments[0], arguments[1], at)
            } else {
                let (numerator, denominator) = (number(rest.first())?, number(rest.get(2))?);
                if !symbol(rest.get(1), '/') {
                    return None;
                }
                (numerator, denominator, 3)
            };
        if !(0 < numerator && numerator < denominator) {
            return None;
        }
        self.at += length;
        Some(Number::new(numerator.into(), denominator.into()))
    }

    /// The base after `_`.
    pub(super) fn base(&mut self) -> Parsed<u32> {
        let braced = self.take('{');
        let base = match self.peek() {
            Some(Token::Number(base)) => base.parse().ok(),
            Some(Token::Text(word) | Token::Word(word)) => {
                numeral::value(word).and_then(|base| u32::try_from(base).ok())
            }
            _ => None,
        };
        let base = base.filter(|base| (2..=36).contains(base));
        self.at += 1;
        if braced {
            self.expect('}')?;
        }
        base.ok_or(Fault::Unreadable)
    }

    pub(super) fn letter(&mut self, letter: char) -> Parsed {
        match letter {
            'e' if !self.is('_') => return Ok(Node::Constant(Constant::E)),
            'i' if !self.is('_') => return Ok(Node::Constant(Constant::I)),
            _ => {}
        }
        self.name(letter.to_string())
    }

    /// A name and what stands below it.
    pub(super) fn name(&mut self, mut name: String) -> Parsed {
        if self.take('_') {
            name.push('_');
            if self.take('{') {
                while !self.take('}') {
                    let token = self.peek().ok_or(Fault::Unreadable)?;
                    name.push_str(&spelling(token));
                    self.at += 1;
                }
            } else if let Some(letter) = self.first_letter() {
                name.push(letter);
            } else {
                let token = self.peek().ok_or(Fault::Unreadable)?;
                name.push_str(&spelling(token));
                self.at += 1;
            }
        }
        Ok(Node::Variable(name))
    }

    fn word(&mut self, word: &str) -> Parsed {
        if word.chars().all(|c| c.is_ascii_uppercase()) {
            return self.name(word.to_string());
        }
        self.budget.spend(word.len() as u64)?;
        let mut factors = Vec::new();
        let last = word.len() - 1;
        for (at, letter) in word.char_indices() {
            let factor = match letter {
                'e' => Node::Constant(Constant::E),
                'i' => Node::Constant(Constant::I),
                letter if at == last => self.name(letter.to_string())?,
                letter => Node::Variable(letter.to_string()),
            };
            factors.push(factor);
        }
        // An exponent belongs to the last letter only.
        if (self.is('^') || self.is('\'') || self.is('!'))
            && let Some(last) = factors.pop()
        {
            let last = self.raised(last)?;
            factors.push(last);
        }
        Ok(Node::Product(factors))
    }

    /// `base` with what follows it on its right shoulder.
    pub(super) fn raised(&mut self, base: Node) -> Parsed {
        if self.take('!') {
            return Ok(Node::Call(Function::Factorial, vec![base]));
        }
        if self.take('^') {
            return Ok(base.power(self.deeper(Self::exponent)?));
        }
        Err(Fault::Unreadable)
    }

    pub(super) fn function_exponent(&mut self) -> Parsed<Option<Node>> {
        if self.take('^') { self.deeper(Self::exponent).map(Some) } else { Ok(None) }
    }

    /// The argument of `\frac` and the like: a group, or one digit of a number, or one letter, or
    /// one atom.
    pub(super) fn argument(&mut self) -> Parsed {
        if let Some(letter) = self.letter_of_word() {
            return self.letter(letter);
        }
        if let Some(Token::Number(digits)) = self.peek()
            && digits.len() > 1
            && digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            let (first, rest) = (digits[..1].to_string(), digits[1..].to_string());
            self.tokens.to_mut()[self.at] = Token::Number(rest);
            return Ok(Node::Number {
                value: Number::from_integer(first.parse().map_err(|_| Fault::Unreadable)?),
                decimal: None,
            });
        }
        self.atom()
    }

    /// The first of several letters outside of braces: `\frac ab` is a/b, `\sqrt ab` has b outside.
    fn letter_of_word(&mut self) -> Option<char> {
        let Some(Token::Word(word)) = self.peek() else { return None };
        let mut letters = word.chars();
        let (first, rest) = (letters.next()?, letters.as_str().to_string());
        let letter = rest.chars().next().filter(|_| rest.len() == 1);
        self.tokens.to_mut()[self.at] = letter.map_or(Token::Word(rest), Token::Letter);
        Some(first)
    }

    /// What is under a root: `\sqrt13` is the root of 13, as its author meant it.
    pub(super) fn radicand(&mut self) -> Parsed {
        if let Some(Token::Number(digits)) = self.peek() {
            let integer = digits.parse::<BigInt>();
            if let Ok(integer) = integer {
                self.budget.spend((digits.len() as u64).pow(2) / 100)?;
                self.at += 1;
                return Ok(Node::number(Number::from_integer(integer)));
            }
        }
        self.argument()
    }
}
