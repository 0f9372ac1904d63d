//! Filters (`value|name`) and tests (`value is name`).

use super::arguments::CallArguments;
use super::lexer::is_space;
use super::machine::Machine;
use super::methods::{self, capitalized, justified, lines, pairs, replaced, stripped};
use super::python::{self, Json, Paid};
use super::value::{Outcome, Value};
use std::rc::Rc;

/// Filters that make a text which is as safe as the one that they are given.
const KEEPING: [&str; 9] =
    ["capitalize", "center", "indent", "last", "lower", "reverse", "string", "trim", "upper"];

impl Machine<'_> {
    pub(super) fn filter(&self, name: &str, value: Value, arguments: CallArguments) -> Outcome {
        if self.budget.strict
            && !matches!(name, "default" | "d")
            && let Value::Undefined(what) = &value
        {
            return Err(format!("undefined value: {what}"));
        }
        match name {
            "default" | "d" => {
                let [default, boolean] = arguments.bind(name, ["default_value", "boolean"])?;
                let replaces =
                    value.is_undefined() || (is_set(boolean.as_ref()) && !value.is_true());
                Ok(if replaces { default.unwrap_or_else(|| Value::text("")) } else { value })
            }
            "abs" => match (value.as_integer(), value.as_float()) {
                (Some(number), _) => Ok(Value::Integer(number.saturating_abs())),
                (None, Some(number)) => Ok(Value::Float(number.abs())),
                _ => Err(format!("`abs` of a {}", value.kind())),
            },
            "int" => integer(&value, arguments),
            "float" => {
                let [default] = arguments.bind(name, ["default"])?;
                let number =
                    value.as_float().or_else(|| value.as_text().and_then(python::float_of));
                Ok(number.map_or_else(|| default.unwrap_or(Value::Float(0.0)), Value::Float))
            }
            "round" => rounded(&value, arguments),
            "attr" => {
                let [attribute] = arguments.bind(name, ["name"])?;
                match (attribute, &value) {
                    (Some(Value::Text(attribute)), Value::Dict(_)) => {
                        Ok(methods::known(&value, &attribute)?.map_or_else(
                            || Value::Undefined(attribute.clone()),
                            |method| Value::Method(Rc::new((value.clone(), method))),
                        ))
                    }
                    (Some(Value::Text(attribute)), _) => self.attribute(&value, &attribute),
                    _ => Err("`attr` takes a name".to_string()),
                }
            }
            "safe" => Ok(Value::Safe(python::str_of(&value, &self.budget)?)),
            "format" if matches!(value, Value::Safe(_)) => {
                Err("the filter `format` of a Markup is not known here".to_string())
            }
            _ => match (&value, self.text_filter(name, &value, arguments)?) {
                (Value::Safe(_), Value::Text(made)) if KEEPING.contains(&name) => {
                    Ok(Value::Safe(made))
                }
                (_, made) => Ok(made),
            },
        }
    }

    /// What makes a text of a value.
    fn text_filter(&self, name: &str, value: &Value, arguments: CallArguments) -> Outcome {
        let budget = &self.budget;
        let text = |value: &Value| python::str_of(value, budget);
        let made = |text: &str| Ok(Value::text(text));
        match name {
            "string" => Ok(Value::Text(text(value)?)),
            "upper" => made(&text(value)?.to_uppercase()),
            "lower" => made(&text(value)?.to_lowercase()),
            "capitalize" => made(&capitalized(&text(value)?)),
            "title" => made(&titled(&text(value)?)),
            "trim" => {
                let [chars] = arguments.bind(name, ["chars"])?;
                let chars = chars
                    .filter(|chars| !matches!(chars, Value::None))
                    .map(|chars| text(&chars))
                    .transpose()?;
                let whole = text(value)?;
                budget.spend(
                    whole.len() as u64 * chars.as_ref().map_or(1, |chars| chars.len() as u64),
                )?;
                made(stripped(&whole, "strip", chars.as_deref()))
            }
            "replace" => {
                let [old, new, count] = arguments.bind(name, ["old", "new", "count"])?;
                let (Some(old), Some(new)) = (old, new) else {
                    return Err("`replace` takes two texts".to_string());
                };
                let count = count.and_then(|count| count.as_integer()).unwrap_or(-1);
                made(&replaced(&self.budget, &text(value)?, &text(&old)?, &text(&new)?, count)?)
            }
            "center" => {
                let [width] = arguments.bind(name, ["width"])?;
                let width = width
                    .map_or(Some(80), |width| width.as_integer())
                    .ok_or("a width is a whole number")?;
                made(&justified(&self.budget, &text(value)?, "center", width, " ")?)
            }
            "indent" => self.indented(&text(value)?, arguments),
            "format" => {
                let values = if arguments.named.is_empty() {
                    Value::tuple(arguments.positional)?
                } else {
                    let entries = arguments
                        .named
                        .into_iter()
                        .map(|(name, value)| (Value::text(&name), value))
                        .collect();
                    Value::Dict(Rc::new(super::value::Dict::new(entries, budget)?))
                };
                made(&python::percent(&text(value)?, &values, budget)?)
            }
            "wordcount" => {
                let whole = text(value)?;
                let words = whole
                    .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .filter(|word| !word.is_empty());
                Ok(Value::Integer(words.count() as i128))
            }
            "tojson" => self.to_json(value, arguments),
            _ => self.sequence_filter(name, value, arguments),
        }
    }

    /// What looks at a sequence as a whole.
    fn sequence_filter(&self, name: &str, value: &Value, arguments: CallArguments) -> Outcome {
        let budget = &self.budget;
        match name {
            "length" | "count" => Ok(Value::Integer(value.length(budget)? as i128)),
            "list" => Value::list(value.items(budget)?),
            "items" => match value {
                Value::Undefined(_) => Value::iterator(Vec::new()),
                Value::Dict(dict) => Value::iterator(pairs(&self.budget, &dict.entries)?),
                other => Err(format!("`items` of a {}", other.kind())),
            },
            "first" => {
                let items = value.items(budget)?;
                let mut items = items.into_iter();
                let first =
                    items.next().unwrap_or_else(|| Value::Undefined("the first of nothing".into()));
                if let Value::Iterator(rest) = value {
                    rest.replace(items.collect());
                }
                Ok(first)
            }
            "last" if matches!(value, Value::Iterator(_)) => {
                Err("`last` of what can be gone through once".to_string())
            }
            "last" => Ok(value
                .items(budget)?
                .pop()
                .unwrap_or_else(|| Value::Undefined("the last of nothing".into()))),
            "reverse" => match value {
                Value::Text(text) | Value::Safe(text) => {
                    Ok(Value::text(&text.chars().rev().collect::<String>()))
                }
                other => {
                    let mut items = other.items(budget)?;
                    items.reverse();
                    Value::iterator(items)
                }
            },
            _ => self.items_filter(name, value, arguments),
        }
    }

    /// What looks at each item of a sequence.
    fn items_filter(&self, name: &str, value: &Value, arguments: CallArguments) -> Outcome {
        let budget = &self.budget;
        match name {
            "join" => {
                let [separator, attribute] = arguments.bind(name, ["d", "attribute"])?;
                let separator = separator
                    .map_or(Ok("".into()), |separator| python::str_of(&separator, budget))?;
                let path = path(attribute.as_ref())?;
                let mut out = Paid::new(budget);
                for (place, item) in value.items(budget)?.into_iter().enumerate() {
                    out.push(if place > 0 { &separator } else { "" })?;
                    out.push(&python::str_of(&self.along(item, &path, None)?, budget)?)?;
                }
                Ok(Value::text(&out.text))
            }
            "dictsort" => {
                let [case_sensitive, by, reverse] =
                    arguments.bind(name, ["case_sensitive", "by", "reverse"])?;
                let Value::Dict(dict) = value else {
                    return Err(format!("`dictsort` of a {}", value.kind()));
                };
                let by = by.as_ref().and_then(Value::as_text).unwrap_or("key");
                let place = usize::from(by == "value");
                let pairs = pairs(&self.budget, &dict.entries)?;
                self.sorted(
                    pairs,
                    &[Value::Integer(place as i128)],
                    case_sensitive.as_ref(),
                    reverse.as_ref(),
                )
            }
            "sort" => {
                let [reverse, case_sensitive, attribute] =
                    arguments.bind(name, ["reverse", "case_sensitive", "attribute"])?;
                let path = path(attribute.as_ref())?;
                self.sorted(value.items(budget)?, &path, case_sensitive.as_ref(), reverse.as_ref())
            }
            "min" | "max" | "unique" => {
                let [case_sensitive, attribute] =
                    arguments.bind(name, ["case_sensitive", "attribute"])?;
                let path = path(attribute.as_ref())?;
                let folds = !is_set(case_sensitive.as_ref());
                self.chosen(name, value.items(budget)?, &path, folds)
            }
            "sum" => {
                let [attribute, start] = arguments.bind(name, ["attribute", "start"])?;
                let path = path(attribute.as_ref())?;
                let mut sum = start.unwrap_or(Value::Integer(0));
                for item in value.items(budget)? {
                    let item = self.along(item, &path, None)?;
                    sum = self.arithmetic("+", &sum, &item)?;
                }
                Ok(sum)
            }
            "groupby" => self.grouped(value, arguments),
            "batch" | "slice" => {
                let [count, fill] = arguments.bind(name, ["count", "fill_with"])?;
                let count = count
                    .and_then(|count| count.as_integer())
                    .and_then(|count| usize::try_from(count).ok());
                let count = count
                    .filter(|count| *count > 0)
                    .ok_or_else(|| format!("`{name}` takes a number above 0"))?;
                let fill = fill.filter(|fill| !matches!(fill, Value::None));
                self.parts(name == "batch", value.items(budget)?, count, fill)
            }
            "map" => self.mapped(value, arguments),
            "select" | "reject" | "selectattr" | "rejectattr" => {
                self.selected(name, value, arguments)
            }
            _ => Err(format!("the filter `{name}` is not known here")),
        }
    }

    fn to_json(&self, value: &Value, arguments: CallArguments) -> Outcome {
        let [ascii, indent, separators, sorted] =
            arguments.bind("tojson", ["ensure_ascii", "indent", "separators", "sort_keys"])?;
        let indent = match indent {
            None | Some(Value::None) => None,
            Some(Value::Text(text)) => Some(text.to_string()),
            Some(other) => {
                let width = other.as_integer().ok_or("`indent` is a number or a text")?;
                let mut spaces = Paid::new(&self.budget);
                spaces.repeat(" ", usize::try_from(width.max(0)).unwrap_or(usize::MAX))?;
                Some(spaces.text)
            }
        };
        let separators = match separators.filter(|separators| !matches!(separators, Value::None)) {
            None => (if indent.is_some() { "," } else { ", " }.to_string(), ": ".to_string()),
            Some(pair) => match pair.sequence() {
                Some([Value::Text(item), Value::Text(key)]) => (item.to_string(), key.to_string()),
                _ => return Err("`separators` is a pair of texts".to_string()),
            },
        };
        let settings = Json {
            ascii: is_set(ascii.as_ref()),
            indent,
            separators,
            sorted: is_set(sorted.as_ref()),
        };
        Ok(Value::text(&python::json_of(value, &settings, &self.budget)?))
    }

    fn indented(&self, text: &str, arguments: CallArguments) -> Outcome {
        let [width, first, blank] = arguments.bind("indent", ["width", "first", "blank"])?;
        let mut space = Paid::new(&self.budget);
        match width {
            Some(Value::Text(text)) => space.push(&text)?,
            other => {
                let width = other
                    .map_or(Some(4), |width| width.as_integer())
                    .ok_or("a width is a whole number")?;
                space.repeat(" ", usize::try_from(width.max(0)).unwrap_or(usize::MAX))?;
            }
        }
        let (first, blank) = (is_set(first.as_ref()), is_set(blank.as_ref()));
        let whole = format!("{text}\n");
        let mut out = Paid::new(&self.budget);
        for (place, line) in lines(&whole, false).into_iter().enumerate() {
            out.push(if place > 0 { "\n" } else { "" })?;
            if if place == 0 { first } else { blank || !line.is_empty() } {
                out.push(&space.text)?;
            }
            out.push(line)?;
        }
        Ok(Value::text(&out.text))
    }

    /// What an item has along a path of attributes; `default` where it has nothing there.
    fn along(&self, item: Value, path: &[Value], default: Option<&Value>) -> Outcome {
        let mut value = item;
        for step in path {
            value = self.item(&value, step)?;
            if value.is_undefined()
                && let Some(default) = default
            {
                return Ok(default.clone());
            }
        }
        Ok(value)
    }

    /// What items are compared by.
    fn key(&self, item: &Value, path: &[Value], folds: bool) -> Outcome {
        let key = self.along(item.clone(), path, None)?;
        Ok(match key.as_text() {
            Some(text) if folds => {
                self.budget.spend(text.len() as u64)?;
                Value::text(&text.to_lowercase())
            }
            _ => key,
        })
    }

    fn keyed(
        &self,
        items: Vec<Value>,
        path: &[Value],
        folds: bool,
    ) -> Outcome<Vec<(Value, Value)>> {
        items.into_iter().map(|item| Ok((self.key(&item, path, folds)?, item))).collect()
    }

    fn sorted(
        &self,
        items: Vec<Value>,
        path: &[Value],
        case_sensitive: Option<&Value>,
        reverse: Option<&Value>,
    ) -> Outcome {
        let mut keyed = self.keyed(items, path, !is_set(case_sensitive))?;
        // Turned around twice, so that equal ones keep their order.
        let reverse = is_set(reverse);
        if reverse {
            keyed.reverse();
        }
        keyed = python::sorted(keyed, &|(key, _)| key, &self.budget)?;
        if reverse {
            keyed.reverse();
        }
        Value::list(keyed.into_iter().map(|(_, item)| item).collect())
    }

    fn chosen(&self, name: &str, items: Vec<Value>, path: &[Value], folds: bool) -> Outcome {
        let keyed = self.keyed(items, path, folds)?;
        if name == "unique" {
            let mut kept: Vec<(Value, Value)> = Vec::new();
            for (key, item) in keyed {
                let mut is_new = true;
                for (known, _) in &kept {
                    is_new = is_new && !known.equals(&key, &self.budget)?;
                }
                if is_new {
                    kept.push((key, item));
                }
            }
            return Value::iterator(kept.into_iter().map(|(_, item)| item).collect());
        }
        let wanted =
            if name == "min" { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater };
        let mut best: Option<(Value, Value)> = None;
        for (key, item) in keyed {
            let is_better = match &best {
                Some((known, _)) => key.order(known, &self.budget)? == Some(wanted),
                None => true,
            };
            if is_better {
                best = Some((key, item));
            }
        }
        Ok(best.map_or_else(|| Value::Undefined("the least of nothing".into()), |(_, item)| item))
    }

    fn grouped(&self, value: &Value, arguments: CallArguments) -> Outcome {
        let [attribute, default, case_sensitive] =
            arguments.bind("groupby", ["attribute", "default", "case_sensitive"])?;
        let path = path(attribute.as_ref())?;
        if default.is_some() {
            return Err("`groupby` with `default` is not known here".to_string());
        }
        let folds = !is_set(case_sensitive.as_ref());
        let keyed = self.keyed(value.items(&self.budget)?, &path, folds)?;
        let keyed = python::sorted(keyed, &|(key, _)| key, &self.budget)?;
        let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
        for (key, item) in keyed {
            match groups.last_mut() {
                Some((last, group)) if last.equals(&key, &self.budget)? => group.push(item),
                _ => groups.push((key, vec![item])),
            }
        }
        let pairs = groups.into_iter().map(|(_, group)| {
            let key = self.along(group[0].clone(), &path, None)?;
            Value::tuple(vec![key, Value::list(group)?])
        });
        Value::list(pairs.collect::<Outcome<_>>()?)
    }

    /// Lists of `count` items, or `count` lists.
    fn parts(
        &self,
        by_length: bool,
        items: Vec<Value>,
        count: usize,
        fill: Option<Value>,
    ) -> Outcome {
        let mut parts = Vec::new();
        if by_length {
            for part in items.chunks(count) {
                let mut part = part.to_vec();
                if let Some(fill) = &fill {
                    self.budget.spend(32_u64.saturating_mul(count as u64))?;
                    part.resize(count, fill.clone());
                }
                parts.push(Value::list(part)?);
            }
            return Value::iterator(parts);
        }
        self.budget.spend(64_u64.saturating_mul(count as u64))?;
        let (least, longer) = (items.len() / count, items.len() % count);
        let mut rest = items.into_iter();
        for place in 0..count {
            let mut part: Vec<Value> =
                rest.by_ref().take(least + usize::from(place < longer)).collect();
            if place >= longer {
                part.extend(fill.clone());
            }
            parts.push(Value::list(part)?);
        }
        Value::iterator(parts)
    }

    /// The items that `map` and its like go through. What is false is nothing to them, even where
    /// it is not a sequence.
    fn worked_on(&self, value: &Value) -> Outcome<Vec<Value>> {
        if value.is_true() { value.items(&self.budget) } else { Ok(Vec::new()) }
    }

    fn mapped(&self, value: &Value, mut arguments: CallArguments) -> Outcome {
        let items = self.worked_on(value)?;
        let attribute = arguments.named.iter().position(|(name, _)| name == "attribute");
        if let (true, Some(place)) = (arguments.positional.is_empty(), attribute) {
            let path = path(Some(&arguments.named.remove(place).1))?;
            let [default] = arguments.bind("map", ["default"])?;
            let default = default.filter(|default| !matches!(default, Value::None));
            let found = items.into_iter().map(|item| self.along(item, &path, default.as_ref()));
            return Value::iterator(found.collect::<Outcome<_>>()?);
        }
        let name = first_name("map", &mut arguments)?;
        let found = items.into_iter().map(|item| {
            self.budget.spend(16)?;
            self.filter(
                &name,
                item,
                CallArguments {
                    positional: arguments.positional.clone(),
                    named: arguments.named.clone(),
                },
            )
        });
        Value::iterator(found.collect::<Outcome<_>>()?)
    }

    fn selected(&self, name: &str, value: &Value, mut arguments: CallArguments) -> Outcome {
        let path = if name.ends_with("attr") {
            let attribute = if arguments.positional.is_empty() {
                None
            } else {
                Some(arguments.positional.remove(0))
            };
            path(attribute.as_ref())?
        } else {
            Vec::new()
        };
        let test = if arguments.positional.is_empty() {
            None
        } else {
            Some(first_name(name, &mut arguments)?)
        };
        let mut kept = Vec::new();
        for item in self.worked_on(value)? {
            self.budget.spend(16)?;
            let looked_at = self.along(item.clone(), &path, None)?;
            let is = match &test {
                None => looked_at.is_true(),
                Some(test) => {
                    let arguments = CallArguments {
                        positional: arguments.positional.clone(),
                        named: arguments.named.clone(),
                    };
                    self.test(test, &looked_at, arguments)?
                }
            };
            if is == name.starts_with("select") {
                kept.push(item);
            }
        }
        Value::iterator(kept)
    }

    pub(super) fn test(
        &self,
        name: &str,
        value: &Value,
        arguments: CallArguments,
    ) -> Outcome<bool> {
        let budget = &self.budget;
        let argument = |arguments: CallArguments| -> Outcome<Value> {
            let [other] = arguments.bind(name, ["other"])?;
            other.ok_or_else(|| format!("the test `{name}` takes a value"))
        };
        Ok(match name {
            "defined" => !value.is_undefined(),
            "undefined" => value.is_undefined(),
            "none" => matches!(value, Value::None),
            "boolean" => matches!(value, Value::Bool(_)),
            "true" => matches!(value, Value::Bool(true)),
            "false" => matches!(value, Value::Bool(false)),
            "integer" => matches!(value, Value::Integer(_)),
            "float" => matches!(value, Value::Float(_)),
            "number" => matches!(value, Value::Bool(_) | Value::Integer(_) | Value::Float(_)),
            "string" => value.as_text().is_some(),
            "mapping" => matches!(value, Value::Dict(_)),
            "sequence" => {
                let is_list =
                    matches!(value, Value::List(_) | Value::Tuple(_) | Value::View("range", _));
                let is_text = value.as_text().is_some();
                is_list || is_text || matches!(value, Value::Dict(_) | Value::Undefined(_))
            }
            "iterable" => {
                let others =
                    matches!(value, Value::Dict(_) | Value::Undefined(_) | Value::Iterator(_));
                let is_sequence = value.sequence().is_some() || value.as_text().is_some();
                others || is_sequence || matches!(value, Value::Loop(_))
            }
            "callable" => {
                matches!(
                    value,
                    Value::Undefined(_)
                        | Value::Macro(_)
                        | Value::Method(_)
                        | Value::Function(_)
                        | Value::Joiner(_)
                        | Value::Loop(_)
                )
            }
            "lower" | "upper" => {
                let text = python::str_of(value, budget)?;
                let (small, large) =
                    (text.chars().any(char::is_lowercase), text.chars().any(char::is_uppercase));
                if name == "lower" { small && !large } else { large && !small }
            }
            "odd" | "even" => {
                let rest = self.arithmetic("%", value, &Value::Integer(2))?;
                rest.equals(&Value::Integer(i128::from(name == "odd")), budget)?
            }
            "divisibleby" => {
                let rest = self.arithmetic("%", value, &argument(arguments)?)?;
                rest.equals(&Value::Integer(0), budget)?
            }
            "eq" | "==" | "equalto" => value.equals(&argument(arguments)?, budget)?,
            "ne" | "!=" => !value.equals(&argument(arguments)?, budget)?,
            "lt" | "<" | "lessthan" => {
                value.order(&argument(arguments)?, budget)? == Some(std::cmp::Ordering::Less)
            }
            "gt" | ">" | "greaterthan" => {
                value.order(&argument(arguments)?, budget)? == Some(std::cmp::Ordering::Greater)
            }
            "le" | "<=" => {
                value.order(&argument(arguments)?, budget)?.is_some_and(std::cmp::Ordering::is_le)
            }
            "ge" | ">=" => {
                value.order(&argument(arguments)?, budget)?.is_some_and(std::cmp::Ordering::is_ge)
            }
            "in" => argument(arguments)?.contains(value, budget)?,
            "sameas" => {
                let other = argument(arguments)?;
                let is_sequence = value.sequence().is_some() || value.as_text().is_some();
                let is_object = is_sequence || matches!(value, Value::Dict(_));
                if is_object {
                    return Err(
                        "the test `sameas` of texts, lists and dictionaries is not known here"
                            .to_string(),
                    );
                }
                value.kind() == other.kind() && value.equals(&other, budget)?
            }
            _ => return Err(format!("the test `{name}` is not known here")),
        })
    }
}

/// The name of a filter or a test, which comes before its arguments.
fn first_name(what: &str, arguments: &mut CallArguments) -> Outcome<Rc<str>> {
    match arguments.positional.first() {
        Some(Value::Text(name)) => {
            let name = name.clone();
            arguments.positional.remove(0);
            Ok(name)
        }
        _ => Err(format!("`{what}` takes a name")),
    }
}

/// Whether an argument was given and is true.
fn is_set(value: Option<&Value>) -> bool {
    value.is_some_and(Value::is_true)
}

/// `a.b.0` as steps; no step where there is no attribute.
fn path(attribute: Option<&Value>) -> Outcome<Vec<Value>> {
    let step = |part: &str| part.parse().map_or_else(|_| Value::text(part), Value::Integer);
    match attribute {
        None | Some(Value::None) => Ok(Vec::new()),
        Some(Value::Text(name)) if name.contains(',') => {
            Err("several attributes at once are not known here".to_string())
        }
        Some(Value::Text(name)) => Ok(name.split('.').map(step).collect()),
        Some(Value::Integer(place)) => Ok(vec![Value::Integer(*place)]),
        Some(other) => Err(format!("an attribute is a name, not a {}", other.kind())),
    }
}

/// The filter `title`: words begin with a large letter.
fn titled(text: &str) -> String {
    let mut out = String::new();
    let mut begins = true;
    for c in text.chars() {
        let separates = is_space(c) || "-({[<".contains(c);
        if begins && !separates {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        begins = separates;
    }
    out
}

fn integer(value: &Value, arguments: CallArguments) -> Outcome {
    let [default, base] = arguments.bind("int", ["default", "base"])?;
    let base =
        base.map_or(Some(10), |base| base.as_integer()).and_then(|base| u32::try_from(base).ok());
    let base = base.filter(|base| (2..=36).contains(base)).ok_or("a base lies between 2 and 36")?;
    let whole =
        |number: f64| (number.is_finite() && number.abs() < 1e30).then_some(number.trunc() as i128);
    let number = match value {
        Value::Text(text) | Value::Safe(text) => {
            python::integer_of(text, base).or_else(|| python::float_of(text).and_then(whole))
        }
        Value::Float(number) => whole(*number),
        other => other.as_integer(),
    };
    Ok(number.map_or_else(|| default.unwrap_or(Value::Integer(0)), Value::Integer))
}

fn rounded(value: &Value, arguments: CallArguments) -> Outcome {
    let [precision, method] = arguments.bind("round", ["precision", "method"])?;
    let precision = precision.map_or(Some(0), |precision| precision.as_integer());
    let precision = precision
        .filter(|precision| (0..=300).contains(precision))
        .ok_or("a precision from 0 to 300")? as usize;
    let number = value.as_float().ok_or_else(|| format!("`round` of a {}", value.kind()))?;
    match method.as_ref().map_or(Some("common"), Value::as_text) {
        Some("common") => Ok(match value.as_integer() {
            Some(number) => Value::Integer(number),
            // The digits of the number itself decide, and an even digit where it lies in the
            // middle.
            None => Value::Float(format!("{number:.precision$}").parse().unwrap_or(number)),
        }),
        Some(method @ ("ceil" | "floor")) => {
            let scale = 10_f64.powi(precision as i32);
            let scaled = number * scale;
            Ok(Value::Float(if method == "ceil" { scaled.ceil() } else { scaled.floor() } / scale))
        }
        _ => Err("`round` by common, ceil or floor".to_string()),
    }
}
