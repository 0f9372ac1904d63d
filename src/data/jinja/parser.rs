//! Tokens to statements and expressions, with Jinja's order of operations.

use super::fault::{Fault, Result};
use super::lexer::Token;
use super::syntax::{
    Arguments, Comparison, Expression, Kind, Link, Loop, Signature, Statement, Target,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How deep expressions and statements may be nested.
const MAX_NESTING: usize = 64;

/// A parsed template.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) statements: Vec<Statement>,
    /// Names that it reads.
    pub(super) names: BTreeSet<String>,
}

pub(super) fn parse(tokens: Vec<(Token, usize)>) -> Result<Parsed> {
    let mut parser = Parser { tokens, place: 0, nesting: 0, loops: 0, names: BTreeSet::new() };
    let statements = parser.statements(&[])?;
    Ok(Parsed { statements, names: parser.names })
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    place: usize,
    nesting: usize,
    /// Loops around the statement that is read.
    loops: usize,
    names: BTreeSet<String>,
}

/// Words that end a body, such as `endif`.
type Ends = &'static [&'static str];

impl Parser {
    fn token(&self) -> &Token {
        &self.tokens[self.place].0
    }

    fn ahead(&self) -> &Token {
        &self.tokens[(self.place + 1).min(self.tokens.len() - 1)].0
    }

    fn line(&self) -> usize {
        self.tokens[self.place].1
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.place].0.clone();
        if self.place + 1 < self.tokens.len() {
            self.place += 1;
        }
        token
    }

    fn fault<T>(&self, text: impl Into<String>) -> Result<T> {
        Err(Fault { line: Some(self.line()), text: text.into() })
    }

    fn unexpected<T>(&self, wanted: &str) -> Result<T> {
        let found = match self.token() {
            Token::Data(_) => "text".to_string(),
            Token::PrintBegin => "`{{`".to_string(),
            Token::PrintEnd => "`}}`".to_string(),
            Token::TagBegin => "`{%`".to_string(),
            Token::TagEnd => "`%}`".to_string(),
            Token::Name(name) => format!("`{name}`"),
            Token::Text(_) => "a text".to_string(),
            Token::Integer(_) | Token::Float(_) => "a number".to_string(),
            Token::Operator(operator) => format!("`{operator}`"),
            Token::End => "the end of the template".to_string(),
        };
        self.fault(format!("syntax error: {found} where {wanted} should stand"))
    }

    fn is(&self, operator: &str) -> bool {
        matches!(self.token(), Token::Operator(found) if *found == operator)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.token(), Token::Name(found) if found == name)
    }

    fn skip(&mut self, operator: &str) -> bool {
        let found = self.is(operator);
        if found {
            self.next();
        }
        found
    }

    fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, operator: &str) -> Result<()> {
        if self.skip(operator) { Ok(()) } else { self.unexpected(&format!("`{operator}`")) }
    }

    fn expect_name(&mut self, name: &str) -> Result<()> {
        if self.skip_name(name) { Ok(()) } else { self.unexpected(&format!("`{name}`")) }
    }

    fn name(&mut self) -> Result<String> {
        match self.token() {
            Token::Name(_) => match self.next() {
                Token::Name(name) => Ok(name),
                _ => self.unexpected("a name"),
            },
            _ => self.unexpected("a name"),
        }
    }

    /// Reads one level deeper.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.nesting == MAX_NESTING {
            return self.fault(format!("it is nested more than {MAX_NESTING} levels deep"));
        }
        self.nesting += 1;
        let found = read(self);
        self.nesting -= 1;
        found
    }

    /// Statements up to a tag with one of these words, of which the word is the next token; up to
    /// the end without words.
    fn statements(&mut self, ends: &[&str]) -> Result<Vec<Statement>> {
        let mut body = Vec::new();
        loop {
            match self.token() {
                Token::End if ends.is_empty() => return Ok(body),
                Token::End => {
                    return self.unexpected(&format!("`{{% {} %}}`", ends.join(" %}` or `{% ")));
                }
                Token::Data(_) => {
                    if let Token::Data(text) = self.next() {
                        body.push(Statement::Data(text));
                    }
                }
                Token::PrintBegin => {
                    self.next();
                    body.push(Statement::Print(self.tuple(true, None)?));
                    if *self.token() != Token::PrintEnd {
                        return self.unexpected("`}}`");
                    }
                    self.next();
                }
                Token::TagBegin => {
                    self.next();
                    if ends.iter().any(|end| self.is_name(end)) {
                        return Ok(body);
                    }
                    let statement = self.nested(Self::statement)?;
                    body.extend(statement);
                    self.tag_end()?;
                }
                _ => return self.unexpected("a statement"),
            }
        }
    }

    fn tag_end(&mut self) -> Result<()> {
        if *self.token() != Token::TagEnd {
            return self.unexpected("`%}`");
        }
        self.next();
        Ok(())
    }

    /// The body of a tag, up to one of these words.
    fn body(&mut self, ends: Ends) -> Result<Vec<Statement>> {
        self.skip(":");
        self.tag_end()?;
        self.statements(ends)
    }

    /// The body of a tag up to this word, which is passed.
    fn whole_body(&mut self, end: Ends) -> Result<Vec<Statement>> {
        let body = self.body(end)?;
        self.next();
        Ok(body)
    }

    fn statement(&mut self) -> Result<Vec<Statement>> {
        let line = self.line();
        let tag = self.name()?;
        let statement = match tag.as_str() {
            "if" => self.choice()?,
            "for" => self.for_loop(line)?,
            "set" => self.set()?,
            "macro" => {
                let name = self.name()?;
                let parameters = self.parameters()?;
                let body = self.outside_of_loops(|parser| parser.whole_body(&["endmacro"]))?;
                Statement::Macro(Arc::new(Signature { name, parameters, body }))
            }
            "call" => {
                let parameters = if self.is("(") { self.parameters()? } else { Vec::new() };
                let call = self.expression()?;
                if !matches!(&*call.kind, Kind::Chain(_, links) if matches!(links.last(), Some((_, Link::Call(_)))))
                {
                    return self.fault("syntax error: `call` takes a call, such as `call f()`");
                }
                let body = self.outside_of_loops(|parser| parser.whole_body(&["endcall"]))?;
                Statement::Call(
                    call,
                    Arc::new(Signature { name: "caller".to_string(), parameters, body }),
                )
            }
            "filter" => {
                let filters = self.filters(true)?;
                Statement::Filter(filters, self.whole_body(&["endfilter"])?)
            }
            "with" => {
                let mut values = Vec::new();
                while *self.token() != Token::TagEnd {
                    if !values.is_empty() {
                        self.expect(",")?;
                    }
                    let target = self.target(false)?;
                    self.expect("=")?;
                    values.push((target, self.expression()?));
                }
                Statement::With(values, self.whole_body(&["endwith"])?)
            }
            "generation" => Statement::Generation(
                self.outside_of_loops(|parser| parser.whole_body(&["endgeneration"]))?,
            ),
            "print" => {
                let mut all = Vec::new();
                while *self.token() != Token::TagEnd {
                    if !all.is_empty() {
                        self.expect(",")?;
                    }
                    all.push(Statement::Print(self.expression()?));
                }
                return Ok(all);
            }
            "break" | "continue" if self.loops == 0 => {
                return Err(Fault {
                    line: Some(line),
                    text: format!("`{tag}` stands outside of a loop"),
                });
            }
            "break" => Statement::Break,
            "continue" => Statement::Continue,
            _ => {
                let text = format!(
                    "the tag `{tag}` is not known; a prompt's template knows if, for, set, macro, \
                     call, filter, with, generation, raw, break and continue"
                );
                return Err(Fault { line: Some(line), text });
            }
        };
        Ok(vec![statement])
    }

    /// `break` and `continue` do not lead out of what `read` reads.
    fn outside_of_loops<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let loops = std::mem::take(&mut self.loops);
        let found = read(self);
        self.loops = loops;
        found
    }

    fn choice(&mut self) -> Result<Statement> {
        let mut branches = Vec::new();
        loop {
            let condition = self.tuple(false, None)?;
            branches.push((condition, self.body(&["elif", "else", "endif"])?));
            if self.skip_name("elif") {
                continue;
            }
            let otherwise =
                if self.skip_name("else") { self.body(&["endif"])? } else { Vec::new() };
            self.expect_name("endif")?;
            return Ok(Statement::If(branches, otherwise));
        }
    }

    fn for_loop(&mut self, line: usize) -> Result<Statement> {
        let target = self.target(false)?;
        self.expect_name("in")?;
        let items = self.tuple(false, Some("recursive"))?;
        let condition = if self.skip_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.skip_name("recursive");
        self.loops += 1;
        let body = self.body(&["endfor", "else"]);
        self.loops -= 1;
        let body = body?;
        let otherwise = if self.skip_name("else") { self.body(&["endfor"])? } else { Vec::new() };
        self.expect_name("endfor")?;
        Ok(Statement::For(Arc::new(Loop {
            line,
            target,
            items,
            condition,
            recursive,
            body,
            otherwise,
        })))
    }

    fn set(&mut self) -> Result<Statement> {
        let target = self.target(true)?;
        if self.skip("=") {
            return Ok(Statement::Set(target, self.tuple(true, None)?));
        }
        let filters = self.filters(false)?;
        Ok(Statement::SetBlock(target, filters, self.whole_body(&["endset"])?))
    }

    fn target(&mut self, with_attributes: bool) -> Result<Target> {
        let mut all = Vec::new();
        let mut is_several = false;
        loop {
            let one = if self.skip("(") {
                let inner = self.nested(|parser| parser.target(with_attributes))?;
                self.expect(")")?;
                inner
            } else {
                let name = self.name()?;
                if matches!(name.as_str(), "true" | "false" | "none" | "True" | "False" | "None") {
                    return self.fault(format!("syntax error: `{name}` cannot be set"));
                }
                if with_attributes && self.skip(".") {
                    self.names.insert(name.clone());
                    Target::Attribute(name, self.name()?)
                } else {
                    Target::Name(name)
                }
            };
            all.push(one);
            if !self.skip(",") {
                break;
            }
            is_several = true;
            if !(self.is("(") || matches!(self.token(), Token::Name(name) if name != "in")) {
                break;
            }
        }
        match all.pop() {
            Some(one) if !is_several => Ok(one),
            last => {
                all.extend(last);
                Ok(Target::Several(all))
            }
        }
    }

    fn parameters(&mut self) -> Result<Vec<(String, Option<Expression>)>> {
        self.expect("(")?;
        let mut all: Vec<(String, Option<Expression>)> = Vec::new();
        while !self.is(")") {
            if !all.is_empty() {
                self.expect(",")?;
            }
            let name = self.name()?;
            let default = if self.skip("=") { Some(self.expression()?) } else { None };
            if default.is_none() && all.last().is_some_and(|(_, default)| default.is_some()) {
                return self.fault(
                    "syntax error: a parameter without a default value after one that has one",
                );
            }
            all.push((name, default));
        }
        self.expect(")")?;
        Ok(all)
    }

    fn made(line: usize, kind: Kind) -> Expression {
        Expression { line, kind: Box::new(kind) }
    }

    /// An expression, or several with commas between them.
    fn tuple(&mut self, with_choice: bool, end: Option<&str>) -> Result<Expression> {
        let line = self.line();
        let mut all = Vec::new();
        let mut is_tuple = false;
        loop {
            let ends = matches!(self.token(), Token::PrintEnd | Token::TagEnd) || self.is(")");
            if ends || end.is_some_and(|end| self.is_name(end)) {
                break;
            }
            all.push(if with_choice { self.expression()? } else { self.nested(Self::or)? });
            if !self.skip(",") {
                break;
            }
            is_tuple = true;
        }
        match all.pop() {
            Some(one) if !is_tuple => Ok(one),
            None => self.unexpected("an expression"),
            last => {
                all.extend(last);
                Ok(Self::made(line, Kind::Tuple(all)))
            }
        }
    }

    fn expression(&mut self) -> Result<Expression> {
        self.nested(Self::condition)
    }

    fn condition(&mut self) -> Result<Expression> {
        let line = self.line();
        let mut then = self.or()?;
        while self.skip_name("if") {
            let condition = self.or()?;
            let otherwise = if self.skip_name("else") { Some(self.expression()?) } else { None };
            then = Self::made(line, Kind::Choice { condition, then, otherwise });
            if matches!(&*then.kind, Kind::Choice { otherwise: None, .. }) && self.is_name("if") {
                return self.fault("syntax error: a second `if` without an `else` before it");
            }
        }
        Ok(then)
    }

    fn or(&mut self) -> Result<Expression> {
        let line = self.line();
        let mut all = vec![self.and()?];
        while self.skip_name("or") {
            all.push(self.and()?);
        }
        Ok(one_or(all, |all| Self::made(line, Kind::Or(all))))
    }

    fn and(&mut self) -> Result<Expression> {
        let line = self.line();
        let mut all = vec![self.not()?];
        while self.skip_name("and") {
            all.push(self.not()?);
        }
        Ok(one_or(all, |all| Self::made(line, Kind::And(all))))
    }

    fn not(&mut self) -> Result<Expression> {
        let line = self.line();
        let mut count = 0_usize;
        while self.skip_name("not") {
            count += 1;
        }
        let mut value = self.compared()?;
        // Twice not makes a truth value of the value; more say nothing new.
        for _ in 0..if count < 2 { count } else { 2 - count % 2 } {
            value = Self::made(line, Kind::Not(value));
        }
        Ok(value)
    }

    fn compared(&mut self) -> Result<Expression> {
        let line = self.line();
        let first = self.sum()?;
        let mut rest = Vec::new();
        loop {
            let comparison = match self.token() {
                Token::Operator("==") => Comparison::Equal,
                Token::Operator("!=") => Comparison::Unequal,
                Token::Operator("<") => Comparison::Less,
                Token::Operator("<=") => Comparison::LessOrEqual,
                Token::Operator(">") => Comparison::Greater,
                Token::Operator(">=") => Comparison::GreaterOrEqual,
                Token::Name(name) if name == "in" => Comparison::In,
                Token::Name(name)
                    if name == "not"
                        && matches!(self.ahead(), Token::Name(name) if name == "in") =>
                {
                    self.next();
                    Comparison::NotIn
                }
                _ => break,
            };
            self.next();
            rest.push((comparison, self.sum()?));
        }
        Ok(if rest.is_empty() { first } else { Self::made(line, Kind::Compared(first, rest)) })
    }

    fn arithmetic(
        &mut self,
        operators: &[&'static str],
        operand: fn(&mut Self) -> Result<Expression>,
    ) -> Result<Expression> {
        let line = self.line();
        let first = operand(self)?;
        let mut rest = Vec::new();
        while let Some(operator) = operators.iter().find(|operator| self.is(operator)) {
            self.next();
            rest.push((*operator, operand(self)?));
        }
        Ok(if rest.is_empty() { first } else { Self::made(line, Kind::Arithmetic(first, rest)) })
    }

    fn sum(&mut self) -> Result<Expression> {
        self.arithmetic(&["+", "-"], Self::joined)
    }

    fn joined(&mut self) -> Result<Expression> {
        let line = self.line();
        let mut all = vec![self.product()?];
        while self.skip("~") {
            all.push(self.product()?);
        }
        Ok(one_or(all, |all| Self::made(line, Kind::Joined(all))))
    }

    fn product(&mut self) -> Result<Expression> {
        self.arithmetic(&["*", "/", "//", "%"], Self::power)
    }

    fn power(&mut self) -> Result<Expression> {
        self.arithmetic(&["**"], |parser| parser.unary(true))
    }

    fn unary(&mut self, with_filters: bool) -> Result<Expression> {
        let line = self.line();
        let value = if self.skip("-") {
            Self::made(line, Kind::Negative(self.nested(|parser| parser.unary(false))?))
        } else if self.skip("+") {
            Self::made(line, Kind::Positive(self.nested(|parser| parser.unary(false))?))
        } else {
            self.primary()?
        };
        let mut links = self.postfix()?;
        if with_filters {
            loop {
                let line = self.line();
                if self.is("|") {
                    links.extend(self.filters(false)?);
                } else if self.is_name("is") {
                    links.push((line, self.test()?));
                } else if self.is("(") {
                    links.push((line, Link::Call(self.arguments()?)));
                } else {
                    break;
                }
            }
        }
        Ok(if links.is_empty() { value } else { Self::made(line, Kind::Chain(value, links)) })
    }

    fn postfix(&mut self) -> Result<Vec<(usize, Link)>> {
        let mut links = Vec::new();
        loop {
            let line = self.line();
            let link = if self.skip(".") {
                match self.next() {
                    Token::Name(name) => Link::Attribute(name),
                    Token::Integer(place) => Link::Item(Self::made(line, Kind::Integer(place))),
                    _ => return self.unexpected("a name or a place"),
                }
            } else if self.skip("[") {
                let link = self.subscript()?;
                self.expect("]")?;
                link
            } else if self.is("(") {
                Link::Call(self.arguments()?)
            } else {
                return Ok(links);
            };
            links.push((line, link));
        }
    }

    fn subscript(&mut self) -> Result<Link> {
        let mut parts = [None, None, None];
        let mut count = 0;
        for part in &mut parts {
            if !self.is(":") && !self.is("]") {
                *part = Some(self.expression()?);
            }
            if !self.skip(":") {
                break;
            }
            count += 1;
        }
        match (count, parts) {
            (0, [Some(place), _, _]) => Ok(Link::Item(place)),
            (0, _) => self.unexpected("a place"),
            (_, parts) => Ok(Link::Slice(Box::new(parts))),
        }
    }

    fn primary(&mut self) -> Result<Expression> {
        let line = self.line();
        let kind = match self.token() {
            Token::Name(_) => {
                let name = self.name()?;
                match name.as_str() {
                    "true" | "True" => Kind::Bool(true),
                    "false" | "False" => Kind::Bool(false),
                    "none" | "None" => Kind::None,
                    _ => {
                        self.names.insert(name.clone());
                        Kind::Name(name)
                    }
                }
            }
            Token::Text(_) => {
                let mut text = String::new();
                while matches!(self.token(), Token::Text(_)) {
                    if let Token::Text(part) = self.next() {
                        text.push_str(&part);
                    }
                }
                Kind::Text(text)
            }
            Token::Integer(number) => {
                let number = *number;
                self.next();
                Kind::Integer(number)
            }
            Token::Float(number) => {
                let number = *number;
                self.next();
                Kind::Float(number)
            }
            Token::Operator("(") => {
                self.next();
                if self.skip(")") {
                    Kind::Tuple(Vec::new())
                } else {
                    let inner = self.tuple(true, None)?;
                    self.expect(")")?;
                    return Ok(inner);
                }
            }
            Token::Operator("[") => {
                self.next();
                let mut all = Vec::new();
                while !self.is("]") {
                    all.push(self.expression()?);
                    if !self.skip(",") {
                        break;
                    }
                }
                self.expect("]")?;
                Kind::List(all)
            }
            Token::Operator("{") => {
                self.next();
                let mut all = Vec::new();
                while !self.is("}") {
                    let key = self.expression()?;
                    self.expect(":")?;
                    all.push((key, self.expression()?));
                    if !self.skip(",") {
                        break;
                    }
                }
                self.expect("}")?;
                Kind::Dict(all)
            }
            _ => return self.unexpected("a value"),
        };
        Ok(Self::made(line, kind))
    }

    fn arguments(&mut self) -> Result<Arguments> {
        self.expect("(")?;
        let mut arguments = Arguments::default();
        while !self.is(")") {
            let is_named =
                matches!((self.token(), self.ahead()), (Token::Name(_), Token::Operator("=")));
            if self.skip("*") {
                arguments.spread = Some(self.expression()?);
            } else if self.skip("**") {
                arguments.spread_named = Some(self.expression()?);
            } else if is_named {
                let name = self.name()?;
                self.next();
                arguments.named.push((name, self.expression()?));
            } else if arguments.named.is_empty()
                && arguments.spread.is_none()
                && arguments.spread_named.is_none()
            {
                arguments.plain.push(self.expression()?);
            } else {
                return self
                    .fault("syntax error: an argument without a name after one with a name");
            }
            if !self.skip(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(arguments)
    }

    /// `|one|two(3)`; the first one without its bar where it `is_open` already.
    fn filters(&mut self, mut is_open: bool) -> Result<Vec<(usize, Link)>> {
        let mut filters = Vec::new();
        while is_open || self.skip("|") {
            is_open = false;
            let line = self.line();
            let name = self.dotted()?;
            let arguments = if self.is("(") { self.arguments()? } else { Arguments::default() };
            filters.push((line, Link::Filter(name, arguments)));
        }
        Ok(filters)
    }

    fn dotted(&mut self) -> Result<String> {
        let mut name = self.name()?;
        while self.skip(".") {
            name = format!("{name}.{}", self.name()?);
        }
        Ok(name)
    }

    fn test(&mut self) -> Result<Link> {
        self.expect_name("is")?;
        let negated = self.skip_name("not");
        let name = self.dotted()?;
        let mut arguments = Arguments::default();
        let line = self.line();
        let takes_one = match self.token() {
            Token::Name(name) => !matches!(name.as_str(), "else" | "or" | "and"),
            Token::Text(_) | Token::Integer(_) | Token::Float(_) | Token::Operator("[" | "{") => {
                true
            }
            _ => false,
        };
        if self.is("(") {
            arguments = self.arguments()?;
        } else if takes_one {
            if self.is_name("is") {
                return self.fault("syntax error: two tests in a row");
            }
            // `x is defined if ...`: a word of the language is not a value.
            let value = self.primary()?;
            let links = self.postfix()?;
            let value =
                if links.is_empty() { value } else { Self::made(line, Kind::Chain(value, links)) };
            arguments.plain.push(value);
        }
        Ok(Link::Test { name, arguments, negated })
    }
}

fn one_or(
    mut all: Vec<Expression>,
    several: impl FnOnce(Vec<Expression>) -> Expression,
) -> Expression {
    match all.pop() {
        Some(one) if all.is_empty() => one,
        last => {
            all.extend(last);
            several(all)
        }
    }
}
