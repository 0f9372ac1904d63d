//! Brackets of all kinds, and matrices.

use super::commands::function;
use super::{Fault, Parsed, Parser};
use crate::verify::token::Token;
use crate::verify::tree::{Constant, Function, Node};

/// The name of what square brackets do to what is in them, where they do not only group it.
pub(in crate::verify) const INTEGER_PART: &str = "[]";

impl Parser<'_> {
    /// The absolute value, the length or the size of what stands between bars.
    fn between_bars(&mut self, bar: char) -> Parsed {
        self.bars += 1;
        let inner = self.deeper(Self::sets)?;
        self.bars -= 1;
        self.expect(bar)?;
        Ok(Node::Call(Function::Abs, vec![inner]))
    }

    pub(super) fn bracketed(&mut self, open: char) -> Parsed {
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
                    Ok([item])
                        if open == '[' && close == ']' && self.is_integer_part(start, &item) =>
                    {
                        Ok(Node::Apply(INTEGER_PART.to_string(), vec![item]))
                    }
                    Ok([item]) if matching => Ok(item),
                    Err(items) if items.len() > 1 => Ok(Node::Group { open, close, items }),
                    _ => Err(Fault::Unreadable),
                }
            }
            // `{}_8C_2`
            '{' if self.is('}')
                && matches!(self.tokens.get(self.at + 1), Some(Token::Symbol('^' | '_'))) =>
            {
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
                let is_system = |items: &[Node]| {
                    items.len() > 1 && items.iter().all(|item| matches!(item, Node::Chain { .. }))
                };
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
            bar @ ('‖' | '|') => self.between_bars(bar),
            '∅' => Ok(Node::Set(Vec::new())),
            '∞' => Ok(Node::Constant(Constant::Infinity)),
            '⌊' | '⌈' => {
                let inner = self.deeper(Self::sum)?;
                let (close, function) = if open == '⌊' {
                    ('⌋', Function::Floor)
                } else {
                    ('⌉', Function::Ceiling)
                };
                self.expect(close)?;
                Ok(Node::Call(function, vec![inner]))
            }
            _ => Err(Fault::Unreadable),
        }
    }

    /// Whether square brackets that begin at `start`, and are closed just before, take the integer
    /// part of what is in them. They only group where something has to be grouped: what has
    /// brackets of its own, an expression with an exponent, the argument of a function, or a sum
    /// that is a factor. Of numbers alone nobody would write them for anything else.
    fn is_integer_part(&self, start: usize, inner: &Node) -> bool {
        let has_brackets = self.tokens[start..self.at - 1].iter().any(|token| {
            matches!(token, Token::Symbol('(' | '[' | '⦃' | '|') | Token::BeginMatrix)
        });
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
            [
                Token::Letter(_),
                Token::Symbol('∈'),
                Token::Command(reals),
                Token::Symbol(':' | '|'),
                ..,
            ] if reals == "reals" => 4,
            _ => 0,
        };
        self.at += length;
        length > 0
    }

    /// Passes over the word in front of the condition of a case: `\text{if } x > 0`.
    fn skip_if(&mut self) {
        let is_if = self.word_at(self.at).is_some_and(|word| {
            matches!(
                word.as_str(),
                "if" | "when" | "for" | "where" | "若" | "当" | "如果" | "если" | "при"
            )
        });
        self.at += usize::from(is_if);
    }

    /// Rows up to the end of the environment; a product of it and a scalar is left as a product.
    pub(super) fn matrix(&mut self) -> Parsed {
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
                    if rows.last().is_some_and(|row| !row.is_empty()) {
                        self.skip_if();
                    }
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
