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

mod atoms;
mod brackets;
mod commands;
mod items;
mod moduli;
mod powers;
mod quantities;
mod sums;
mod words;

use super::budget::{Budget, Exhausted, MAX_DEPTH};
use super::token::Token;
use super::tree::Node;
pub(super) use brackets::INTEGER_PART;
pub(super) use items::introduces;
use moduli::with_one_modulus;
pub(super) use powers::selections;
use std::borrow::Cow;
pub(super) use words::{is_prose, words};

/// Why tokens do not make a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Their form is not understood.
    Unreadable,
    /// They are too much.
    Exhausted,
}

impl From<Exhausted> for Fault {
    fn from(_: Exhausted) -> Self {
        Self::Exhausted
    }
}

type Parsed<T = Node> = Result<T, Fault>;

/// The whole of `tokens` as an answer.
pub(super) fn parse(tokens: &[Token], budget: &mut Budget) -> Parsed {
    let has_equals = tokens.iter().any(is_equals);
    let mut parser = Parser {
        tokens: subscripts_first(tokens),
        at: 0,
        depth: 0,
        bars: 0,
        has_equals,
        labelled: false,
        budget,
    };
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

/// A whole answer `\overline{AB}`, or a side of one, is the segment AB. Within an expression the
/// line says something: `P(\overline{AB})`.
fn without_line(item: Node) -> Node {
    match item {
        Node::Apply(mark, mut arguments) if mark == "\\overline" => match arguments.pop() {
            Some(Node::Variable(name))
                if name.len() > 1 && name.bytes().all(|byte| byte.is_ascii_uppercase()) =>
            {
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
fn subscripts_first(tokens: &[Token]) -> Cow<'_, [Token]> {
    let has = |symbol| {
        tokens.iter().any(|token| matches!(token, Token::Symbol(other) if *other == symbol))
    };
    if !(has('_') && has('^')) {
        return Cow::Borrowed(tokens);
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
            (Token::Symbol('^'), Some(Token::Letter(_) | Token::Word(_) | Token::Command(_))) => {
                argument(at + 1)
            }
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
    Cow::Owned(ordered)
}

struct Parser<'a> {
    /// Those of the answer, copied where one of them has to be changed.
    tokens: Cow<'a, [Token]>,
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
}
