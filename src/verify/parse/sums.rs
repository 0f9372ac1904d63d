//! Sets, ratios, sums and products.

use super::powers::MAX_POSTFIXES;
use super::words::{is_prose, mixes_cases};
use super::{Fault, Parsed, Parser};
use crate::verify::{numeral, token::Token, tree::Node, units};

impl Parser<'_> {
    /// The sign that a word in front of a number is: `negative 6`.
    pub(super) fn sign_in_words(&self) -> Option<char> {
        let sign = match self.peek()? {
            Token::Text(word) | Token::Word(word) => match word.to_lowercase().as_str() {
                "negative" | "minus" | "负" => '-',
                "positive" | "plus" => '+',
                _ => return None,
            },
            _ => return None,
        };
        let is_value = match self.tokens.get(self.at + 1)? {
            Token::Number(_) | Token::Symbol('$' | '(' | '{' | '∞') => true,
            Token::Command(name) => matches!(name.as_str(), "frac" | "sqrt" | "pi"),
            _ => false,
        };
        is_value.then_some(sign)
    }

    pub(super) fn sets(&mut self) -> Parsed {
        let mut left = self.ratio()?;
        let mut differences = 0;
        loop {
            if self.take('∪') {
                let right = self.ratio()?;
                left = match left {
                    Node::Union(mut parts) => {
                        parts.push(right);
                        Node::Union(parts)
                    }
                    other => Node::Union(vec![other, right]),
                };
            } else if self.take('∖') {
                differences += 1;
                if differences > MAX_POSTFIXES {
                    return Err(Fault::Exhausted);
                }
                left = Node::Difference(Box::new(left), Box::new(self.ratio()?));
            } else if self.take_command("cap") {
                let part = self.ratio()?;
                left = self.joined("∩", left, part)?;
            } else if self.take('⋀') {
                let part = self.ratio()?;
                left = self.joined("∧", left, part)?;
            } else if self.take('⋁') {
                // "and" binds tighter.
                let mut right = self.ratio()?;
                while self.take('⋀') {
                    let part = self.ratio()?;
                    right = self.joined("∧", right, part)?;
                }
                left = self.joined("∨", left, right)?;
            } else {
                return Ok(left);
            }
        }
    }

    /// Two parts of a connection in which the order of parts does not count.
    fn joined(&mut self, sign: &str, left: Node, right: Node) -> Parsed {
        let mut parts = match left {
            Node::Apply(name, parts) if name == sign => parts,
            other => vec![other],
        };
        self.budget.spend(20 * parts.len() as u64)?;
        parts.push(right);
        parts.sort();
        Ok(Node::Apply(sign.to_string(), parts))
    }

    fn ratio(&mut self) -> Parsed {
        if let Some(parts) = self.quantity_in_parts()? {
            return Ok(parts);
        }
        let currency = self.currency();
        let first = self.sum()?;
        let mut value = first;
        if self.is(':') || self.is_to(&value) {
            let mut parts = vec![value];
            while self.is(':') || self.is_to(&parts[parts.len() - 1]) {
                self.at += 1;
                parts.push(self.sum()?);
            }
            value = Node::Ratio(parts);
        }
        let mut unit = self.unit()?;
        // `5 degrees below zero`
        if let Some(kept) = unit.as_deref().and_then(|unit| unit.strip_suffix("below zero")) {
            unit = Some(kept.trim_end().to_string()).filter(|kept| !kept.is_empty());
            value = value.negative();
        }
        // `3 million dollars`.
        if let Some(words) = unit {
            (value, unit) = numeral::scaled(value, &words).ok_or(Fault::Unreadable)?;
        }
        let unit = match (currency, unit) {
            (Some(currency), None) => Some(currency),
            // `$5 per day`, `\$1.85\ \text{USD}`.
            (Some(currency), Some(unit)) => Some(
                if unit.eq_ignore_ascii_case("usd") || unit.to_lowercase().starts_with("dollar") {
                    currency
                } else {
                    format!("{currency} {unit}")
                },
            ),
            (None, unit) => unit,
        };
        Ok(match unit {
            Some(unit) => Node::Quantity { value: Box::new(value), unit },
            None => value,
        })
    }

    /// Whether `to` between two numbers follows, as in `9 to 4`.
    fn is_to(&self, before: &Node) -> bool {
        matches!(before, Node::Number { .. })
            && matches!(self.tokens.get(self.at + 1), Some(Token::Number(_)))
            && self.word_at(self.at).is_some_and(|word| word == "to")
    }

    pub(super) fn sum(&mut self) -> Parsed {
        let mut terms = Vec::new();
        loop {
            let sign = match self.peek() {
                Some(Token::Symbol(sign @ ('+' | '-' | '±' | '∓'))) => Some(*sign),
                Some(Token::Text(_) | Token::Word(_)) => self.sign_in_words(),
                _ => None,
            };
            if sign.is_some() {
                self.at += 1;
            } else if !terms.is_empty() {
                break;
            }
            let term = self.product()?;
            terms.push(match sign {
                Some('-') => term.negative(),
                Some('±') => Node::PlusMinus(Box::new(term), false),
                Some('∓') => Node::PlusMinus(Box::new(term), true),
                _ => term,
            });
        }
        Ok(match <[Node; 1]>::try_from(terms) {
            Ok([term]) => term,
            Err(terms) => Node::Sum(terms),
        })
    }

    pub(super) fn product(&mut self) -> Parsed {
        let first = self.signed_power()?;
        if is_unknown(&first) {
            return self.operation(Vec::new(), first);
        }
        let mut factors = vec![first];
        // Each cross product makes the tree deeper by one.
        let mut crosses = 0;
        // `990/7°` are 990/7 degrees.
        let mut degrees = false;
        loop {
            if self.is('*') && !self.is_text_at(1) {
                self.at += 1;
                factors.push(self.signed_power()?);
            } else if self.take('×') {
                let right = self.signed_power()?;
                match factors.pop() {
                    Some(left) if is_vector(&left) || is_vector(&right) => {
                        crosses += 1;
                        if crosses > MAX_POSTFIXES {
                            return Err(Fault::Exhausted);
                        }
                        factors.push(Node::Apply("×".to_string(), vec![left, right]));
                    }
                    left => factors.extend(left.into_iter().chain([right])),
                }
            } else if self.is('/') && !self.is_text_at(1) {
                self.at += 1;
                let divisor = match self.signed_power()? {
                    Node::Degrees(inner) => {
                        degrees = true;
                        *inner
                    }
                    other => other,
                };
                factors.push(divisor.power(Node::integer(-1)));
            } else if self.is_unit_fraction() {
                break;
            } else if self.stand_side_by_side(factors.last()) {
                // `2 3` is not 6.
                return Err(Fault::Unreadable);
            } else if self.begins_factor() {
                let factor = self.power()?;
                if is_unknown(&factor) {
                    return self.operation(factors, factor);
                }
                match (factors.last(), factor) {
                    // `A(2, -5)`, `C(8, 2)`
                    (Some(Node::Variable(name)), Node::Group { open: '(', close: ')', items })
                        if is_label(name) =>
                    {
                        let name = name.clone();
                        factors.pop();
                        factors.push(Node::Apply(name, items));
                    }
                    (_, factor) => factors.push(factor),
                }
            } else {
                break;
            }
        }
        Ok(match <[Node; 1]>::try_from(factors) {
            Ok([factor]) => factor,
            Err(factors) if degrees => Node::Degrees(Box::new(Node::Product(factors))),
            Err(factors) if factors.iter().any(is_transposed) || conjugates(&factors) => {
                in_their_order(factors)
            }
            Err(factors) => Node::Product(factors),
        })
    }

    /// A command that is not known keeps its place between what is before it and what is behind it:
    /// `a \star b` is not `b \star a`.
    fn operation(&mut self, before: Vec<Node>, operator: Node) -> Parsed {
        let Node::Variable(mut name) = operator else { return Err(Fault::Unreadable) };
        if before.is_empty()
            && !(self.begins_factor() || self.is('*') || self.is('×') || self.is('-'))
        {
            return Ok(Node::Variable(name));
        }
        let mut arguments = Vec::new();
        if !before.is_empty() {
            arguments.push(Node::Product(before));
        }
        // The gradient has no sign, the divergence a point and the curl a cross.
        if self.take('×') {
            name.push('×');
        } else if self.take('*') && name == "\\nabla" {
            name.push('·');
        }
        if self.begins_factor() || self.is('-') {
            arguments.push(self.deeper(Self::product)?);
        }
        Ok(Node::Apply(name, arguments))
    }

    /// Whether a number follows a number.
    fn stand_side_by_side(&self, last: Option<&Node>) -> bool {
        let is_number = |at: usize| matches!(self.tokens.get(at), Some(Token::Number(_)));
        matches!(last, Some(Node::Number { .. })) && is_number(self.at) && is_number(self.at - 1)
    }

    /// `2 * -3`.
    fn signed_power(&mut self) -> Parsed {
        if self.take('-') { Ok(self.deeper(Self::signed_power)?.negative()) } else { self.power() }
    }

    pub(super) fn begins_factor(&self) -> bool {
        match self.peek() {
            Some(Token::Letter(_) | Token::Number(_) | Token::BeginMatrix) => true,
            Some(Token::Word(word)) => {
                let is_upper = word.chars().all(|c| c.is_ascii_uppercase());
                let is_ratio =
                    word == "to" && matches!(self.tokens.get(self.at + 1), Some(Token::Number(_)));
                (is_upper || !is_prose(word) || mixes_cases(word))
                    && !units::is_known(word)
                    && !is_ratio
            }
            Some(Token::Command(name)) => {
                !matches!(name.as_str(), "choose" | "over" | "mod" | "cap")
            }
            Some(Token::Symbol(symbol)) => match symbol {
                '(' => !(self.restates_in_brackets() || self.is_modulus(1)),
                '[' | '{' | '⦃' | '⟨' | '⌊' | '⌈' | '∞' | '∅' => true,
                '|' => self.bars == 0,
                '‖' => {
                    self.bars == 0 && self.tokens.get(self.at + 1) != Some(&Token::Symbol('‖'))
                }
                _ => false,
            },
            _ => false,
        }
    }
}

/// Whether a variable's name is one capital letter, with or without an index.
pub(super) fn is_label(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_uppercase())
        && matches!(chars.next(), None | Some('_' | '\''))
}

/// Whether a factor is a transposed matrix: a capital letter, or something in brackets, raised to
/// T.
fn is_transposed(node: &Node) -> bool {
    let is_sign = |exponent: &Node| {
        let Node::Variable(name) = exponent else { return false };
        matches!(name.as_str(), "T" | "\\top" | "\\intercal" | "\\dagger")
    };
    let is_matrix = |base: &Node| match base {
        Node::Variable(name) => name.starts_with(|c: char| c.is_ascii_uppercase()),
        Node::Sum(_) | Node::Product(_) | Node::Apply(..) => true,
        _ => false,
    };
    matches!(node, Node::Power(base, exponent) if is_sign(exponent) && is_matrix(base))
}

/// Whether a capital letter and its inverse stand around something: `P D P^{-1}` is not D.
fn conjugates(factors: &[Node]) -> bool {
    let inverse = |node: &Node| match node {
        Node::Power(base, exponent) if **exponent == Node::integer(-1) => Some((**base).clone()),
        _ => None,
    };
    let is_capital = |node: &Node| matches!(node, Node::Variable(name) if is_label(name));
    factors.len() > 2
        && factors
            .iter()
            .filter_map(inverse)
            .any(|base| is_capital(&base) && factors.contains(&base))
}

/// A product of matrices, whose factors keep their order but for numbers.
fn in_their_order(factors: Vec<Node>) -> Node {
    let is_number = |node: &Node| matches!(node, Node::Number { .. });
    let (mut numbers, matrices): (Vec<Node>, Vec<Node>) = factors.into_iter().partition(is_number);
    let product = Node::Apply("\\matrices".to_string(), matrices);
    if numbers.is_empty() {
        return product;
    }
    numbers.push(product);
    Node::Product(numbers)
}

fn is_vector(node: &Node) -> bool {
    node.any(&|part| matches!(part, Node::Apply(name, _) if name == "\\vec" || name == "\\hat" || name == "×"))
}

/// Whether a node is a command whose effect is not known. Those for letters only name something.
fn is_unknown(node: &Node) -> bool {
    const LETTERS: [&str; 20] = [
        "mathbb ",
        "differential ",
        "var",
        "hbar",
        "ell",
        "aleph",
        "beth",
        "wp",
        "angle",
        "measuredangle",
        "triangle",
        "top",
        "intercal",
        "dagger",
        "prime",
        "complement",
        "eth",
        "Alpha",
        "Beta",
        "reals",
    ];
    const GREEK: [&str; 24] = [
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa",
        "lambda", "mu", "nu", "xi", "omicron", "pi", "rho", "sigma", "tau", "upsilon", "phi",
        "chi", "psi", "omega",
    ];
    let Node::Variable(name) = node else { return false };
    let Some(name) = name.strip_prefix('\\') else { return false };
    let name = name.split(['_', '\'']).next().unwrap_or_default();
    !(GREEK.iter().any(|letter| name.eq_ignore_ascii_case(letter))
        || LETTERS.iter().any(|known| name.starts_with(known)))
}
