//! Tokens as a tree, by recursive descent with bounded depth.
//!
//! ```text
//! answer   = item (("," | "or" | "that is") item)*
//! item     = words | label? relation modulus?
//! relation = sets (("=" | "<" | "≤" | "∈" | ...) sets)*
//! sets     = ratio (("∪" | "∩" | "∖" | "⋀" | "⋁") ratio)*
//! ratio    = sum (":" sum)* unit?
//! sum      = ("+" | "-" | "±")? product (("+" | "-" | "±") product)*
//! product  = power (("*" | "/")? power)*
//! power    = atom ("!" | "%" | "°" | "^" argument | "(" items ")")*
//! ```

use super::budget::{Budget, Exhausted, MAX_DEPTH};
use super::reals::subject;
use super::token::{Token, mark};
use super::tree::{Constant, Decimal, Function, Node, Number, Relation};
use super::{label, numeral};
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
    let has_equals = tokens.iter().any(is_equals);
    let mut parser =
        Parser { tokens: subscripts_first(tokens), at: 0, depth: 0, bars: 0, has_equals, labelled: false, budget };
    let (mut items, either) = parser.joined_items()?;
    if items.len() == 1 && parser.take_command("over") {
        let denominator = parser.sum()?;
        items = items.into_iter().map(|numerator| numerator.over(denominator.clone())).collect();
    }
    if parser.at < parser.tokens.len() {
        return Err(Fault::Unreadable);
    }
    let items: Vec<Node> = items.into_iter().map(without_line).collect();
    match <[Node; 1]>::try_from(items) {
        Ok([item]) => Ok(item),
        Err(items) if items.is_empty() => Err(Fault::Unreadable),
        Err(items) if either => Ok(Node::Either(items)),
        Err(items) => Ok(Node::List(with_one_modulus(items))),
    }
}

/// A whole answer `\overline{AB}`, or a side of one, is the segment AB. Within an expression the line says something: `P(\overline{AB})`.
fn without_line(item: Node) -> Node {
    match item {
        Node::Apply(mark, mut arguments) if mark == "\\overline" => match arguments.pop() {
            Some(Node::Variable(name)) if name.len() > 1 && name.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                Node::Variable(name)
            }
            argument => Node::Apply(mark, argument.into_iter().collect()),
        },
        Node::Chain { members, relations } => {
            Node::Chain { members: members.into_iter().map(without_line).collect(), relations }
        }
        other => other,
    }
}

/// Whether a token gives what is before it a value.
fn is_equals(token: &Token) -> bool {
    matches!(token, Token::Symbol('=' | '≈' | '≡'))
}

/// `x^2_1` as `x_1^2`.
fn subscripts_first(tokens: &[Token]) -> Vec<Token> {
    let has = |symbol| tokens.iter().any(|token| matches!(token, Token::Symbol(other) if *other == symbol));
    if !(has('_') && has('^')) {
        return tokens.to_vec();
    }
    // The length of a group or of a single token, if it is short.
    let argument = |at: usize| match tokens.get(at)? {
        Token::Symbol('{') => {
            let mut depth = 0_usize;
            tokens[at..].iter().take(40).position(|token| {
                match token {
                    Token::Symbol('{') => depth += 1,
                    Token::Symbol('}') => depth -= 1,
                    _ => {}
                }
                depth == 0
            })
        }
        Token::Symbol(_) => None,
        _ => Some(0),
    };
    let mut ordered = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let raised = match (token, at.checked_sub(1).and_then(|before| tokens.get(before))) {
            (Token::Symbol('^'), Some(Token::Letter(_) | Token::Word(_) | Token::Command(_))) => argument(at + 1),
            _ => None,
        };
        if let Some(raised) = raised.map(|length| at + 2 + length)
            && tokens.get(raised) == Some(&Token::Symbol('_'))
            && let Some(lowered) = argument(raised + 1).map(|length| raised + 2 + length)
        {
            ordered.extend_from_slice(&tokens[raised..lowered]);
            ordered.extend_from_slice(&tokens[at..raised]);
            at = lowered;
        } else {
            ordered.push(token.clone());
            at += 1;
        }
    }
    ordered
}

/// The modulus of the last item of `1, 4 (mod 5)` is that of all.
fn with_one_modulus(items: Vec<Node>) -> Vec<Node> {
    let modulus = match items.last() {
        Some(Node::Residue(_, modulus)) => modulus.clone(),
        Some(Node::Chain { members, .. }) => match members.last() {
            Some(Node::Residue(_, modulus)) => modulus.clone(),
            _ => return items,
        },
        _ => return items,
    };
    items.into_iter().map(|item| modulo(item, &modulus)).collect()
}

/// An item with a modulus, if it has none: an equation's is that of its last member.
fn modulo(item: Node, modulus: &Node) -> Node {
    match item {
        Node::Residue(..) => item,
        Node::Chain { mut members, relations } => {
            if let Some(last) = members.pop() {
                members.push(modulo(last, modulus));
            }
            Node::Chain { members, relations }
        }
        item => Node::Residue(Box::new(item), Box::new(modulus.clone())),
    }
}

/// The words of an answer that is a text, in lower case with single spaces, without punctuation.
pub(super) fn words(tokens: &[Token]) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    let has_comma = tokens.iter().any(|token| matches!(token, Token::Symbol(',' | '∧' | '∨')));
    for (at, token) in tokens.iter().enumerate() {
        // The letters of a unit are not the same in upper and lower case: `5 mW`.
        let follows_number = at > 0 && matches!(tokens[at - 1], Token::Number(_));
        match token {
            Token::Text(word) | Token::Word(word) if follows_number && word.len() <= 3 => words.push(word.clone()),
            Token::Text(word) | Token::Word(word) | Token::Number(word) => words.push(word.to_lowercase()),
            Token::Letter(letter) => words.push(letter.to_lowercase().to_string()),
            Token::Symbol('(' | ')' | '[' | ']') if !has_comma => {}
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

/// Whether a word is that of a number.
fn names_number(word: &str) -> bool {
    word.len() >= 3 && numeral::value(&word.to_lowercase()).is_some()
}

/// Whether a short word can only be a product of names, such as `hR` or `Rr`.
fn mixes_cases(word: &str) -> bool {
    let has_upper = word.chars().any(|c| c.is_ascii_uppercase());
    let starts_lower = word.starts_with(|c: char| c.is_ascii_lowercase());
    has_upper && !word.chars().all(|c| c.is_ascii_uppercase()) && (word.len() == 2 || (starts_lower && word.len() == 3))
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

fn relation(token: &Token, next: Option<&Token>) -> Option<Relation> {
    let Token::Symbol(symbol) = token else { return None };
    let is_number = || matches!(next, Some(Token::Number(_) | Token::Symbol('-' | '$')));
    Some(match symbol {
        '=' | '≡' => Relation::Equal,
        '≈' => Relation::Approximate,
        '≠' => Relation::NotEqual,
        '<' => Relation::Less,
        '≤' => Relation::LessOrEqual,
        '>' => Relation::Greater,
        '≥' => Relation::GreaterOrEqual,
        '∈' => Relation::ElementOf,
        // Between figures and distributions they say something else.
        '≅' | '∼' if is_number() => Relation::Approximate,
        '⊂' | '⊆' | '⊊' | '⊃' | '⊇' | '⊋' | '∉' | '∋' | '≺' | '≻' | '≼' | '≽' | '≪' | '≫' | '∝' | '∥' | '⊥' | '≅'
        | '∼' | '⇔' => Relation::Other(*symbol),
        _ => return None,
    })
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Open bars of absolute values: a bar closes the innermost.
    bars: usize,
    /// Whether there is a sign of equality anywhere.
    has_equals: bool,
    /// A name with a colon in front of a value was one of several.
    labelled: bool,
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

    /// Items between commas, semicolons, "and" or "or", up to a token that is part of none.
    fn items(&mut self) -> Parsed<Vec<Node>> {
        Ok(self.joined_items()?.0)
    }

    /// Items, and whether "or", or a phrase such as "that is", stands between all of them. Two bounds of one name, `x > 1 and x < 4`,
    /// are one item.
    fn joined_items(&mut self) -> Parsed<(Vec<Node>, bool)> {
        let mut items = Vec::new();
        let mut all_either = true;
        loop {
            let (both, either) = self.separators(items.is_empty());
            if self.at_end() {
                break;
            }
            all_either &= either || items.is_empty();
            let item = self.item()?;
            match items.last().filter(|_| both).and_then(|last| between(last, &item)) {
                Some(joined) => *items.last_mut().ok_or(Fault::Unreadable)? = joined,
                None => items.push(item),
            }
            let is_text = matches!(items.last(), Some(Node::Text(_)));
            let number_follows = matches!(self.tokens[self.at..], [Token::Symbol('('), Token::Number(_), ..]);
            if self.restates_in_brackets() || (is_text && number_follows) {
                self.bracketed_restatement(&mut items)?;
            }
            let goes_on = matches!(self.peek(), Some(Token::Symbol(',' | ';' | '∧' | '∨')));
            if !(goes_on || self.restatement() > 0) {
                break;
            }
        }
        let either = all_either && items.len() > 1;
        Ok((items, either))
    }

    /// Passes over what separates two items: whether "and" is in it, and whether "or".
    fn separators(&mut self, first: bool) -> (bool, bool) {
        let (mut both, mut either) = (false, false);
        loop {
            if self.take(',') || self.take(';') {
                both = false;
            } else if self.take('∧') {
                both = true;
            } else if self.take('∨') {
                either = true;
            } else {
                let phrase = if first { 0 } else { self.restatement() };
                if phrase == 0 {
                    return (both, either);
                }
                self.at += phrase;
                either = true;
            }
        }
    }

    /// The lower-case word at a place.
    fn word_at(&self, at: usize) -> Option<String> {
        match self.tokens.get(at)? {
            Token::Text(word) | Token::Word(word) => Some(word.to_lowercase()),
            _ => None,
        }
    }

    /// The length of a phrase that introduces the same value in another form.
    fn restatement(&self) -> usize {
        const PHRASES: [&[&str]; 9] = [
            &["that", "is"],
            &["which", "is"],
            &["which", "equals"],
            &["ie"],
            &["equivalently"],
            &["namely"],
            &["equals"],
            &["in", "other", "words"],
            &["即"],
        ];
        if !matches!(self.peek(), Some(Token::Text(_) | Token::Word(_))) {
            return 0;
        }
        let is_here = |phrase: &&&[&str]| {
            phrase.iter().enumerate().all(|(at, word)| self.word_at(self.at + at).as_deref() == Some(word))
        };
        PHRASES.iter().find(is_here).map_or(0, |phrase| phrase.len())
    }

    /// Whether brackets follow that say the same once more, or the unit: `(eight)`, `(that is, 40%)`, `(= 0.4)`, `(cm)`.
    fn restates_in_brackets(&self) -> bool {
        let [Token::Symbol('('), first, ..] = &self.tokens[self.at..] else { return false };
        match first {
            Token::Text(_) | Token::Symbol('=' | '≈' | '∨') => true,
            Token::Word(word) => names_number(word) || (is_prose(word) && word.chars().any(|c| c.is_ascii_lowercase())),
            _ => false,
        }
    }

    /// What is in such brackets, as further items, or as the unit of the last.
    fn bracketed_restatement(&mut self, items: &mut Vec<Node>) -> Parsed<()> {
        self.at += 1;
        self.take('=');
        self.separators(false);
        let again = self.deeper(Self::items)?;
        self.expect(')')?;
        match (again.as_slice(), items.last_mut()) {
            ([Node::Text(words)], Some(last)) if super::units::unit(words).is_some() => {
                *last = Node::Quantity { value: Box::new(last.clone()), unit: words.clone() };
            }
            _ => items.extend(again),
        }
        Ok(())
    }

    fn at_end(&self) -> bool {
        match self.peek() {
            None | Some(Token::EndMatrix) => true,
            Some(Token::Symbol(symbol)) => matches!(symbol, ')' | ']' | '}' | '⦄' | '⟩' | '⌋' | '⌉' | '&' | '⏎'),
            Some(_) => false,
        }
    }

    fn item(&mut self) -> Parsed {
        while self.take('⇒') || self.take('→') || self.take('=') || self.take('≡') {}
        self.skip_label();
        let first = match self.label()? {
            Some(label) => label,
            None => self.member()?,
        };
        let (mut members, mut relations) = (vec![first], Vec::new());
        while let Some(relation) = self.peek().and_then(|token| relation(token, self.tokens.get(self.at + 1))) {
            self.at += 1;
            relations.push(relation);
            members.push(self.member()?);
        }
        let item = match members.pop() {
            Some(only) if relations.is_empty() => only,
            last => {
                members.extend(last);
                Node::Chain { members, relations }
            }
        };
        Ok(match self.modulus()? {
            Some(modulus) => modulo(item, &modulus),
            None => item,
        })
    }

    /// `(mod 9)`, `\pmod 9`, `\bmod 9`
    fn modulus(&mut self) -> Parsed<Option<Node>> {
        let bracketed = self.is('(') && self.is_modulus(1);
        if !bracketed && !self.is_modulus(0) {
            return Ok(None);
        }
        self.at += 1 + usize::from(bracketed);
        let modulus = self.deeper(Self::sum)?;
        if bracketed {
            self.expect(')')?;
        }
        Ok(Some(modulus))
    }

    fn is_modulus(&self, offset: usize) -> bool {
        matches!(self.tokens.get(self.at + offset), Some(Token::Command(name)) if name == "mod")
    }

    /// The label in front of `=`: a function at a place, or anything else that names a value and is no expression.
    fn label(&mut self) -> Parsed<Option<Node>> {
        if !self.has_equals {
            return Ok(None);
        }
        let Some((length, arguments)) = label::find(&self.tokens[self.at..]) else { return Ok(None) };
        let (start, end) = (self.at, self.at + length);
        let Some(arguments) = arguments else {
            self.at = end;
            return Ok(Some(Node::Variable(spelt(&self.tokens[start..end]))));
        };
        let name = spelt(&self.tokens[start..start + arguments]);
        self.at = start + arguments + 1;
        let items = match self.deeper(Self::items) {
            Ok(items) if self.at + 1 == end && !items.is_empty() => items,
            Err(Fault::Exhausted) => return Err(Fault::Exhausted),
            // `P(A|B)`
            _ => vec![Node::Text(spelt(&self.tokens[start + arguments..end]))],
        };
        self.at = end;
        Ok(Some(Node::Apply(name, items)))
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
        if self.sign_in_words().is_some() {
            return None;
        }
        match self.peek()? {
            Token::Text(sign) if matches!(sign.as_str(), "£" | "€" | "¥") => return None,
            Token::Text(_) => {}
            Token::Word(word) if is_prose(word) || names_number(word) => {}
            Token::Word(word)
                if word.eq_ignore_ascii_case("no") && matches!(self.tokens.get(self.at + 1), Some(Token::Word(_))) => {}
            _ => return None,
        }
        let rest = &self.tokens[self.at..];
        // `AB` alone is a name.
        let is_capitals = |token: &Token| matches!(token, Token::Word(word) if word.bytes().all(|letter| letter.is_ascii_uppercase()));
        if is_capitals(&rest[0]) && !matches!(rest.get(1), Some(Token::Text(_) | Token::Word(_) | Token::Letter(_))) {
            return None;
        }
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
                matches!(symbol, ',' | '∧' | '∨' | ';' | ')' | ']' | '}' | '⦄' | '&' | '⏎' | '=' | '≈' | '(')
            }
            Some(_) => false,
        };
        let text = words(&rest[..length]).filter(|_| ends && !rest[..length].contains(&Token::Symbol('{')))?;
        self.at += length;
        Some(Node::Text(text))
    }

    /// Passes over `The answer is`, `Area:` and a leading `≈`.
    fn skip_label(&mut self) {
        let is_number = matches!(self.tokens.get(self.at + 1), Some(Token::Number(_)));
        if self.take('≈') || (is_number && (self.take('∼') || self.take('≅'))) {
            return;
        }
        if let [Token::Text(word) | Token::Word(word), Token::Symbol(','), ..] = &self.tokens[self.at..]
            && matches!(word.to_lowercase().as_str(), "therefore" | "thus" | "hence" | "so")
        {
            self.at += 2;
        }
        let rest = &self.tokens[self.at..];
        let length =
            rest.iter().position(|token| !matches!(token, Token::Text(_) | Token::Word(_))).unwrap_or(rest.len());
        let last = match length.checked_sub(1).and_then(|last| rest.get(last)) {
            Some(Token::Text(word) | Token::Word(word)) => word.to_lowercase(),
            _ => return,
        };
        let colon = rest.get(length) == Some(&Token::Symbol(':'));
        let verb = !colon
            && length < rest.len()
            && introduces(&last)
            && !(self.at..self.at + length).any(|at| self.denies(at));
        if !(colon || verb) {
            return;
        }
        let sign = self.at + length - usize::from(verb);
        let is_label = |pair: &[Token]| match pair {
            [Token::Text(_) | Token::Word(_), Token::Symbol(':')] => colon,
            [Token::Text(word) | Token::Word(word), next] => {
                verb && introduces(&word.to_lowercase()) && !matches!(next, Token::Text(_) | Token::Word(_))
            }
            _ => false,
        };
        self.labelled |= self.tokens[sign + 1..].windows(2).any(is_label);
        if self.labelled && sign > self.at {
            // `boys: 3, girls: 5`: the names tell the values apart.
            self.tokens[sign] = Token::Symbol('=');
        } else {
            self.at = sign + 1;
        }
    }

    /// Whether the word at a place denies what stands beside it: `5 is wrong` is no 5.
    fn denies(&self, at: usize) -> bool {
        matches!(self.tokens.get(at), Some(Token::Text(word) | Token::Word(word)) if label::denies(word))
    }

    /// The sign that a word in front of a number is: `negative 6`.
    fn sign_in_words(&self) -> Option<char> {
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
            } else if self.take_command("cap") {
                left = joined("∩", left, self.ratio()?);
            } else if self.take('⋀') {
                left = joined("∧", left, self.ratio()?);
            } else if self.take('⋁') {
                // "and" binds tighter.
                let mut right = self.ratio()?;
                while self.take('⋀') {
                    right = joined("∧", right, self.ratio()?);
                }
                left = joined("∨", left, right);
            } else {
                return Ok(left);
            }
        }
    }

    fn ratio(&mut self) -> Parsed {
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
        // `3 million dollars`.
        if let Some(words) = unit {
            (value, unit) = numeral::scaled(value, &words).ok_or(Fault::Unreadable)?;
        }
        let unit = match (currency, unit) {
            (Some(currency), None) => Some(currency),
            // `$5 per day`, `\$1.85\ \text{USD}`.
            (Some(currency), Some(unit)) => {
                Some(if unit.eq_ignore_ascii_case("usd") || unit.to_lowercase().starts_with("dollar") {
                    currency
                } else {
                    format!("{currency} {unit}")
                })
            }
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

    /// A sign of currency, also after a minus sign.
    fn currency(&mut self) -> Option<String> {
        let negative = usize::from(self.is('-'));
        let unit = match self.tokens.get(self.at + negative)? {
            Token::Symbol('$') => "dollar",
            Token::Text(sign) if sign == "£" => "gbp",
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
        if braces > 0 || unit.iter().any(|word| bounds(word)) || (start..self.at).any(|at| self.denies(at)) {
            return Err(Fault::Unreadable);
        }
        Ok((!unit.is_empty()).then(|| unit.join(" ")))
    }

    fn is_text_at(&self, offset: usize) -> bool {
        matches!(self.tokens.get(self.at + offset), Some(Token::Text(_)))
    }

    /// Whether a unit stands at an offset, in `\text` or not.
    fn is_unit_at(&self, offset: usize) -> bool {
        match self.tokens.get(self.at + offset) {
            Some(Token::Text(_)) => true,
            Some(Token::Word(word)) => super::units::is_known(word),
            Some(Token::Letter(letter)) => super::units::is_sign(letter.encode_utf8(&mut [0; 4])),
            _ => false,
        }
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

    fn product(&mut self) -> Parsed {
        let first = self.signed_power()?;
        if is_unknown(&first) {
            return self.operation(Vec::new(), first);
        }
        let mut factors = vec![first];
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
                    (Some(Node::Variable(name)), Node::Group { open: '(', close: ')', items }) if is_label(name) => {
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
            Err(factors) => Node::Product(factors),
        })
    }

    /// A command that is not known keeps its place between what is before it and what is behind it: `a \star b` is not `b \star a`.
    fn operation(&mut self, before: Vec<Node>, operator: Node) -> Parsed {
        let Node::Variable(name) = operator else { return Err(Fault::Unreadable) };
        if before.is_empty() && !(self.begins_factor() || self.is('*') || self.is('-')) {
            return Ok(Node::Variable(name));
        }
        let mut arguments = Vec::new();
        if !before.is_empty() {
            arguments.push(Node::Product(before));
        }
        self.take('*');
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

    fn begins_factor(&self) -> bool {
        match self.peek() {
            Some(Token::Letter(_) | Token::Number(_) | Token::BeginMatrix) => true,
            Some(Token::Word(word)) => {
                let is_upper = word.chars().all(|c| c.is_ascii_uppercase());
                let is_ratio = word == "to" && matches!(self.tokens.get(self.at + 1), Some(Token::Number(_)));
                (is_upper || !is_prose(word) || mixes_cases(word)) && !super::units::is_known(word) && !is_ratio
            }
            Some(Token::Command(name)) => !matches!(name.as_str(), "choose" | "over" | "mod" | "cap"),
            Some(Token::Symbol(symbol)) => match symbol {
                '(' => !(self.restates_in_brackets() || self.is_modulus(1)),
                '[' | '{' | '⦃' | '⟨' | '⌊' | '⌈' | '∞' | '∅' => true,
                '|' => self.bars == 0,
                '‖' => self.bars == 0 && self.tokens.get(self.at + 1) != Some(&Token::Symbol('‖')),
                _ => false,
            },
            _ => false,
        }
    }

    fn power(&mut self) -> Parsed {
        // Of `(c)(2)` neither factor is a function.
        let is_name = matches!(self.peek(), Some(Token::Letter(_) | Token::Command(_) | Token::Word(_)));
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

    /// The name of a function in front of its arguments: `f`, `g'` or `f^{-1}` in front of any, any letter in front of one number
    /// or one other letter.
    fn applied(&self, base: &Node) -> Option<String> {
        if !self.is('(') {
            return None;
        }
        let name = match base {
            Node::Variable(name) => name.clone(),
            Node::Power(function, exponent) => match (&**function, &**exponent) {
                (Node::Variable(name), Node::Number { value, .. }) if is_function(name) => format!("{name}^{value}"),
                _ => return None,
            },
            _ => return None,
        };
        let is_place = matches!(
            &self.tokens[self.at + 1..],
            [Token::Number(_) | Token::Letter(_), Token::Symbol(')'), ..]
                | [Token::Symbol('-'), Token::Number(_), Token::Symbol(')'), ..]
        );
        let is_letter =
            name.starts_with(|c: char| c.is_ascii_alphabetic()) && (name.len() == 1 || name.contains(['_', '\'']));
        let empty = self.tokens.get(self.at + 1) == Some(&Token::Symbol(')'));
        (!empty && !self.is_modulus(1) && (is_function(&name) || (is_place && is_letter))).then_some(name)
    }

    /// `8C2`, `8 choose 2` and `7th` after their first number.
    fn counted(&mut self, number: Node) -> Parsed {
        let Node::Number { value, decimal: None } = &number else { return Ok(number) };
        let chosen = match &self.tokens[self.at..] {
            [Token::Letter(letter @ ('C' | 'P')), Token::Number(k), ..] => Some((*letter, k.clone())),
            [Token::Text(word) | Token::Word(word), Token::Number(k), ..] if word == "choose" => Some(('C', k.clone())),
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
    fn prescript(&mut self) -> Parsed {
        let n = match self.peek() {
            Some(Token::Number(digits)) => {
                let digits = digits.clone();
                self.at += 1;
                self.number(&digits)?
            }
            _ => self.deeper(Self::atom)?,
        };
        let Some(Token::Letter(letter @ ('C' | 'P'))) = self.peek() else { return Err(Fault::Unreadable) };
        let letter = *letter;
        self.at += 1;
        self.expect('_')?;
        let k = self.deeper(Self::argument)?;
        Ok(selections(letter, n, k))
    }

    /// The ending of an ordinal, in braces or not.
    fn take_ordinal(&mut self) -> bool {
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
    fn degrees(&mut self, value: Node) -> Node {
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

    /// `f \circ g`, after the ring: what is composed with a name. The order counts.
    fn composition(&mut self, first: &Node) -> Parsed<Option<Node>> {
        let is_name = matches!(first, Node::Variable(_) | Node::Apply(..) | Node::Power(..));
        if !(is_name && matches!(self.peek(), Some(Token::Letter(_) | Token::Word(_) | Token::Command(_)))) {
            return Ok(None);
        }
        let mut names = vec![first.clone()];
        match self.deeper(Self::power)? {
            Node::Apply(name, more) if name == "∘" => names.extend(more),
            other => names.push(other),
        }
        Ok(Some(Node::Apply("∘".to_string(), names)))
    }

    /// What is under a mark, `\bar{z}`: names and digits in the order in which they stand, or an expression. An index belongs to the name.
    fn marked(&mut self, mark: &str) -> Parsed {
        let braced = self.is('{');
        let inner = &self.tokens[self.at + usize::from(braced)..];
        let is_part = |token: &Token| matches!(token, Token::Letter(_) | Token::Word(_) | Token::Number(_));
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
        } else {
            self.deeper(Self::argument)?
        };
        let argument = match argument {
            Node::Variable(name) if self.is('_') => self.name(name)?,
            other => other,
        };
        Ok(Node::Apply(format!("\\{mark}"), vec![argument]))
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
        let first =
            word.chars().next().filter(|first| first.is_ascii_lowercase() && (!is_prose(word) || mixes_cases(word)))?;
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
                        // Those that are worked out have no other inverse.
                        (Some(exponent), None)
                            if exponent == Node::integer(-1)
                                && !matches!(function, Function::Ln | Function::Logarithm) =>
                        {
                            Node::Apply(format!("\\arc{other}"), vec![argument])
                        }
                        (Some(exponent), Some(inverse)) if exponent == Node::integer(-1) => {
                            Node::Call(inverse, vec![argument])
                        }
                        (exponent, _) => raise(Node::Call(function, vec![argument]), exponent),
                    })
                }
                None if other.starts_with("begin") || other.starts_with("end") => Err(Fault::Unreadable),
                None if matches!(other, "mod" | "choose" | "over") => Err(Fault::Unreadable),
                None if label::is_operator(other) => self.operator(other),
                None if let Some(mark) = mark(other) => self.deeper(|parser| parser.marked(mark)),
                None => self.name(format!("\\{other}")),
            },
        }
    }

    /// A sum, product, integral or limit with its bounds as a name. Sums and integrals are factors of what stands behind them; of the
    /// others that is the argument.
    fn operator(&mut self, operator: &str) -> Parsed {
        let Node::Variable(mut name) = self.name(format!("\\{operator}"))? else { return Err(Fault::Unreadable) };
        if self.take('^') {
            let start = self.at;
            self.deeper(Self::exponent)?;
            name = format!("{name}^{}", spelt(&self.tokens[start..self.at]).trim_matches(['{', '}']));
        }
        if matches!(operator, "sum" | "int") || !(self.begins_factor() || self.is('-')) {
            return Ok(Node::Variable(name));
        }
        Ok(Node::Apply(name, vec![self.deeper(Self::product)?]))
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
                let start = self.at;
                let bars = std::mem::take(&mut self.bars);
                let items = self.deeper(Self::items)?;
                self.bars = bars;
                let close = match self.peek() {
                    Some(Token::Symbol(close @ (')' | ']' | '⟩'))) => *close,
                    _ => return Err(Fault::Unreadable),
                };
                self.at += 1;
                let angled = open == '⟨' && close == '⟩';
                let (open, close) = if angled { ('(', ')') } else { (open, close) };
                let matching = matches!((open, close), ('(', ')') | ('[', ']'));
                match <[Node; 1]>::try_from(items) {
                    Ok([item]) if angled => Ok(Node::Apply("⟨⟩".to_string(), vec![item])),
                    Ok([item]) if open == '[' && close == ']' && self.is_integer_part(start, &item) => {
                        Ok(Node::Apply(INTEGER_PART.to_string(), vec![item]))
                    }
                    Ok([item]) if matching => Ok(item),
                    Err(items) if items.len() > 1 => Ok(Node::Group { open, close, items }),
                    _ => Err(Fault::Unreadable),
                }
            }
            // `{}_8C_2`
            '{' if self.is('}') && matches!(self.tokens.get(self.at + 1), Some(Token::Symbol('^' | '_'))) => {
                self.at += 2;
                self.prescript()
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
                let is_system =
                    |items: &[Node]| items.len() > 1 && items.iter().all(|item| matches!(item, Node::Chain { .. }));
                Ok(match <[Node; 1]>::try_from(items) {
                    Ok([Node::List(items)]) | Err(items) if is_system(&items) => Node::List(items),
                    // The base of a power is in braces as it could be in brackets.
                    Ok([item @ (Node::Sum(_) | Node::Product(_))]) if self.is('^') => item,
                    Ok([item]) => Node::Set(vec![item]),
                    Err(items) => Node::Set(items),
                })
            }
            '^' | '_' => self.prescript(),
            '¬' | '∼' => Ok(Node::Apply("¬".to_string(), vec![self.deeper(Self::power)?])),
            '‖' => {
                self.bars += 1;
                let inner = self.deeper(Self::sets)?;
                self.bars -= 1;
                self.expect('‖')?;
                Ok(Node::Call(Function::Abs, vec![inner]))
            }
            '∅' => Ok(Node::Set(Vec::new())),
            '∞' => Ok(Node::Constant(Constant::Infinity)),
            '|' => {
                self.bars += 1;
                let inner = self.deeper(Self::sets)?;
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

    /// Whether square brackets that begin at `start`, and are closed just before, take the integer part of what is in them. They only group
    /// where something has to be grouped: what has brackets of its own, an expression with an exponent, the argument of a function, or a sum that is a
    /// factor. Of numbers alone nobody would write them for anything else.
    fn is_integer_part(&self, start: usize, inner: &Node) -> bool {
        let has_brackets = self.tokens[start..self.at - 1]
            .iter()
            .any(|token| matches!(token, Token::Symbol('(' | '[' | '⦃' | '|') | Token::BeginMatrix));
        let before = start.checked_sub(2).and_then(|before| self.tokens.get(before));
        let is_argument = matches!(before, Some(Token::Command(name)) if function(name).is_some() || name == "exp");
        let multiplied_before = matches!(
            before,
            Some(
                Token::Number(_)
                    | Token::Letter(_)
                    | Token::Word(_)
                    | Token::Command(_)
                    | Token::Symbol('*' | '/' | ')' | ']' | '}' | '!')
            )
        );
        let multiplied = multiplied_before || self.begins_factor() || self.is('*') || self.is('/');
        let has_letter = inner.any(&|part| matches!(part, Node::Variable(_)));
        let is_sum = matches!(inner, Node::Sum(_) | Node::PlusMinus(..));
        let is_other = matches!(inner, Node::Chain { .. } | Node::Text(_) | Node::List(_));
        let is_raised = self.is('^') && !matches!(inner, Node::Variable(_));
        let groups = has_brackets || is_raised || is_argument || (is_sum && multiplied);
        has_letter && !groups && !is_other
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
                Some(Token::Symbol('&' | ',' | ';')) => self.at += 1,
                Some(Token::Symbol('⏎')) => {
                    self.at += 1;
                    rows.push(Vec::new());
                }
                Some(_) => {
                    let cell = self.deeper(Self::item)?;
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
        let cells = || rows.iter().flatten();
        if cells().count() > 1 && cells().all(|cell| matches!(cell, Node::Chain { .. })) {
            // A system of equations.
            return Ok(Node::List(rows.into_iter().flatten().collect()));
        }
        Ok(Node::Matrix(rows))
    }
}

/// Whether a word is the last of those that introduce a value.
fn introduces(word: &str) -> bool {
    matches!(word, "is" | "are" | "about" | "approximately" | "equals" | "约" | "大约")
        || word.ends_with(['是', '为'])
        || word.ends_with("等于")
}

/// Whether a word behind a value makes a statement of it, or a bound: `5 at least`.
fn bounds(word: &str) -> bool {
    const WORDS: [&str; 8] = ["is", "least", "most", "minimum", "maximum", "excluded", "inclusive", "exclusive"];
    WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// Whether a variable's name is that of a function, which in front of brackets is applied to what is in them.
fn is_function(name: &str) -> bool {
    name.starts_with(['f', 'g', 'h', 'F', 'G', 'H'])
        || ["\\phi", "\\varphi", "\\psi", "\\Phi", "\\Psi", "\\Gamma", "\\zeta", "\\Pr"].iter().any(|function| {
            name.strip_prefix(function).is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '\'']))
        })
}

/// Whether a variable's name is one capital letter, with or without an index.
fn is_label(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_uppercase()) && matches!(chars.next(), None | Some('_' | '\''))
}

/// The name of what square brackets do to what is in them, where they do not only group it.
pub(super) const INTEGER_PART: &str = "[]";

/// Two parts of a connection in which the order of parts does not count.
fn joined(sign: &str, left: Node, right: Node) -> Node {
    let mut parts = match left {
        Node::Apply(name, parts) if name == sign => parts,
        other => vec![other],
    };
    parts.push(right);
    parts.sort();
    Node::Apply(sign.to_string(), parts)
}

fn is_vector(node: &Node) -> bool {
    node.any(&|part| matches!(part, Node::Apply(name, _) if name == "\\vec" || name == "\\hat" || name == "×"))
}

/// Whether a node is a command of which it is not known what it does. Those for letters only name something.
fn is_unknown(node: &Node) -> bool {
    const LETTERS: [&str; 19] = [
        "mathbb ",
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
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu",
        "xi", "omicron", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
    ];
    let Node::Variable(name) = node else { return false };
    let Some(name) = name.strip_prefix('\\') else { return false };
    let name = name.split(['_', '\'']).next().unwrap_or_default();
    !(GREEK.iter().any(|letter| name.eq_ignore_ascii_case(letter))
        || LETTERS.iter().any(|known| name.starts_with(known)))
}

/// Whether `ending` is that of a number as an ordinal.
fn is_ordinal(number: &Number, ending: &str) -> bool {
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

/// The number of choices of k of n: without order for `C`, with it for `P` and `A`.
pub(super) fn selections(letter: char, n: Node, k: Node) -> Node {
    if letter == 'C' {
        return Node::Call(Function::Binomial, vec![n, k]);
    }
    let left = Node::Sum(vec![n.clone(), k.negative()]);
    let factorial = |n| Node::Call(Function::Factorial, vec![n]);
    factorial(n).over(factorial(left))
}

/// `C_8^2` and `A_8^2` of at least as many as are chosen.
fn counted_below(base: &Node, exponent: &Node) -> Option<Node> {
    let (Node::Variable(name), Node::Number { value: k, decimal: None }) = (base, exponent) else { return None };
    let (letter, n) = name.split_once('_')?;
    let letter = letter.chars().next().filter(|c| letter.len() == 1 && matches!(c, 'C' | 'A' | 'P'))?;
    let n = Number::from_integer(n.parse::<u32>().ok()?.into());
    let zero = Number::from_integer(0.into());
    (k.is_integer() && *k >= zero && *k <= n).then(|| selections(letter, Node::number(n), exponent.clone()))
}

fn is_transposition(base: &Node, exponent: &Node) -> bool {
    let is_t = matches!(exponent, Node::Variable(name) if name == "T" || name == "\\top" || name == "\\intercal");
    is_t && matches!(base, Node::Matrix(_) | Node::Group { .. })
}

/// A matrix with rows and columns exchanged; of a tuple the tuple, which is a column anyway.
fn transposed(node: Node) -> Node {
    let Node::Matrix(rows) = node else { return node };
    let width = rows.first().map_or(0, Vec::len);
    Node::Matrix((0..width).map(|column| rows.iter().map(|row| row[column].clone()).collect()).collect())
}

/// `x > a` and `x < b`, in either order and written either way, as `a < x < b`.
fn between(one: &Node, other: &Node) -> Option<Node> {
    // The bound, the name, and how the bound stands to the name.
    let bound = |node: &Node| {
        let Node::Chain { members, relations } = node else { return None };
        let ([left, right], [relation]) = (members.as_slice(), relations.as_slice()) else { return None };
        match subject(members)? {
            0 => Some((right.clone(), left.clone(), relation.reversed())),
            _ => Some((left.clone(), right.clone(), *relation)),
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

fn raise(base: Node, exponent: Option<Node>) -> Node {
    match exponent {
        Some(exponent) => base.power(exponent),
        None => base,
    }
}

/// Tokens as part of a name.
fn spelt(tokens: &[Token]) -> String {
    tokens.iter().map(spelling).collect()
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
