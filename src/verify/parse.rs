//! Tokens as a tree, by recursive descent with bounded depth.
//!
//! ```text
//! answer   = item ("," item)*
//! item     = words | relation
//! relation = sets (("=" | "<" | "≤" | "∈" | ...) sets)*
//! sets     = ratio (("∪" | "∖") ratio)*
//! ratio    = sum (":" sum)* unit?
//! sum      = ("+" | "-" | "±")? product (("+" | "-" | "±") product)*
//! product  = power (("*" | "/")? power)*
//! power    = atom ("!" | "%" | "°" | "^" argument)*
//! ```

use super::budget::{Budget, Exhausted, MAX_DEPTH};
use super::reals::is_name;
use super::token::Token;
use super::tree::{Constant, Decimal, Function, Node, Number, Relation};
use num_bigint::BigInt;

/// Why tokens are no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// They are in no form that is understood.
    Unreadable,
    /// They are too much.
    Exhausted,
}

impl From<Exhausted> for Fault {
    fn from(_: Exhausted) -> Self {
        Self::Exhausted
    }
}

/// How many signs may follow one atom (`!`, `^`, `%`), or differences one set.
const MAX_POSTFIXES: usize = 8;

type Parsed<T = Node> = Result<T, Fault>;

/// The whole of `tokens` as an answer.
pub(super) fn parse(tokens: &[Token], budget: &mut Budget) -> Parsed {
    let mut parser = Parser { tokens: tokens.to_vec(), at: 0, depth: 0, bars: 0, budget };
    let mut items = parser.items()?;
    if items.len() == 1 && parser.take_command("over") {
        let denominator = parser.sum()?;
        items = items.into_iter().map(|numerator| numerator.over(denominator.clone())).collect();
    }
    if parser.at < parser.tokens.len() {
        return Err(Fault::Unreadable);
    }
    match <[Node; 1]>::try_from(items) {
        Ok([item]) => Ok(item),
        Err(items) if items.is_empty() => Err(Fault::Unreadable),
        Err(items) => Ok(Node::List(items)),
    }
}

/// The words of an answer that is a text, in lower case with single spaces, without punctuation.
pub(super) fn words(tokens: &[Token]) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    let has_comma = tokens.iter().any(|token| matches!(token, Token::Symbol(',' | '∧')));
    for token in tokens {
        match token {
            Token::Text(word) | Token::Word(word) | Token::Number(word) => words.push(word.to_lowercase()),
            Token::Letter(letter) => words.push(letter.to_lowercase().to_string()),
            Token::Symbol('(' | ')' | '[' | ']') if !has_comma => {}
            Token::Symbol('{' | '}' | ',' | '∧' | '\'' | ':') => {}
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
pub(super) fn is_prose(word: &str) -> bool {
    let upper = word.chars().all(|c| c.is_ascii_uppercase());
    upper || word.len() > 3 || word.chars().any(|c| c.is_ascii_uppercase())
}

fn function(name: &str) -> Option<Function> {
    Some(match name {
        "sin" => Function::Sin,
        "cos" => Function::Cos,
        "tan" | "tg" => Function::Tan,
        "cot" | "ctg" => Function::Cot,
        "sec" => Function::Sec,
        "csc" => Function::Csc,
        "arcsin" => Function::Arcsin,
        "arccos" => Function::Arccos,
        "arctan" => Function::Arctan,
        "sinh" => Function::Sinh,
        "cosh" => Function::Cosh,
        "tanh" => Function::Tanh,
        "ln" => Function::Ln,
        "log" | "lg" => Function::Logarithm,
        _ => return None,
    })
}

fn relation(token: &Token) -> Option<Relation> {
    let Token::Symbol(symbol) = token else { return None };
    Some(match symbol {
        '=' => Relation::Equal,
        '≈' => Relation::Approximate,
        '≠' => Relation::NotEqual,
        '<' => Relation::Less,
        '≤' => Relation::LessOrEqual,
        '>' => Relation::Greater,
        '≥' => Relation::GreaterOrEqual,
        '∈' => Relation::ElementOf,
        _ => return None,
    })
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Open bars of absolute values: a bar closes the innermost.
    bars: usize,
    budget: &'a mut Budget,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn is(&self, symbol: char) -> bool {
        self.peek() == Some(&Token::Symbol(symbol))
    }

    fn take_command(&mut self, name: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Command(command)) if command == name);
        self.at += usize::from(found);
        found
    }

    fn take(&mut self, symbol: char) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: char) -> Parsed<()> {
        if self.take(symbol) { Ok(()) } else { Err(Fault::Unreadable) }
    }

    /// Does `work` one level deeper.
    fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.budget.spend(10)?;
        if self.depth >= MAX_DEPTH {
            return Err(Fault::Exhausted);
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    /// Items between commas, semicolons or "and", up to a token that is part of none. Two bounds of one name, `x > 1 and x < 4`, are
    /// one item.
    fn items(&mut self) -> Parsed<Vec<Node>> {
        let mut items = Vec::new();
        let mut both = false;
        loop {
            while self.take(',') || self.take(';') || self.is('∧') {
                both = self.take('∧');
            }
            if self.at_end() {
                return Ok(items);
            }
            let item = self.item()?;
            match items.last().filter(|_| both).and_then(|last| between(last, &item)) {
                Some(joined) => *items.last_mut().ok_or(Fault::Unreadable)? = joined,
                None => items.push(item),
            }
            if !(self.is(',') || self.is(';') || self.is('∧')) {
                return Ok(items);
            }
        }
    }

    fn at_end(&self) -> bool {
        match self.peek() {
            None | Some(Token::EndMatrix) => true,
            Some(Token::Symbol(symbol)) => matches!(symbol, ')' | ']' | '}' | '⦄' | '⟩' | '⌋' | '⌉' | '&' | '⏎'),
            Some(_) => false,
        }
    }

    fn item(&mut self) -> Parsed {
        self.skip_label();
        let first = self.member()?;
        let (mut members, mut relations) = (vec![first], Vec::new());
        while let Some(relation) = self.peek().and_then(relation) {
            self.at += 1;
            relations.push(relation);
            members.push(self.member()?);
        }
        Ok(match members.pop() {
            Some(only) if relations.is_empty() => only,
            last => {
                members.extend(last);
                Node::Chain { members, relations }
            }
        })
    }

    /// One side of a relation.
    fn member(&mut self) -> Parsed {
        if let Some(digits) = self.digits_with_letters() {
            return Ok(digits);
        }
        match self.text() {
            Some(text) => Ok(text),
            None => self.deeper(Self::sets),
        }
    }

    /// A number with letters among its digits, and its base: `A5_{11}`, or of at least two capitals only: `BEE_{16}`.
    fn digits_with_letters(&mut self) -> Option<Node> {
        let rest = &self.tokens[self.at..];
        let mut digits = String::new();
        for token in rest.iter().take(20) {
            match token {
                Token::Number(part) | Token::Word(part) | Token::Text(part) => digits.push_str(&part.to_uppercase()),
                Token::Letter(letter) => digits.push(letter.to_ascii_uppercase()),
                _ => break,
            }
        }
        let lettered = digits.bytes().any(|byte| byte.is_ascii_alphabetic());
        let all_letters = !digits.bytes().any(|byte| byte.is_ascii_digit());
        let is_capital = |token: &Token| matches!(token, Token::Word(part) | Token::Text(part) if part.bytes().all(|byte| byte.is_ascii_uppercase()));
        if !lettered || (all_letters && !(digits.len() > 1 && rest.first().is_some_and(is_capital))) {
            return None;
        }
        let below = rest.iter().take(20).position(|token| *token == Token::Symbol('_'))?;
        let ([Token::Number(base), ..] | [Token::Symbol('{'), Token::Number(base), Token::Symbol('}'), ..]) =
            &rest[below + 1..]
        else {
            return None;
        };
        let base: u32 = base.parse().ok().filter(|base| (11..=36).contains(base))?;
        if !digits.chars().all(|digit| digit.is_digit(base)) {
            return None;
        }
        let length = below + if rest[below + 1] == Token::Symbol('{') { 4 } else { 2 };
        let names_digits_only = rest[..below]
            .iter()
            .all(|token| matches!(token, Token::Number(_) | Token::Word(_) | Token::Text(_) | Token::Letter(_)));
        if !names_digits_only {
            return None;
        }
        self.at += length;
        Some(Node::Based { digits, base })
    }

    /// An item that begins with a word and has nothing but words, letters and numbers.
    fn text(&mut self) -> Option<Node> {
        match self.peek()? {
            Token::Text(sign) if matches!(sign.as_str(), "£" | "€" | "¥") => return None,
            Token::Text(_) => {}
            Token::Word(word) if is_prose(word) => {}
            _ => return None,
        }
        let rest = &self.tokens[self.at..];
        let plain = |token: &Token| {
            matches!(
                token,
                Token::Text(_) | Token::Word(_) | Token::Letter(_) | Token::Number(_) | Token::Symbol('\'' | '{')
            )
        };
        let length = rest.iter().position(|token| !plain(token)).unwrap_or(rest.len());
        let ends = match rest.get(length) {
            None | Some(Token::EndMatrix) => true,
            Some(Token::Symbol(symbol)) => {
                matches!(symbol, ',' | '∧' | ';' | ')' | ']' | '}' | '⦄' | '&' | '⏎' | '=' | '≈')
            }
            Some(_) => false,
        };
        let text = words(&rest[..length]).filter(|_| ends && !rest[..length].contains(&Token::Symbol('{')))?;
        self.at += length;
        Some(Node::Text(text))
    }

    /// Passes over `The answer is`, `Area:` and a leading `≈`.
    fn skip_label(&mut self) {
        if self.take('≈') {
            return;
        }
        let rest = &self.tokens[self.at..];
        let length =
            rest.iter().position(|token| !matches!(token, Token::Text(_) | Token::Word(_))).unwrap_or(rest.len());
        let last = match length.checked_sub(1).and_then(|last| rest.get(last)) {
            Some(Token::Text(word) | Token::Word(word)) => word.to_lowercase(),
            _ => return,
        };
        if rest.get(length) == Some(&Token::Symbol(':')) {
            self.at += length + 1;
        } else if matches!(last.as_str(), "is" | "are" | "about" | "approximately") && length < rest.len() {
            self.at += length;
        }
    }

    fn sets(&mut self) -> Parsed {
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
            } else {
                return Ok(left);
            }
        }
    }

    fn ratio(&mut self) -> Parsed {
        let currency = self.currency();
        let first = self.sum()?;
        let mut value = first;
        if self.is(':') {
            let mut parts = vec![value];
            while self.take(':') {
                parts.push(self.sum()?);
            }
            value = Node::Ratio(parts);
        }
        let mut unit = self.unit()?;
        // `3 million dollars`.
        if let Some((multiple, rest)) = unit.as_deref().and_then(multiple) {
            value = Node::Product(vec![value, Node::integer(multiple)]);
            unit = (!rest.is_empty()).then(|| rest.to_string());
        }
        let unit = match (currency, unit) {
            (Some(currency), None) => Some(currency),
            // `$5 per day`, `\$1.85\ \text{USD}`.
            (Some(currency), Some(unit)) => {
                Some(if unit == "usd" || unit.starts_with("dollar") { currency } else { format!("{currency} {unit}") })
            }
            (None, unit) => unit,
        };
        Ok(match unit {
            Some(unit) => Node::Quantity { value: Box::new(value), unit },
            None => value,
        })
    }

    /// A sign of currency, also after a minus sign.
    fn currency(&mut self) -> Option<String> {
        let negative = usize::from(self.is('-'));
        let unit = match self.tokens.get(self.at + negative)? {
            Token::Symbol('$') => "dollar",
            Token::Text(sign) if sign == "£" => "pound sterling",
            Token::Text(sign) if sign == "€" => "euro",
            Token::Text(sign) if sign == "¥" => "yen",
            _ => return None,
        };
        self.tokens.swap(self.at, self.at + negative);
        self.at += 1;
        Some(unit.to_string())
    }

    /// Words after a number, with an exponent if there is one: `cm^2`, `m/s`, `\frac{m}{s}`.
    fn unit(&mut self) -> Parsed<Option<String>> {
        let mut unit: Vec<String> = Vec::new();
        // The braces of a fraction of units.
        let mut braces = 0;
        loop {
            let next_is_word = self.is_text_at(1);
            match self.peek() {
                Some(Token::Text(word) | Token::Word(word)) => unit.push(word.to_lowercase()),
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
                let (Some(Token::Number(exponent)), Some(last)) = (self.peek(), unit.last_mut()) else {
                    return Err(Fault::Unreadable);
                };
                *last = format!("{last}^{sign}{exponent}");
                self.at += 1;
                if braced {
                    self.expect('}')?;
                }
            }
        }
        // `5 is wrong` is no 5.
        let denies = |word: &String| matches!(word.as_str(), "is" | "not" | "wrong" | "incorrect" | "no");
        if braces > 0 || unit.iter().any(denies) {
            return Err(Fault::Unreadable);
        }
        Ok((!unit.is_empty()).then(|| unit.join(" ")))
    }

    fn is_text_at(&self, offset: usize) -> bool {
        matches!(self.tokens.get(self.at + offset), Some(Token::Text(_)))
    }

    /// `\frac{\text{m}}{\text{s}}`.
    fn is_unit_fraction(&self) -> bool {
        let is_fraction = matches!(self.peek(), Some(Token::Command(name)) if name == "frac");
        is_fraction && self.tokens.get(self.at + 1) == Some(&Token::Symbol('{')) && self.is_text_at(2)
    }

    fn sum(&mut self) -> Parsed {
        let mut terms = Vec::new();
        loop {
            let sign = match self.peek() {
                Some(Token::Symbol(sign @ ('+' | '-' | '±' | '∓'))) => Some(*sign),
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

    fn product(&mut self) -> Parsed {
        let mut factors = vec![self.signed_power()?];
        // `990/7°` are 990/7 degrees.
        let mut degrees = false;
        loop {
            if self.is('*') && !self.is_text_at(1) {
                self.at += 1;
                factors.push(self.signed_power()?);
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
                factors.push(self.power()?);
            } else {
                break;
            }
        }
        Ok(match <[Node; 1]>::try_from(factors) {
            Ok([factor]) => factor,
            Err(factors) if degrees => Node::Degrees(Box::new(Node::Product(factors))),
            Err(factors) => Node::Product(factors),
        })
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

    fn begins_factor(&self) -> bool {
        match self.peek() {
            Some(Token::Letter(_) | Token::Number(_) | Token::BeginMatrix) => true,
            Some(Token::Word(word)) => {
                let is_upper = word.chars().all(|c| c.is_ascii_uppercase());
                (is_upper || !is_prose(word)) && !super::units::is_known(word)
            }
            Some(Token::Command(name)) => name != "choose" && name != "over",
            Some(Token::Symbol(symbol)) => match symbol {
                '(' | '[' | '{' | '⦃' | '⟨' | '⌊' | '⌈' | '∞' | '∅' => true,
                '|' => self.bars == 0,
                _ => false,
            },
            _ => false,
        }
    }

    fn power(&mut self) -> Parsed {
        let mut base = self.deeper(Self::atom)?;
        // Every pass makes the tree deeper by one.
        for _ in 0..MAX_POSTFIXES {
            if self.take('!') {
                base = Node::Call(Function::Factorial, vec![base]);
            } else if self.take('%') {
                base = Node::Percent(Box::new(base));
            } else if self.take('°') {
                base = Node::Degrees(Box::new(base));
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
                    base = Node::Degrees(Box::new(base));
                } else if self.take_ordinal() {
                    // `3^{\text{rd}}`
                } else {
                    base = base.power(self.deeper(Self::exponent)?);
                }
            } else {
                return Ok(base);
            }
        }
        Err(Fault::Exhausted)
    }

    /// The ending of an ordinal, in braces or not.
    fn take_ordinal(&mut self) -> bool {
        let is_ending =
            |token: &Token| matches!(token, Token::Text(word) if matches!(word.as_str(), "st" | "nd" | "rd" | "th"));
        let length = match &self.tokens[self.at..] {
            [ending, ..] if is_ending(ending) => 1,
            [Token::Symbol('{'), ending, Token::Symbol('}'), ..] if is_ending(ending) => 3,
            _ => 0,
        };
        self.at += length;
        length > 0
    }

    /// `\circ` or the letter o after `^`, in braces or not.
    fn take_degrees(&mut self) -> bool {
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

    /// What stands after `^`: a group, a signed number, a name or a function; then a further `^` belongs to it.
    fn exponent(&mut self) -> Parsed {
        if self.take('-') {
            return Ok(self.deeper(Self::exponent)?.negative());
        }
        if let Some(letter) = self.first_letter() {
            return self.letter(letter);
        }
        let base = self.deeper(Self::atom)?;
        if self.take('^') { Ok(base.power(self.deeper(Self::exponent)?)) } else { Ok(base) }
    }

    /// The first of several small letters, which alone belongs to the `^` or `_` in front of it: `e^xe^y`.
    fn first_letter(&mut self) -> Option<char> {
        let Some(Token::Word(word)) = self.peek() else { return None };
        let first = word.chars().next().filter(|_| word.bytes().all(|byte| byte.is_ascii_lowercase()))?;
        let rest = word[1..].to_string();
        let letter = rest.chars().next().filter(|_| rest.len() == 1);
        self.tokens[self.at] = letter.map_or(Token::Word(rest), Token::Letter);
        Some(first)
    }

    fn atom(&mut self) -> Parsed {
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
    fn number(&mut self, digits: &str) -> Parsed {
        self.budget.spend((digits.len() as u64).pow(2) / 100)?;
        if self.take('_') {
            return Ok(Node::Based { digits: digits.to_string(), base: self.base()? });
        }
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let integer: BigInt = format!("{whole}{decimals}").parse().map_err(|_| Fault::Unreadable)?;
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
            let all: BigInt = format!("{whole}{decimals}{repeating}").parse().map_err(|_| Fault::Unreadable)?;
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
        let significant = digits.trim_start_matches(['0', '.']).bytes().filter(u8::is_ascii_digit).count() as u32;
        let places = decimals.len() as u32;
        if integer == BigInt::ZERO {
            scale = BigInt::from(1);
        }
        Ok(Node::Number { value: Number::new(integer, scale), decimal: Some(Decimal { places, significant }) })
    }

    /// The `\frac{1}{2}` or `1/2` of `2\frac{1}{2}` or `2 1/2`.
    fn proper_fraction(&mut self) -> Option<Number> {
        let rest = &self.tokens[self.at..];
        let number = |token: Option<&Token>| match token {
            Some(Token::Number(digits)) if digits.len() <= 18 => digits.parse::<i64>().ok(),
            _ => None,
        };
        let symbol = |token: Option<&Token>, symbol| token == Some(&Token::Symbol(symbol));
        let (numerator, denominator, length) = if rest.first() == Some(&Token::Command("frac".to_string())) {
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
    fn base(&mut self) -> Parsed<u32> {
        let braced = self.take('{');
        let base = match self.peek() {
            Some(Token::Number(base)) => base.parse().ok(),
            Some(Token::Text(word) | Token::Word(word)) => number_word(word).and_then(|base| u32::try_from(base).ok()),
            _ => None,
        };
        let base = base.filter(|base| (2..=36).contains(base));
        self.at += 1;
        if braced {
            self.expect('}')?;
        }
        base.ok_or(Fault::Unreadable)
    }

    fn letter(&mut self, letter: char) -> Parsed {
        match letter {
            'e' if !self.is('_') => return Ok(Node::Constant(Constant::E)),
            'i' if !self.is('_') => return Ok(Node::Constant(Constant::I)),
            _ => {}
        }
        self.name(letter.to_string())
    }

    /// A name and what stands below it.
    fn name(&mut self, mut name: String) -> Parsed {
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
    fn raised(&mut self, base: Node) -> Parsed {
        if self.take('!') {
            return Ok(Node::Call(Function::Factorial, vec![base]));
        }
        if self.take('^') {
            return Ok(base.power(self.deeper(Self::exponent)?));
        }
        Err(Fault::Unreadable)
    }

    fn command(&mut self, name: &str) -> Parsed {
        match name {
            "pi" => Ok(Node::Constant(Constant::Pi)),
            "reals" => Ok(self.half_of_reals().unwrap_or(Node::Reals)),
            "exp" => Ok(Node::Constant(Constant::E).power(self.call_argument()?)),
            "frac" => {
                let numerator = self.deeper(Self::argument)?;
                let denominator = self.deeper(Self::argument)?;
                Ok(numerator.over(denominator))
            }
            "binom" => {
                let (n, k) = if self.take('(') {
                    let arguments = self.items()?;
                    self.expect(')')?;
                    <[Node; 2]>::try_from(arguments).map_err(|_| Fault::Unreadable)?.into()
                } else {
                    (self.deeper(Self::argument)?, self.deeper(Self::argument)?)
                };
                Ok(Node::Call(Function::Binomial, vec![n, k]))
            }
            "sqrt" => {
                let degree = if self.take('[') {
                    let degree = self.deeper(Self::sum)?;
                    self.expect(']')?;
                    degree
                } else {
                    Node::integer(2)
                };
                let radicand = self.deeper(Self::radicand)?;
                Ok(Node::Call(Function::Root, vec![radicand, degree]))
            }
            "log" | "lg" => {
                let mut base = Node::integer(10);
                if self.take('_') {
                    base = self.deeper(Self::argument)?;
                }
                let exponent = self.function_exponent()?;
                let argument = self.call_argument()?;
                Ok(raise(Node::Call(Function::Logarithm, vec![argument, base]), exponent))
            }
            other => match function(other) {
                Some(function) => {
                    let exponent = self.function_exponent()?;
                    let inverse = match function {
                        Function::Sin => Some(Function::Arcsin),
                        Function::Cos => Some(Function::Arccos),
                        Function::Tan => Some(Function::Arctan),
                        _ => None,
                    };
                    let argument = self.call_argument()?;
                    Ok(match (exponent, inverse) {
                        (Some(exponent), Some(inverse)) if exponent == Node::integer(-1) => {
                            Node::Call(inverse, vec![argument])
                        }
                        (exponent, _) => raise(Node::Call(function, vec![argument]), exponent),
                    })
                }
                None if other.starts_with("begin") || other.starts_with("end") => Err(Fault::Unreadable),
                None => self.name(format!("\\{other}")),
            },
        }
    }

    /// The `^+` or `^-` of the positive or negative reals.
    fn half_of_reals(&mut self) -> Option<Node> {
        let (sign, length) = match &self.tokens[self.at..] {
            [Token::Symbol('^' | '_'), Token::Symbol(sign @ ('+' | '-')), ..] => (*sign, 2),
            [
                Token::Symbol('^' | '_'),
                Token::Symbol('{'),
                Token::Symbol(sign @ ('+' | '-')),
                Token::Symbol('}'),
                ..,
            ] => (*sign, 4),
            _ => return None,
        };
        self.at += length;
        let infinity = Node::Constant(Constant::Infinity);
        let items =
            if sign == '+' { vec![Node::integer(0), infinity] } else { vec![infinity.negative(), Node::integer(0)] };
        Some(Node::Group { open: '(', close: ')', items })
    }

    fn function_exponent(&mut self) -> Parsed<Option<Node>> {
        if self.take('^') { self.deeper(Self::exponent).map(Some) } else { Ok(None) }
    }

    /// The argument of `\frac` and the like: a group, or one digit of a number, or one atom.
    fn argument(&mut self) -> Parsed {
        if let Some(Token::Number(digits)) = self.peek()
            && digits.len() > 1
            && digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            let (first, rest) = (digits[..1].to_string(), digits[1..].to_string());
            self.tokens[self.at] = Token::Number(rest);
            return Ok(Node::Number {
                value: Number::from_integer(first.parse().map_err(|_| Fault::Unreadable)?),
                decimal: None,
            });
        }
        self.atom()
    }

    /// What is under a root: `\sqrt13` is the root of 13, as its author meant it.
    fn radicand(&mut self) -> Parsed {
        if let Some(Token::Number(digits)) = self.peek() {
            let integer = digits.parse::<BigInt>();
            if let Ok(integer) = integer {
                self.budget.spend((digits.len() as u64).pow(2) / 100)?;
                self.at += 1;
                return Ok(Node::number(Number::from_integer(integer)));
            }
        }
        self.atom()
    }

    /// The argument of `\sin` and the like: brackets, or a product up to the next function.
    fn call_argument(&mut self) -> Parsed {
        self.deeper(|parser| {
            if parser.is('{') || parser.is('|') {
                return parser.power();
            }
            if parser.is('(') || parser.is('[') {
                // The exponent of `\sin(x)^2` is that of the sine.
                let argument = parser.atom()?;
                let start = parser.at;
                parser.take('^');
                if parser.take_degrees() {
                    return Ok(Node::Degrees(Box::new(argument)));
                }
                parser.at = start;
                return Ok(argument);
            }
            if parser.take('-') {
                return Ok(parser.call_argument()?.negative());
            }
            let mut factors = vec![parser.power()?];
            loop {
                let more = match parser.peek() {
                    Some(Token::Letter(_) | Token::Number(_)) => true,
                    Some(Token::Word(word)) => word.len() <= 3,
                    Some(Token::Command(name)) => function(name).is_none() && name != "exp",
                    _ => false,
                };
                if more {
                    factors.push(parser.power()?);
                } else if parser.is('/') && matches!(parser.tokens.get(parser.at + 1), Some(Token::Number(_))) {
                    parser.at += 1;
                    factors.push(parser.power()?.power(Node::integer(-1)));
                } else {
                    break;
                }
            }
            Ok(match <[Node; 1]>::try_from(factors) {
                Ok([factor]) => factor,
                Err(factors) => Node::Product(factors),
            })
        })
    }

    fn bracketed(&mut self, open: char) -> Parsed {
        match open {
            '(' | '[' | '⟨' => {
                let bars = std::mem::take(&mut self.bars);
                let items = self.deeper(Self::items)?;
                self.bars = bars;
                let close = match self.peek() {
                    Some(Token::Symbol(close @ (')' | ']' | '⟩'))) => *close,
                    _ => return Err(Fault::Unreadable),
                };
                self.at += 1;
                let (open, close) = if open == '⟨' && close == '⟩' { ('(', ')') } else { (open, close) };
                let matching = matches!((open, close), ('(', ')') | ('[', ']'));
                match <[Node; 1]>::try_from(items) {
                    Ok([item]) if matching => Ok(item),
                    Err(items) if items.len() > 1 => Ok(Node::Group { open, close, items }),
                    _ => Err(Fault::Unreadable),
                }
            }
            '{' => {
                let bars = std::mem::take(&mut self.bars);
                let items = self.deeper(Self::items)?;
                self.bars = bars;
                let node = match <[Node; 1]>::try_from(items) {
                    Ok([item]) => item,
                    Err(items) if items.is_empty() => return Err(Fault::Unreadable),
                    Err(items) => Node::List(items),
                };
                if self.take_command("over") {
                    let denominator = self.deeper(Self::sum)?;
                    self.expect('}')?;
                    return Ok(node.over(denominator));
                }
                if self.take_command("choose") {
                    let k = self.deeper(Self::sum)?;
                    self.expect('}')?;
                    return Ok(Node::Call(Function::Binomial, vec![node, k]));
                }
                self.expect('}')?;
                Ok(node)
            }
            '⦃' if self.takes_condition() => {
                let condition = self.deeper(Self::item)?;
                self.expect('⦄')?;
                Ok(Node::Union(vec![condition]))
            }
            '⦃' => {
                let items = self.deeper(Self::items)?;
                self.expect('⦄')?;
                Ok(Node::Set(items))
            }
            '∅' => Ok(Node::Set(Vec::new())),
            '∞' => Ok(Node::Constant(Constant::Infinity)),
            '|' => {
                self.bars += 1;
                let inner = self.deeper(Self::sum)?;
                self.bars -= 1;
                self.expect('|')?;
                Ok(Node::Call(Function::Abs, vec![inner]))
            }
            '⌊' | '⌈' => {
                let inner = self.deeper(Self::sum)?;
                let (close, function) =
                    if open == '⌊' { ('⌋', Function::Floor) } else { ('⌉', Function::Ceiling) };
                self.expect(close)?;
                Ok(Node::Call(function, vec![inner]))
            }
            _ => Err(Fault::Unreadable),
        }
    }

    /// The `x :` or `x \in \mathbb{R} \mid` of a set that is given by a condition.
    fn takes_condition(&mut self) -> bool {
        let length = match &self.tokens[self.at..] {
            [Token::Letter(_), Token::Symbol(':' | '|'), ..] => 2,
            [Token::Letter(_), Token::Symbol('∈'), Token::Command(reals), Token::Symbol(':' | '|'), ..]
                if reals == "reals" =>
            {
                4
            }
            _ => 0,
        };
        self.at += length;
        length > 0
    }

    /// Rows up to the end of the environment; a product of it and a scalar is left as a product.
    fn matrix(&mut self) -> Parsed {
        let mut rows: Vec<Vec<Node>> = vec![Vec::new()];
        loop {
            match self.peek() {
                None => return Err(Fault::Unreadable),
                Some(Token::EndMatrix) => break,
                Some(Token::Symbol('&')) => self.at += 1,
                Some(Token::Symbol('⏎')) => {
                    self.at += 1;
                    rows.push(Vec::new());
                }
                Some(_) => {
                    let cell = self.deeper(Self::sum)?;
                    if let Some(row) = rows.last_mut() {
                        row.push(cell);
                    }
                }
            }
        }
        self.at += 1;
        rows.retain(|row| !row.is_empty());
        let width = rows.first().map_or(0, Vec::len);
        if width == 0 || rows.iter().any(|row| row.len() != width) {
            return Err(Fault::Unreadable);
        }
        Ok(Node::Matrix(rows))
    }
}

/// `x > a` and `x < b`, in either order and written either way, as `a < x < b`.
fn between(one: &Node, other: &Node) -> Option<Node> {
    // The bound, the name, and how the bound stands to the name.
    let bound = |node: &Node| {
        let Node::Chain { members, relations } = node else { return None };
        let ([left, right], [relation]) = (members.as_slice(), relations.as_slice()) else { return None };
        match (is_name(left), is_name(right)) {
            (true, false) => Some((right.clone(), left.clone(), relation.reversed())),
            (false, true) => Some((left.clone(), right.clone(), *relation)),
            _ => None,
        }
    };
    let ((a, name, first), (b, other, second)) = (bound(one)?, bound(other)?);
    let below = |relation| matches!(relation, Relation::Less | Relation::LessOrEqual);
    let above = |relation| matches!(relation, Relation::Greater | Relation::GreaterOrEqual);
    if name != other {
        None
    } else if below(first) && above(second) {
        Some(Node::Chain { members: vec![a, name, b], relations: vec![first, second.reversed()] })
    } else if above(first) && below(second) {
        Some(Node::Chain { members: vec![b, name, a], relations: vec![second, first.reversed()] })
    } else {
        None
    }
}

/// The value of `million` and the like in front of a unit, and the rest of the unit.
fn multiple(unit: &str) -> Option<(i64, &str)> {
    let (word, rest) = unit.split_once(' ').unwrap_or((unit, ""));
    let multiple = match word {
        "thousand" => 1_000,
        "million" => 1_000_000,
        "billion" => 1_000_000_000,
        "trillion" => 1_000_000_000_000,
        _ => return None,
    };
    Some((multiple, rest))
}

/// The number that words name: `seven`, `twenty one`, `one hundred`.
pub(super) fn number_word(words: &str) -> Option<i64> {
    const SMALL: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let small = |word: &str| SMALL.iter().position(|known| *known == word).map(|at| at as i64);
    let tens = |word: &str| TENS.iter().position(|known| *known == word).map(|at| 10 * (at as i64 + 2));
    match words.split(' ').collect::<Vec<_>>().as_slice() {
        ["a" | "one", "hundred"] => Some(100),
        ["a" | "one", "thousand"] => Some(1000),
        [ten, one] => Some(tens(ten)? + small(one).filter(|one| (1..10).contains(one))?),
        [word] => small(word).or_else(|| tens(word)),
        _ => None,
    }
}

fn raise(base: Node, exponent: Option<Node>) -> Node {
    match exponent {
        Some(exponent) => base.power(exponent),
        None => base,
    }
}

/// A token as part of a name.
fn spelling(token: &Token) -> String {
    match token {
        Token::Number(text) | Token::Repeating(text) | Token::Word(text) | Token::Text(text) | Token::Command(text) => {
            text.clone()
        }
        Token::Letter(letter) => letter.to_string(),
        Token::Symbol(symbol) => symbol.to_string(),
        Token::BeginMatrix | Token::EndMatrix => "matrix".to_string(),
    }
}
