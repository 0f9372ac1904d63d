//! Atoms with what follows them: exponents, arguments, primes, marks.

use super::quantities::is_ordinal;
use super::words::{is_prose, mixes_cases, spelt};
use super::{Fault, Parsed, Parser};
use crate::verify::token::Token;
use crate::verify::tree::{Function, Node, Number};

/// How many signs may follow one atom (`!`, `^`, `%`), or differences one set.
pub(super) const MAX_POSTFIXES: usize = 8;

/// How many tokens the order of a derivative may have, with the bracket behind it.
const LONGEST_ORDER: usize = 4;

impl Parser<'_> {
    pub(super) fn power(&mut self) -> Parsed {
        // Of `(c)(2)` neither factor is a function.
        let is_name =
            matches!(self.peek(), Some(Token::Letter(_) | Token::Command(_) | Token::Word(_)));
        let mut base = self.deeper(Self::atom)?;
        if matches!(base, Node::Number { .. }) {
            base = self.counted(base)?;
        }
        // Every pass makes the tree deeper by one.
        for _ in 0..MAX_POSTFIXES {
            if is_name && let Some(name) = self.applied(&base) {
                self.at += 1;
                let bars = std::mem::take(&mut self.bars);
                let arguments = self.deeper(Self::items)?;
                self.bars = bars;
                self.expect(')')?;
                base = Node::Apply(name, arguments);
            } else if self.take('!') {
                base = if self.take('!') {
                    Node::Apply("!!".to_string(), vec![base])
                } else {
                    Node::Call(Function::Factorial, vec![base])
                };
            } else if self.take('%') {
                base = Node::Percent(Box::new(base));
            } else if self.take('°') {
                base = match self.composition(&base)? {
                    Some(composed) => composed,
                    None => self.degrees(base),
                };
            } else if let (Node::Number { value, decimal: None }, true) = (&base, self.is('_')) {
                // `(101)_2`
                let digits = value.numer().to_string();
                if !value.is_integer() {
                    return Err(Fault::Unreadable);
                }
                self.at += 1;
                base = Node::Based { digits, base: self.base()? };
            } else if self.is('\'') {
                self.at += 1;
                base = match base {
                    Node::Variable(name) => Node::Variable(format!("{name}'")),
                    _ => return Err(Fault::Unreadable),
                };
            } else if self.take('^') {
                if self.take_degrees() {
                    base = self.degrees(base);
                } else if self.take_ordinal() {
                    // `3^{\text{rd}}`
                } else if let Some(name) = self.derivative(&base) {
                    base = Node::Variable(name);
                } else {
                    let exponent = self.deeper(Self::exponent)?;
                    base = match counted_below(&base, &exponent) {
                        Some(number) => number,
                        None if is_transposition(&base, &exponent) => transposed(base),
                        None => base.power(exponent),
                    };
                }
            } else {
                return Ok(base);
            }
        }
        Err(Fault::Exhausted)
    }

    /// A name with an order in brackets as its exponent, `f^{(n)}`: of low orders that of the
    /// derivative, with primes. Between other names and other brackets it is a power.
    fn derivative(&mut self, base: &Node) -> Option<String> {
        let Node::Variable(name) = base else { return None };
        let [Token::Symbol('{'), Token::Symbol('('), inner @ ..] = &self.tokens[self.at..] else {
            return None;
        };
        let length = inner.iter().take(LONGEST_ORDER).position(|t| *t == Token::Symbol(')'))?;
        let order = &inner[..length];
        let is_order = match order {
            [Token::Number(order)] => !order.contains('.'),
            [Token::Letter(_)] => true,
            [Token::Letter(_), Token::Symbol('+' | '-'), Token::Number(_)] => {
                is_function(name) || name == "y"
            }
            _ => false,
        };
        if !is_order || inner.get(length + 1) != Some(&Token::Symbol('}')) {
            return None;
        }
        let name = match order {
            [Token::Number(order)] if order.len() == 1 => {
                let count = order.bytes().next().map_or(0, |digit| usize::from(digit - b'0'));
                format!("{name}{}", "'".repeat(count))
            }
            order => format!("{name}^({})", spelt(order)),
        };
        self.at += length + 4;
        Some(name)
    }

    /// The name of a function in front of its arguments: `f`, `g'` or `f^{-1}` in front of any, any
    /// letter in front of one number or one other letter.
    fn applied(&self, base: &Node) -> Option<String> {
        if !self.is('(') {
            return None;
        }
        let name = match base {
            Node::Variable(name) => name.clone(),
            Node::Power(function, exponent) => match (&**function, &**exponent) {
                (Node::Variable(name), Node::Number { value, .. }) if is_function(name) => {
                    format!("{name}^{value}")
                }
                _ => return None,
            },
            _ => return None,
        };
        let is_place = matches!(
            &self.tokens[self.at + 1..],
            [Token::Number(_) | Token::Letter(_), Token::Symbol(')'), ..]
                | [Token::Symbol('-'), Token::Number(_), Token::Symbol(')'), ..]
        );
        let is_letter = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && (name.len() == 1 || name.contains(['_', '\'', '^']));
        let empty = self.tokens.get(self.at + 1) == Some(&Token::Symbol(')'));
        (!empty && !self.is_modulus(1) && (is_function(&name) || (is_place && is_letter)))
            .then_some(name)
    }

    /// `8C2`, `8 choose 2` and `7th` after their first number.
    fn counted(&mut self, number: Node) -> Parsed {
        let Node::Number { value, decimal: None } = &number else { return Ok(number) };
        let chosen = match &self.tokens[self.at..] {
            [Token::Letter(letter @ ('C' | 'P')), Token::Number(k), ..] => {
                Some((*letter, k.clone()))
            }
            [Token::Text(word) | Token::Word(word), Token::Number(k), ..] if word == "choose" => {
                Some(('C', k.clone()))
            }
            [Token::Word(ending), ..] if value.is_integer() && is_ordinal(value, ending) => {
                self.at += 1;
                return Ok(number);
            }
            _ => None,
        };
        let Some((letter, k)) = chosen else { return Ok(number) };
        self.at += 2;
        let k = self.number(&k)?;
        Ok(selections(letter, number, k))
    }

    /// `^8C_2` or `_8C_2`, after its first sign.
    pub(super) fn prescript(&mut self) -> Parsed {
        let n = match self.peek() {
            Some(Token::Number(digits)) => {
                let digits = digits.clone();
                self.at += 1;
                self.number(&digits)?
            }
            _ => self.deeper(Self::atom)?,
        };
        let Some(Token::Letter(letter @ ('C' | 'P'))) = self.peek() else {
            return Err(Fault::Unreadable);
        };
        let letter = *letter;
        self.at += 1;
        self.expect('_')?;
        let k = self.deeper(Self::argument)?;
        Ok(selections(letter, n, k))
    }

    /// `f \circ g`, after the ring: what is composed with a name. The order counts.
    fn composition(&mut self, first: &Node) -> Parsed<Option<Node>> {
        let is_name = matches!(first, Node::Variable(_) | Node::Apply(..) | Node::Power(..));
        if !(is_name
            && matches!(self.peek(), Some(Token::Letter(_) | Token::Word(_) | Token::Command(_))))
        {
            return Ok(None);
        }
        let mut names = vec![first.clone()];
        match self.deeper(Self::power)? {
            Node::Apply(name, more) if name == "∘" => names.extend(more),
            other => names.push(other),
        }
        Ok(Some(Node::Apply("∘".to_string(), names)))
    }

    /// What is under a mark, `\bar{z}`: names and digits in the order in which they stand, or an
    /// expression. An index belongs to the name.
    pub(super) fn marked(&mut self, mark: &str) -> Parsed {
        let braced = self.is('{');
        let inner = &self.tokens[self.at + usize::from(braced)..];
        let is_part =
            |token: &Token| matches!(token, Token::Letter(_) | Token::Word(_) | Token::Number(_));
        let length = if braced {
            inner.iter().position(|token| *token == Token::Symbol('}')).unwrap_or(0)
        } else {
            usize::from(inner.first().is_some_and(|token| matches!(token, Token::Letter(_))))
        };
        if mark == "overline" && braced && length == 1 && matches!(inner[0], Token::Number(_)) {
            // A line under or over a number alone is emphasis.
            return self.argument();
        }
        if mark == "vec"
            && matches!(inner.first(), Some(Token::Number(zero)) if zero == "0")
            && (length == 1 || !braced)
        {
            // The vector of zeros is written in any way.
            return self.argument();
        }
        let argument = if length > 0 && inner[..length].iter().all(is_part) {
            let name = spelt(&inner[..length]);
            self.at += length + 2 * usize::from(braced);
            Node::Variable(name)
        } else if !braced && matches!(inner.first(), Some(Token::Word(word)) if is_points(word)) {
            // `\overline AB`
            self.deeper(Self::atom)?
        } else {
            self.deeper(Self::argument)?
        };
        let argument = match argument {
            Node::Variable(name) if self.is('_') => self.name(name)?,
            other => other,
        };
        Ok(Node::Apply(format!("\\{mark}"), vec![argument]))
    }

    /// What stands after `^`: a group, a signed number, a name or a function; then a further `^`
    /// belongs to it.
    pub(super) fn exponent(&mut self) -> Parsed {
        if self.take('-') {
            return Ok(self.deeper(Self::exponent)?.negative());
        }
        if let Some(letter) = self.first_letter() {
            return self.letter(letter);
        }
        if self.is_transposition() {
            self.tokens.to_mut()[self.at] = match self.peek() {
                Some(Token::Word(word)) if word.len() > 2 => Token::Word(word[1..].to_string()),
                Some(Token::Word(word)) => Token::Letter(word.chars().last().unwrap_or_default()),
                _ => return Err(Fault::Unreadable),
            };
            return Ok(Node::Variable("T".to_string()));
        }
        let base = self.deeper(Self::atom)?;
        if self.take('^') { Ok(base.power(self.deeper(Self::exponent)?)) } else { Ok(base) }
    }

    /// Whether the T of `A^TB` alone is the exponent of a capital letter or of brackets.
    fn is_transposition(&self) -> bool {
        let is_matrix = match self.at.checked_sub(2).and_then(|before| self.tokens.get(before)) {
            Some(Token::Letter(letter)) => letter.is_ascii_uppercase(),
            Some(Token::Symbol(symbol)) => *symbol == ')',
            _ => false,
        };
        let begins_with_t =
            |word: &str| word.starts_with('T') && word.bytes().all(|c| c.is_ascii_alphabetic());
        is_matrix && matches!(self.peek(), Some(Token::Word(word)) if begins_with_t(word))
    }

    /// The first of several small letters, which alone belongs to the `^` or `_` in front of it:
    /// `e^xe^y`.
    pub(super) fn first_letter(&mut self) -> Option<char> {
        let Some(Token::Word(word)) = self.peek() else { return None };
        let first = word
            .chars()
            .next()
            .filter(|first| first.is_ascii_lowercase() && (!is_prose(word) || mixes_cases(word)))?;
        let rest = word[1..].to_string();
        let letter = rest.chars().next().filter(|_| rest.len() == 1);
        self.tokens.to_mut()[self.at] = letter.map_or(Token::Word(rest), Token::Letter);
        Some(first)
    }
}

/// Whether a variable's name is that of a function, which in front of brackets is applied to what
/// is in them.
fn is_function(name: &str) -> bool {
    name.starts_with(['f', 'g', 'h', 'F', 'G', 'H'])
        || ["\\phi", "\\varphi", "\\psi", "\\Phi", "\\Psi", "\\Gamma", "\\zeta", "\\Pr"].iter().any(
            |function| {
                name.strip_prefix(function)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '\'']))
            },
        )
}

/// Whether a word is the names of points.
fn is_points(word: &str) -> bool {
    word.bytes().all(|letter| letter.is_ascii_uppercase())
}

/// The number of choices of k of n: without order for `C`, with it for `P` and `A`.
pub(in crate::verify) fn selections(letter: char, n: Node, k: Node) -> Node {
    if letter == 'C' {
        return Node::Call(Function::Binomial, vec![n, k]);
    }
    let left = Node::Sum(vec![n.clone(), k.negative()]);
    let factorial = |n| Node::Call(Function::Factorial, vec![n]);
    factorial(n).over(factorial(left))
}

/// `C_8^2` and `A_8^2` of at least as many as are chosen.
fn counted_below(base: &Node, exponent: &Node) -> Option<Node> {
    let (Node::Variable(name), Node::Number { value: k, decimal: None }) = (base, exponent) else {
        return None;
    };
    let (letter, n) = name.split_once('_')?;
    let letter =
        letter.chars().next().filter(|c| letter.len() == 1 && matches!(c, 'C' | 'A' | 'P'))?;
    let n = Number::from_integer(n.parse::<u32>().ok()?.into());
    let zero = Number::from_integer(0.into());
    (k.is_integer() && *k >= zero && *k <= n)
        .then(|| selections(letter, Node::number(n), exponent.clone()))
}

fn is_transposition(base: &Node, exponent: &Node) -> bool {
    let is_t = matches!(exponent, Node::Variable(name) if name == "T" || name == "\\top" || name == "\\intercal");
    is_t && matches!(base, Node::Matrix(_) | Node::Group { .. })
}

/// A matrix with rows and columns exchanged; of a tuple the tuple, which is a column anyway.
fn transposed(node: Node) -> Node {
    let Node::Matrix(rows) = node else { return node };
    let width = rows.first().map_or(0, Vec::len);
    Node::Matrix(
        (0..width).map(|column| rows.iter().map(|row| row[column].clone()).collect()).collect(),
    )
}
