//! Runs a template: statements to text, expressions to values.

use super::arguments::CallArguments;
use super::budget::Budget;
use super::fault::{Fault, Result};
use super::syntax::{Arguments, Comparison, Expression, Kind, Link, Loop, Statement, Target};
use super::value::{Dict, Items, LoopState, Macro, Outcome, Scope, Value};
use super::{methods, python};
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;

/// How deep statements, expressions and macros may be within each other while they run.
const MAX_DEPTH: usize = 300;

/// Most bytes of a text: a million tokens or so.
const MAX_TEXT: usize = 4 << 20;

#[derive(Clone, Copy, PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// Functions that every template has.
pub(super) const FUNCTIONS: [&str; 7] =
    ["range", "dict", "namespace", "cycler", "joiner", "raise_exception", "strftime_now"];

pub(super) struct Machine<'n> {
    pub(super) budget: Budget,
    depth: Cell<usize>,
    now: &'n dyn Fn(&str) -> Result<String, String>,
}

/// Gives a fault the line of what was running.
fn at<T>(line: usize, outcome: Outcome<T>) -> Result<T> {
    outcome.map_err(|text| Fault { line: Some(line), text })
}

impl<'n> Machine<'n> {
    pub(super) fn new(strict: bool, now: &'n dyn Fn(&str) -> Result<String, String>) -> Self {
        Self { budget: Budget::new(strict), depth: Cell::new(0), now }
    }

    pub(super) fn run(
        &self,
        statements: &[Statement],
        variables: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<String> {
        let functions = Scope::default();
        for name in FUNCTIONS {
            functions.set(name, Value::Function(name));
        }
        let arguments = Scope::within(&Rc::new(functions));
        for (name, value) in variables {
            arguments.set(&name, value);
        }
        let mut out = String::new();
        self.all(statements, &Scope::within(&arguments), &mut out)?;
        if out.len() > MAX_TEXT {
            let text = format!("it makes a text of {} bytes; {MAX_TEXT} are the most", out.len());
            return Err(Fault { line: None, text });
        }
        Ok(out)
    }

    /// Runs something one level deeper.
    fn deeper<T>(&self, line: usize, run: impl FnOnce() -> Result<T>) -> Result<T> {
        at(line, self.budget.spend(16))?;
        if self.depth.get() == MAX_DEPTH {
            let text =
                format!("statements and macros are more than {MAX_DEPTH} levels within each other");
            return Err(Fault { line: Some(line), text });
        }
        self.depth.set(self.depth.get() + 1);
        let result = run();
        self.depth.set(self.depth.get() - 1);
        result
    }

    fn write(&self, line: usize, text: &str, out: &mut String) -> Result<()> {
        at(line, self.budget.spend(text.len() as u64))?;
        out.push_str(text);
        Ok(())
    }

    fn all(&self, statements: &[Statement], scope: &Rc<Scope>, out: &mut String) -> Result<Flow> {
        for statement in statements {
            let flow =
                self.deeper(0, || self.statement(statement, scope, out)).map_err(|mut fault| {
                    fault.line = fault.line.filter(|line| *line > 0);
                    fault
                })?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn statement(
        &self,
        statement: &Statement,
        scope: &Rc<Scope>,
        out: &mut String,
    ) -> Result<Flow> {
        match statement {
            Statement::Data(text) => self.write(0, text, out)?,
            Statement::Print(expression) => {
                let value = self.value(expression, scope)?;
                let text = at(expression.line, python::str_of(&value, &self.budget))?;
                out.push_str(&text);
            }
            Statement::If(branches, otherwise) => {
                for (condition, body) in branches {
                    if self.is_true(condition, scope)? {
                        return self.all(body, scope, out);
                    }
                }
                return self.all(otherwise, scope, out);
            }
            Statement::For(body) => {
                let items = self.value(&body.items, scope)?;
                self.for_each(body, items, scope, 0, out)?;
            }
            Statement::Set(target, expression) => {
                let value = self.value(expression, scope)?;
                at(expression.line, self.assign(target, value, scope))?;
            }
            Statement::SetBlock(target, filters, body) => {
                let text = self.captured(body, &Scope::within(scope))?;
                let value = self.links(Value::text(&text), filters, scope)?;
                at(0, self.assign(target, value, scope))?;
            }
            Statement::Macro(signature) => {
                let made = Macro { signature: signature.clone(), scope: Rc::downgrade(scope) };
                scope.set(&signature.name, Value::Macro(Rc::new(made)));
            }
            Statement::Call(call, signature) => {
                let Kind::Chain(first, links) = &*call.kind else { return Ok(Flow::Next) };
                let Some((last, before)) = links.split_last() else { return Ok(Flow::Next) };
                let (line, Link::Call(arguments)) = last else { return Ok(Flow::Next) };
                let called = self.links(self.value(first, scope)?, before, scope)?;
                let mut arguments = self.arguments(*line, arguments, scope)?;
                let caller = Macro { signature: signature.clone(), scope: Rc::downgrade(scope) };
                arguments.named.push(("caller".to_string(), Value::Macro(Rc::new(caller))));
                let value = self.call(*line, called, arguments)?;
                out.push_str(&at(*line, python::str_of(&value, &self.budget))?);
            }
            Statement::Filter(filters, body) => {
                let text = self.captured(body, &Scope::within(scope))?;
                let value = self.links(Value::text(&text), filters, scope)?;
                out.push_str(&at(0, python::str_of(&value, &self.budget))?);
            }
            Statement::With(values, body) => {
                let inner = Scope::within(scope);
                for (target, expression) in values {
                    let value = self.value(expression, scope)?;
                    at(expression.line, self.assign(target, value, &inner))?;
                }
                return self.all(body, &inner, out);
            }
            Statement::Generation(body) => {
                self.all(body, &Scope::within(scope), out)?;
            }
            Statement::Break => return Ok(Flow::Break),
            Statement::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn captured(&self, body: &[Statement], scope: &Rc<Scope>) -> Result<String> {
        let mut text = String::new();
        self.all(body, scope, &mut text)?;
        Ok(text)
    }

    fn for_each(
        &self,
        body: &Arc<Loop>,
        items: Value,
        scope: &Rc<Scope>,
        depth: usize,
        out: &mut String,
    ) -> Result<()> {
        let line = body.line;
        if self.budget.strict && items.is_undefined() {
            at(line, self.known(&items))?;
        }
        let mut items = at(line, items.items(&self.budget))?;
        if let Some(condition) = &body.condition {
            let mut kept = Vec::new();
            for item in items {
                let inner = Scope::within(scope);
                at(line, self.assign(&body.target, item.clone(), &inner))?;
                if self.is_true(condition, &inner)? {
                    kept.push(item);
                }
            }
            items = kept;
        }
        if items.is_empty() {
            self.all(&body.otherwise, &Scope::within(scope), out)?;
            return Ok(());
        }
        let state = Rc::new(LoopState {
            body: body.clone(),
            scope: Rc::downgrade(scope),
            items: Rc::new(items),
            index: Cell::new(0),
            depth,
            changed: RefCell::default(),
        });
        for (index, item) in state.items.iter().enumerate() {
            state.index.set(index);
            at(line, self.budget.spend(16))?;
            let inner = Scope::within(scope);
            inner.set("loop", Value::Loop(state.clone()));
            at(line, self.assign(&body.target, item.clone(), &inner))?;
            if self.all(&body.body, &inner, out)? == Flow::Break {
                break;
            }
        }
        Ok(())
    }

    fn assign(&self, target: &Target, value: Value, scope: &Scope) -> Outcome<()> {
        match target {
            Target::Name(name) => scope.set(name, value),
            Target::Attribute(name, attribute) => match scope.get(name) {
                Some(Value::Namespace(dict)) => {
                    dict.borrow_mut().set(Value::text(attribute), value, &self.budget)?;
                }
                _ => {
                    return Err(format!(
                        "`{name}` is not a namespace, so `{name}.{attribute}` cannot be set"
                    ));
                }
            },
            Target::Several(targets) => {
                let values = value.items(&self.budget)?;
                if values.len() != targets.len() {
                    return Err(format!(
                        "{} values where {} names are set",
                        values.len(),
                        targets.len()
                    ));
                }
                for (target, value) in targets.iter().zip(values) {
                    self.assign(target, value, scope)?;
                }
            }
        }
        Ok(())
    }

    /// Refuses what stands for nothing where that is a fault.
    fn known(&self, value: &Value) -> Outcome<()> {
        match value {
            Value::Undefined(name) if self.budget.strict => Err(format!("undefined value: {name}")),
            _ => Ok(()),
        }
    }

    fn is_true(&self, expression: &Expression, scope: &Rc<Scope>) -> Result<bool> {
        let value = self.value(expression, scope)?;
        at(expression.line, self.known(&value))?;
        Ok(value.is_true())
    }

    fn value(&self, expression: &Expression, scope: &Rc<Scope>) -> Result<Value> {
        self.deeper(expression.line, || self.evaluate(expression, scope))
    }

    fn values(&self, expressions: &[Expression], scope: &Rc<Scope>) -> Result<Vec<Value>> {
        expressions.iter().map(|expression| self.value(expression, scope)).collect()
    }

    fn evaluate(&self, expression: &Expression, scope: &Rc<Scope>) -> Result<Value> {
        let line = expression.line;
        Ok(match &*expression.kind {
            Kind::None => Value::None,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Integer(number) => Value::Integer(*number),
            Kind::Float(number) => Value::Float(*number),
            Kind::Text(text) => {
                at(line, self.budget.spend(text.len() as u64))?;
                Value::text(text)
            }
            Kind::Name(name) => {
                scope.get(name).unwrap_or_else(|| Value::Undefined(name.as_str().into()))
            }
            Kind::List(items) => {
                at(line, self.budget.made(self.values(items, scope)?).and_then(Value::list))?
            }
            Kind::Tuple(items) => {
                at(line, self.budget.made(self.values(items, scope)?).and_then(Value::tuple))?
            }
            Kind::Dict(entries) => {
                let mut values = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    values.push((self.value(key, scope)?, self.value(value, scope)?));
                }
                Value::Dict(Rc::new(at(line, Dict::new(values, &self.budget))?))
            }
            Kind::Choice { condition, then, otherwise } => {
                match (self.is_true(condition, scope)?, otherwise) {
                    (true, _) => self.value(then, scope)?,
                    (false, Some(otherwise)) => self.value(otherwise, scope)?,
                    (false, None) => Value::Undefined("an `if` without `else`".into()),
                }
            }
            Kind::Or(all) => self.first_that(all, true, scope)?,
            Kind::And(all) => self.first_that(all, false, scope)?,
            Kind::Not(inner) => Value::Bool(!self.is_true(inner, scope)?),
            Kind::Negative(inner) => {
                let value = self.value(inner, scope)?;
                at(line, negative(&value))?
            }
            Kind::Positive(inner) => {
                let value = self.value(inner, scope)?;
                let is_number = value.as_float().is_some();
                at(
                    line,
                    if is_number { Ok(()) } else { Err(format!("`+` of a {}", value.kind())) },
                )?;
                value.as_integer().map_or(value, Value::Integer)
            }
            Kind::Arithmetic(first, rest) => {
                let mut value = self.value(first, scope)?;
                for (operator, other) in rest {
                    let other = self.value(other, scope)?;
                    value = at(line, self.arithmetic(operator, &value, &other))?;
                }
                value
            }
            Kind::Joined(all) => {
                let mut text = python::Paid::new(&self.budget);
                for value in self.values(all, scope)? {
                    let part = at(line, python::str_of(&value, &self.budget))?;
                    at(line, text.push(&part))?;
                }
                Value::text(&text.text)
            }
            Kind::Compared(first, rest) => {
                let mut left = self.value(first, scope)?;
                for (comparison, right) in rest {
                    let right = self.value(right, scope)?;
                    if !at(line, self.compared(*comparison, &left, &right))? {
                        return Ok(Value::Bool(false));
                    }
                    left = right;
                }
                Value::Bool(true)
            }
            Kind::Chain(first, links) => self.links(self.value(first, scope)?, links, scope)?,
        })
    }

    /// The first value whose truth is as said, or the last one.
    fn first_that(&self, all: &[Expression], truth: bool, scope: &Rc<Scope>) -> Result<Value> {
        let mut last = Value::None;
        for expression in all {
            last = self.value(expression, scope)?;
            at(expression.line, self.known(&last))?;
            if last.is_true() == truth {
                break;
            }
        }
        Ok(last)
    }

    fn compared(&self, comparison: Comparison, left: &Value, right: &Value) -> Outcome<bool> {
        self.known(left)?;
        self.known(right)?;
        let budget = &self.budget;
        let order = || left.order(right, budget);
        Ok(match comparison {
            Comparison::Equal => left.equals(right, budget)?,
            Comparison::Unequal => !left.equals(right, budget)?,
            Comparison::Less => order()? == Some(Ordering::Less),
            Comparison::LessOrEqual => matches!(order()?, Some(Ordering::Less | Ordering::Equal)),
            Comparison::Greater => order()? == Some(Ordering::Greater),
            Comparison::GreaterOrEqual => {
                matches!(order()?, Some(Ordering::Greater | Ordering::Equal))
            }
            Comparison::In => right.contains(left, budget)?,
            Comparison::NotIn => !right.contains(left, budget)?,
        })
    }

    fn links(&self, mut value: Value, links: &[(usize, Link)], scope: &Rc<Scope>) -> Result<Value> {
        for (line, link) in links {
            let line = *line;
            value = self.deeper(line, || match link {
                Link::Attribute(name) => at(line, self.attribute(&value, name)),
                Link::Item(place) => {
                    let place = self.value(place, scope)?;
                    at(line, self.item(&value, &place))
                }
                Link::Slice(parts) => {
                    let mut bounds = [None, None, None];
                    for (bound, part) in bounds.iter_mut().zip(parts.iter()) {
                        let Some(part) = part else { continue };
                        let found = self.value(part, scope)?;
                        *bound = match found {
                            Value::None => None,
                            found => Some(at(
                                line,
                                found.as_integer().ok_or("a slice takes whole numbers".into()),
                            )?),
                        };
                    }
                    at(line, self.slice(&value, bounds))
                }
                Link::Call(arguments) => {
                    let arguments = self.arguments(line, arguments, scope)?;
                    self.call(line, value.clone(), arguments)
                }
                Link::Filter(name, arguments) => {
                    let arguments = self.arguments(line, arguments, scope)?;
                    at(line, self.filter(name, value.clone(), arguments))
                }
                Link::Test { name, arguments, negated } => {
                    let arguments = self.arguments(line, arguments, scope)?;
                    let found = at(line, self.test(name, &value, arguments))?;
                    Ok(Value::Bool(found != *negated))
                }
            })?;
        }
        Ok(value)
    }

    fn arguments(
        &self,
        line: usize,
        arguments: &Arguments,
        scope: &Rc<Scope>,
    ) -> Result<CallArguments> {
        let mut given =
            CallArguments { positional: self.values(&arguments.plain, scope)?, named: Vec::new() };
        if let Some(spread) = &arguments.spread {
            let values = self.value(spread, scope)?;
            given.positional.extend(at(line, values.items(&self.budget))?);
        }
        for (name, value) in &arguments.named {
            given.named.push((name.clone(), self.value(value, scope)?));
        }
        if let Some(spread) = &arguments.spread_named {
            let Value::Dict(dict) = self.value(spread, scope)? else {
                return Err(Fault {
                    line: Some(line),
                    text: "`**` takes a dictionary".to_string(),
                });
            };
            for (key, value) in &dict.entries {
                let name = at(line, python::str_of(key, &self.budget))?;
                given.named.push((name.to_string(), value.clone()));
            }
        }
        Ok(given)
    }

    fn call(&self, line: usize, called: Value, arguments: CallArguments) -> Result<Value> {
        match called {
            Value::Macro(made) => self.call_macro(line, &made, arguments),
            Value::Method(method) => {
                at(line, methods::call(&self.budget, &method.0, method.1, arguments))
            }
            Value::Function(name) => at(line, self.function(name, arguments)),
            Value::Joiner(joiner) => {
                let used = joiner.1.replace(true);
                Ok(if used { Value::Text(joiner.0.clone()) } else { Value::text("") })
            }
            Value::Loop(state) => {
                let [items] = at(line, arguments.bind("loop", ["items"]))?;
                let (Some(scope), true) = (state.scope.upgrade(), state.body.recursive) else {
                    let text =
                        "`loop(..)` stands outside of a loop that is `recursive`".to_string();
                    return Err(Fault { line: Some(line), text });
                };
                let mut text = String::new();
                let items = items.unwrap_or(Value::None);
                self.deeper(line, || {
                    self.for_each(&state.body, items, &scope, state.depth + 1, &mut text)
                })?;
                Ok(Value::text(&text))
            }
            Value::Undefined(name) => {
                Err(Fault { line: Some(line), text: format!("unknown function `{name}`") })
            }
            other => Err(Fault {
                line: Some(line),
                text: format!("a {} cannot be called", other.kind()),
            }),
        }
    }

    fn call_macro(&self, line: usize, made: &Macro, mut arguments: CallArguments) -> Result<Value> {
        let signature = &*made.signature;
        let fault = |text: String| Fault { line: Some(line), text };
        let around = made.scope.upgrade();
        let around = around.ok_or_else(|| {
            fault(format!("the macro `{}` is not there any more", signature.name))
        })?;
        let scope = Scope::within(&around);
        let is_caller = |(name, _): &(String, Value)| name == "caller";
        if !signature.parameters.iter().any(|(name, _)| name == "caller") {
            let caller = arguments
                .named
                .iter()
                .position(is_caller)
                .map(|place| arguments.named.remove(place).1);
            scope.set("caller", caller.unwrap_or_else(|| Value::Undefined("caller".into())));
        }
        let mut positional = arguments.positional.into_iter();
        for (name, default) in &signature.parameters {
            let named = arguments.named.iter().position(|(given, _)| given == name);
            let value = match (positional.next(), named) {
                (Some(_), Some(_)) => {
                    return Err(fault(format!("the argument `{name}` is there twice")));
                }
                (Some(value), None) => value,
                (None, Some(place)) => arguments.named.remove(place).1,
                (None, None) => match default {
                    Some(default) => self.value(default, &scope)?,
                    None => Value::Undefined(name.as_str().into()),
                },
            };
            scope.set(name, value);
        }
        let rest = at(line, Value::tuple(positional.collect()))?;
        let named =
            arguments.named.into_iter().map(|(name, value)| (Value::text(&name), value)).collect();
        let named = at(line, Dict::new(named, &self.budget))?;
        scope.set("varargs", rest);
        scope.set("kwargs", Value::Dict(Rc::new(named)));
        let text = self.captured(&signature.body, &scope)?;
        Ok(Value::text(&text))
    }

    fn function(&self, name: &str, arguments: CallArguments) -> Outcome {
        match name {
            "range" => {
                let numbers: Option<Vec<i128>> =
                    arguments.positional.iter().map(Value::as_integer).collect();
                let (first, end, step) = match numbers.as_deref() {
                    Some([end]) => (0, *end, 1),
                    Some([first, end]) => (*first, *end, 1),
                    Some([first, end, step]) if *step != 0 => (*first, *end, *step),
                    _ => return Err("`range` takes one to three whole numbers".to_string()),
                };
                let gap =
                    if step > 0 { end.saturating_sub(first) } else { first.saturating_sub(end) };
                let count = if gap <= 0 { 0 } else { (gap - 1) / step.saturating_abs() + 1 };
                if count > 100_000 {
                    return Err(format!("a range of {count} numbers; 100000 is the most"));
                }
                let items = self
                    .budget
                    .made((0..count).map(|n| Value::Integer(first + n * step)).collect())?;
                Ok(Value::View("range", Rc::new(Items::new(items)?)))
            }
            "dict" | "namespace" => {
                let mut dict = Dict::default();
                for value in arguments.positional {
                    match value {
                        Value::Dict(other) => {
                            for (key, value) in &other.entries {
                                dict.set(key.clone(), value.clone(), &self.budget)?;
                            }
                        }
                        other => {
                            for pair in other.items(&self.budget)? {
                                let pair = pair.items(&self.budget)?;
                                let [key, value] = pair.as_slice() else {
                                    return Err(format!("`{name}` takes dictionaries and pairs"));
                                };
                                dict.set(key.clone(), value.clone(), &self.budget)?;
                            }
                        }
                    }
                }
                for (key, value) in arguments.named {
                    dict.set(Value::text(&key), value, &self.budget)?;
                }
                Ok(match name {
                    "dict" => Value::Dict(Rc::new(dict)),
                    _ => Value::Namespace(Rc::new(RefCell::new(dict))),
                })
            }
            "cycler" => {
                if arguments.positional.is_empty() {
                    return Err("`cycler` takes at least one value".to_string());
                }
                Ok(Value::Cycler(Rc::new((Items::new(arguments.positional)?, RefCell::new(0)))))
            }
            "joiner" => {
                let [separator] = arguments.bind(name, ["sep"])?;
                let separator = separator
                    .map_or(Ok(", ".into()), |text| python::str_of(&text, &self.budget))?;
                Ok(Value::Joiner(Rc::new((separator, RefCell::new(false)))))
            }
            "raise_exception" => {
                let [message] = arguments.bind(name, ["message"])?;
                let message = python::str_of(&message.unwrap_or(Value::None), &self.budget)?;
                Err(message.chars().take(500).collect())
            }
            _ => {
                let [format] = arguments.bind(name, ["format"])?;
                let format = format
                    .as_ref()
                    .and_then(Value::as_text)
                    .ok_or("`strftime_now` takes a format")?;
                self.budget.spend(format.len() as u64)?;
                if format.len() > 200 {
                    return Err("`strftime_now` with a format of more than 200 bytes".to_string());
                }
                let text = (self.now)(format)?;
                Ok(Value::text(&text))
            }
        }
    }

    /// `value.name`: what belongs to the type, else the entry of a dictionary.
    pub(super) fn attribute(&self, value: &Value, name: &str) -> Outcome {
        let undefined = || Value::Undefined(format!("a {} has no `{name}`", value.kind()).into());
        if let Some(method) = methods::known(value, name)? {
            return Ok(Value::Method(Rc::new((value.clone(), method))));
        }
        match value {
            Value::Undefined(whole) => {
                Err(format!("`{whole}` is undefined, so it has no `{name}`"))
            }
            Value::Dict(dict) => {
                Ok(dict.get(&Value::text(name), &self.budget)?.unwrap_or_else(undefined))
            }
            Value::Namespace(dict) => {
                let found = dict.borrow().get(&Value::text(name), &self.budget)?;
                Ok(found.unwrap_or_else(undefined))
            }
            Value::Loop(state) => Ok(state.attribute(name).unwrap_or_else(undefined)),
            Value::Cycler(cycler) if name == "current" => {
                Ok(cycler.0.items[*cycler.1.borrow()].clone())
            }
            Value::Macro(made) if name == "name" => Ok(Value::text(&made.signature.name)),
            _ => Ok(undefined()),
        }
    }

    /// `value[place]`.
    pub(super) fn item(&self, value: &Value, place: &Value) -> Outcome {
        let undefined =
            || Value::Undefined(format!("a {} has nothing at that place", value.kind()).into());
        match value {
            Value::Undefined(whole) => {
                return Err(format!("`{whole}` is undefined, so nothing is in it"));
            }
            Value::Dict(dict) => {
                if let Some(found) = dict.get(place, &self.budget)? {
                    return Ok(found);
                }
            }
            Value::Text(text) | Value::Safe(text) => {
                if let Some(index) = place.as_integer() {
                    self.budget.spend(text.len() as u64 / 4)?;
                    let count = if index < 0 { text.chars().count() } else { 0 };
                    let index = usize::try_from(index + count as i128).ok();
                    let found = index.and_then(|index| text.chars().nth(index));
                    return Ok(
                        found.map_or_else(undefined, |c| value.part(c.encode_utf8(&mut [0; 4])))
                    );
                }
            }
            _ => {
                let can_be_indexed = !matches!(value, Value::View(kind, _) if *kind != "range");
                if let (Some(items), Some(index), true) =
                    (value.sequence(), place.as_integer(), can_be_indexed)
                {
                    let index = if index < 0 { index + items.len() as i128 } else { index };
                    let found = usize::try_from(index).ok().and_then(|index| items.get(index));
                    return Ok(found.cloned().unwrap_or_else(undefined));
                }
            }
        }
        match place.as_text() {
            Some(name) if !matches!(value, Value::Dict(_)) => self.attribute(value, name),
            Some(name) => Ok(methods::known(value, name)?
                .map_or_else(undefined, |method| Value::Method(Rc::new((value.clone(), method))))),
            None => Ok(undefined()),
        }
    }

    fn slice(&self, value: &Value, [start, stop, step]: [Option<i128>; 3]) -> Outcome {
        let step = step.unwrap_or(1);
        if step == 0 {
            return Err("a slice with steps of 0".to_string());
        }
        let chosen = |length: usize| -> Vec<usize> {
            let length = length as i128;
            let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
            let bound = |bound: Option<i128>, default: i128| match bound {
                None => default,
                Some(bound) if bound < 0 => (bound.saturating_add(length)).max(lowest),
                Some(bound) => bound.min(highest),
            };
            let mut at = bound(start, if step > 0 { 0 } else { length - 1 });
            let end = bound(stop, if step > 0 { length } else { -1 });
            let mut places = Vec::new();
            while if step > 0 { at < end } else { at > end } {
                places.push(at as usize);
                at = at.saturating_add(step);
            }
            places
        };
        match value {
            Value::Text(text) | Value::Safe(text) => {
                self.budget.spend(16 * text.len() as u64)?;
                let all: Vec<char> = text.chars().collect();
                Ok(value.part(&chosen(all.len()).into_iter().map(|at| all[at]).collect::<String>()))
            }
            Value::List(items) | Value::Tuple(items) | Value::View("range", items) => {
                let found = chosen(items.items.len())
                    .into_iter()
                    .map(|at| items.items[at].clone())
                    .collect();
                let found = self.budget.made(found)?;
                match value {
                    Value::Tuple(_) => Value::tuple(found),
                    Value::List(_) => Value::list(found),
                    _ => Ok(Value::View("range", Rc::new(Items::new(found)?))),
                }
            }
            Value::Undefined(whole) => Err(format!("`{whole}` is undefined, so it has no part")),
            // As any other place that is not there.
            other => Ok(Value::Undefined(format!("a {} has no part", other.kind()).into())),
        }
    }

    pub(super) fn arithmetic(&self, operator: &str, left: &Value, right: &Value) -> Outcome {
        let budget = &self.budget;
        let impossible =
            || Err(format!("`{operator}` between a {} and a {}", left.kind(), right.kind()));
        match (operator, left, right) {
            ("+", Value::Text(one), Value::Text(other)) => {
                let mut text = python::Paid::new(budget);
                text.push(one)?;
                text.push(other)?;
                return Ok(Value::text(&text.text));
            }
            ("+", Value::Text(_) | Value::Safe(_), Value::Text(_) | Value::Safe(_)) => {
                let mut text = python::Paid::new(budget);
                for side in [left, right] {
                    match side {
                        Value::Safe(safe) => text.push(safe)?,
                        other => text.push_escaped(other.as_text().unwrap_or_default())?,
                    }
                }
                return Ok(Value::Safe(text.text.into()));
            }
            ("+", Value::List(one), Value::List(other))
            | ("+", Value::Tuple(one), Value::Tuple(other)) => {
                budget.spend(32 * (one.items.len() + other.items.len()) as u64)?;
                let all = one.items.iter().chain(&other.items).cloned().collect();
                return if matches!(left, Value::List(_)) {
                    Value::list(all)
                } else {
                    Value::tuple(all)
                };
            }
            ("*", Value::Text(text), times) | ("*", times, Value::Text(text)) => {
                let Some(times) = times.as_integer() else { return impossible() };
                let mut repeated = python::Paid::new(budget);
                repeated.repeat(text, usize::try_from(times.max(0)).unwrap_or(usize::MAX))?;
                return Ok(Value::text(&repeated.text));
            }
            ("*", Value::List(items) | Value::Tuple(items), times)
            | ("*", times, Value::List(items) | Value::Tuple(items)) => {
                let Some(times) = times.as_integer() else { return impossible() };
                let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
                budget.spend((32 * items.items.len() as u64).saturating_mul(times as u64))?;
                let times = if items.items.is_empty() { 0 } else { times };
                let all = std::iter::repeat_n(&items.items, times).flatten().cloned().collect();
                let is_tuple = matches!(left, Value::Tuple(_)) || matches!(right, Value::Tuple(_));
                return if is_tuple { Value::tuple(all) } else { Value::list(all) };
            }
            ("%", Value::Text(format), values) => {
                self.known(values)?;
                return Ok(Value::text(&python::percent(format, values, budget)?));
            }
            _ => {}
        }
        if let (Some(one), Some(other)) = (left.as_integer(), right.as_integer())
            && !(operator == "/" || operator == "**" && other < 0)
        {
            let number = match operator {
                "+" => one.checked_add(other),
                "-" => one.checked_sub(other),
                "*" => one.checked_mul(other),
                "//" | "%" if other == 0 => return Err("a division by zero".to_string()),
                // Rounded down, whatever the signs are.
                "//" => one.checked_rem(other).and_then(|rest| {
                    let quotient = one.checked_div(other)?;
                    Some(if rest != 0 && (rest < 0) != (other < 0) {
                        quotient - 1
                    } else {
                        quotient
                    })
                }),
                "%" => one.checked_rem(other).map(|rest| {
                    if rest != 0 && (rest < 0) != (other < 0) { rest + other } else { rest }
                }),
                _ => u32::try_from(other).ok().and_then(|power| one.checked_pow(power)),
            };
            return number
                .map(Value::Integer)
                .ok_or_else(|| format!("a number is too large, by `{operator}`"));
        }
        let (Some(one), Some(other)) = (left.as_float(), right.as_float()) else {
            return impossible();
        };
        Ok(Value::Float(match operator {
            "+" => one + other,
            "-" => one - other,
            "*" => one * other,
            "/" | "//" | "%" if other == 0.0 => return Err("a division by zero".to_string()),
            "/" => one / other,
            "//" => divided(one, other).0,
            "%" => divided(one, other).1,
            _ if one < 0.0 && other.fract() != 0.0 => {
                return Err("a power that is not a real number".to_string());
            }
            _ => one.powf(other),
        }))
    }
}

/// `one // other` and `one % other` of floats, in the steps in which Python rounds them.
fn divided(one: f64, other: f64) -> (f64, f64) {
    let mut rest = one % other;
    let mut quotient = (one - rest) / other;
    if rest == 0.0 {
        rest = 0.0_f64.copysign(other);
    } else if (rest < 0.0) != (other < 0.0) {
        rest += other;
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return (0.0_f64.copysign(one / other), rest);
    }
    let whole = quotient.floor();
    (if quotient - whole > 0.5 { whole + 1.0 } else { whole }, rest)
}

fn negative(value: &Value) -> Outcome {
    match (value.as_integer(), value) {
        (Some(number), _) => {
            number.checked_neg().map(Value::Integer).ok_or("a number is too large".to_string())
        }
        (None, Value::Float(number)) => Ok(Value::Float(-number)),
        _ => Err(format!("`-` of a {}", value.kind())),
    }
}
