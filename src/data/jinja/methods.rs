//! Methods of Python's values, as far as they change nothing.

use super::arguments::CallArguments;
use super::budget::Budget;
use super::lexer::is_space;
use super::python::{self, Paid};
use super::value::{Items, Outcome, Value};
use std::rc::Rc;

const TEXT: [&str; 44] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];
const DICT: [&str; 5] = ["copy", "get", "items", "keys", "values"];
const LIST: [&str; 3] = ["copy", "count", "index"];

/// Those that make a text which is as safe as theirs, whatever they are given.
const KEEPING: [&str; 9] =
    ["capitalize", "casefold", "lower", "lstrip", "rstrip", "strip", "swapcase", "title", "upper"];

/// What would change a value, which Transformers does not allow.
const CHANGING: [&str; 13] = [
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "reverse",
    "setdefault",
    "sort",
    "update",
    "encode",
    "translate",
];

/// The name of a method that the value has.
pub(super) fn known(value: &Value, name: &str) -> Outcome<Option<&'static str>> {
    let names: &[&'static str] = match value {
        Value::Text(_) | Value::Safe(_) => &TEXT,
        Value::Dict(_) => &DICT,
        Value::List(_) => &LIST,
        Value::Tuple(_) | Value::View("range", _) => &LIST[1..],
        Value::Loop(_) => &["cycle", "changed"],
        Value::Cycler(_) => &["next", "reset"],
        _ => &[],
    };
    if let Some(found) = names.iter().find(|known| **known == name) {
        return Ok(Some(found));
    }
    let is_refused = match value {
        Value::List(_) => CHANGING.contains(&name),
        Value::Dict(_) => matches!(name, "clear" | "pop" | "popitem" | "setdefault" | "update"),
        Value::Text(_) | Value::Safe(_) => matches!(name, "encode" | "translate" | "maketrans"),
        _ => false,
    };
    if is_refused {
        return Err(format!(
            "the method `{name}` of a {} is not allowed in a template",
            value.kind()
        ));
    }
    Ok(None)
}

/// What a method of a value gives.
pub(super) fn call(
    budget: &Budget,
    value: &Value,
    name: &'static str,
    arguments: CallArguments,
) -> Outcome {
    match value {
        Value::Text(text) => text_method(budget, text, name, arguments),
        // Others give what they join to the text its escapes.
        Value::Safe(text) => match text_method(budget, text, name, arguments)? {
            Value::Text(made) if KEEPING.contains(&name) => Ok(Value::Safe(made)),
            made @ (Value::Bool(_) | Value::Integer(_)) => Ok(made),
            _ => Err(format!("the method `{name}` of a Markup is not known here")),
        },
        Value::Dict(dict) => {
            let list = |values: Vec<Value>, kind| -> Outcome {
                Ok(Value::View(kind, Rc::new(Items::new(budget.made(values)?)?)))
            };
            match name {
                "get" => {
                    let [key, default] = arguments.bind(name, ["key", "default"])?;
                    let key = key.ok_or("`get` takes a key")?;
                    Ok(dict.get(&key, budget)?.or(default).unwrap_or(Value::None))
                }
                "keys" => {
                    list(dict.entries.iter().map(|(key, _)| key.clone()).collect(), "dict_keys")
                }
                "values" => list(
                    dict.entries.iter().map(|(_, value)| value.clone()).collect(),
                    "dict_values",
                ),
                "items" => list(pairs(budget, &dict.entries)?, "dict_items"),
                _ => Ok(value.clone()),
            }
        }
        Value::Loop(state) => state.method(name, arguments, budget),
        Value::Cycler(cycler) => {
            let place = cycler.1.take();
            *cycler.1.borrow_mut() =
                if name == "next" { (place + 1) % cycler.0.items.len() } else { 0 };
            Ok(if name == "next" { cycler.0.items[place].clone() } else { Value::None })
        }
        _ => {
            let items = value.sequence().unwrap_or_default();
            if name == "copy" {
                return Ok(value.clone());
            }
            let [wanted] = arguments.bind(name, ["value"])?;
            let wanted = wanted.ok_or_else(|| format!("`{name}` takes a value"))?;
            let mut places = Vec::new();
            for (place, item) in items.iter().enumerate() {
                if item.equals(&wanted, budget)? {
                    places.push(place);
                }
            }
            match (name, places.first()) {
                ("count", _) => Ok(Value::Integer(places.len() as i128)),
                (_, Some(place)) => Ok(Value::Integer(*place as i128)),
                _ => Err("`index`: the value is not there".to_string()),
            }
        }
    }
}

/// Keys with their values.
pub(super) fn pairs(budget: &Budget, entries: &[(Value, Value)]) -> Outcome<Vec<Value>> {
    budget.spend(96 * entries.len() as u64)?;
    entries.iter().map(|(key, value)| Value::tuple(vec![key.clone(), value.clone()])).collect()
}

fn text_method(budget: &Budget, text: &Rc<str>, name: &str, arguments: CallArguments) -> Outcome {
    // What a method makes of a text is about as long, unless it says what it costs.
    budget.spend(2 * text.len() as u64)?;
    let made = |text: &str| Ok(Value::text(text));
    let truth = |value: bool| Ok(Value::Bool(value));
    let all = |is: fn(char) -> bool| truth(!text.is_empty() && text.chars().all(is));
    let beyond_ascii = || format!("`{name}` of such a text beyond ASCII is not known here");
    let cased = |is: fn(char) -> bool, other: fn(char) -> bool| {
        truth(text.chars().any(is) && !text.chars().any(other))
    };
    match name {
        "lower" => made(&text.to_lowercase()),
        "casefold" if text.is_ascii() => made(&text.to_lowercase()),
        "upper" => made(&text.to_uppercase()),
        "capitalize" => made(&capitalized(text)),
        "title" => made(&titled(text)),
        "swapcase" => {
            let swap = |c: char| -> String {
                if c.is_uppercase() {
                    c.to_lowercase().collect()
                } else {
                    c.to_uppercase().collect()
                }
            };
            made(&text.chars().map(swap).collect::<String>())
        }
        "isalnum" => truth(of_letters(text, char::is_ascii_digit).ok_or_else(beyond_ascii)?),
        "isalpha" => truth(of_letters(text, |_| false).ok_or_else(beyond_ascii)?),
        "isascii" => truth(text.is_ascii()),
        // One that is not a digit is enough to say no.
        "isdecimal" | "isdigit" | "isnumeric"
            if text.is_ascii() || text.chars().any(|c| is_no_digit(c, name)) =>
        {
            truth(!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        }
        "casefold" | "isdecimal" | "isdigit" | "isnumeric" => Err(beyond_ascii()),
        "isspace" => all(is_space),
        "islower" => cased(char::is_lowercase, char::is_uppercase),
        "isupper" => cased(char::is_uppercase, char::is_lowercase),
        _ => parting_method(budget, text, name, arguments),
    }
}

/// Methods that take a text apart, or put it together.
fn parting_method(
    budget: &Budget,
    text: &Rc<str>,
    name: &str,
    arguments: CallArguments,
) -> Outcome {
    let made = |text: &str| Ok(Value::text(text));
    let wanted = |value: Option<&Value>| wanted(name, value);
    match name {
        "strip" | "lstrip" | "rstrip" => {
            let [chars] = arguments.bind(name, ["chars"])?;
            let chars = match chars {
                None | Some(Value::None) => None,
                other => Some(wanted(other.as_ref())?),
            };
            budget
                .spend(text.len() as u64 * chars.as_ref().map_or(0, |chars| chars.len() as u64))?;
            made(stripped(text, name, chars.as_deref()))
        }
        "split" | "rsplit" => {
            let [separator, most] = arguments.bind(name, ["sep", "maxsplit"])?;
            let most =
                most.and_then(|most| most.as_integer()).and_then(|most| usize::try_from(most).ok());
            let parts: Vec<Value> = match separator {
                None | Some(Value::None) => {
                    words(text, most, name == "rsplit").into_iter().map(Value::text).collect()
                }
                other => {
                    let separator = wanted(other.as_ref())?;
                    if separator.is_empty() {
                        return Err(format!("`{name}` by an empty text"));
                    }
                    split(text, &separator, most, name == "rsplit")
                        .into_iter()
                        .map(Value::text)
                        .collect()
                }
            };
            Value::list(budget.made(parts)?)
        }
        "splitlines" => {
            let [keep] = arguments.bind(name, ["keepends"])?;
            let keep = keep.is_some_and(|keep| keep.is_true());
            Value::list(budget.made(lines(text, keep).into_iter().map(Value::text).collect())?)
        }
        "partition" | "rpartition" => {
            let [separator] = arguments.bind(name, ["sep"])?;
            let separator = wanted(separator.as_ref())?;
            if separator.is_empty() {
                return Err(format!("`{name}` by an empty text"));
            }
            let found =
                if name == "partition" { text.find(&*separator) } else { text.rfind(&*separator) };
            let parts = match found {
                Some(at) => [&text[..at], &separator, &text[at + separator.len()..]],
                None if name == "partition" => [text, "", ""],
                None => ["", "", text],
            };
            Value::tuple(parts.into_iter().map(Value::text).collect())
        }
        "removeprefix" | "removesuffix" => {
            let [affix] = arguments.bind(name, ["affix"])?;
            let affix = wanted(affix.as_ref())?;
            let rest = if name == "removeprefix" {
                text.strip_prefix(&*affix)
            } else {
                text.strip_suffix(&*affix)
            };
            made(rest.unwrap_or(text))
        }
        "join" => {
            let [items] = arguments.bind(name, ["items"])?;
            let mut out = Paid::new(budget);
            for (place, item) in items.unwrap_or(Value::None).items(budget)?.iter().enumerate() {
                out.push(if place > 0 { text } else { "" })?;
                out.push(item.as_text().ok_or_else(|| format!("`join` of a {}", item.kind()))?)?;
            }
            made(&out.text)
        }
        _ => searching_method(budget, text, name, arguments),
    }
}

/// Methods that look for a text in it, or fill it in.
fn searching_method(
    budget: &Budget,
    text: &Rc<str>,
    name: &str,
    arguments: CallArguments,
) -> Outcome {
    let made = |text: &str| Ok(Value::text(text));
    let truth = |value: bool| Ok(Value::Bool(value));
    let wanted = |value: Option<&Value>| wanted(name, value);
    match name {
        "startswith" | "endswith" => {
            let [prefix, start, end] = arguments.bind(name, ["prefix", "start", "end"])?;
            let part = part(text, start.as_ref(), end.as_ref())?;
            let is = |prefix: &Value| -> Outcome<bool> {
                let prefix = prefix.as_text().ok_or_else(|| format!("`{name}` takes a text"))?;
                let is = if name == "startswith" {
                    part.starts_with(prefix)
                } else {
                    part.ends_with(prefix)
                };
                Ok(is)
            };
            match &prefix {
                Some(Value::Tuple(all)) => {
                    for prefix in &all.items {
                        if is(prefix)? {
                            return truth(true);
                        }
                    }
                    truth(false)
                }
                other => truth(is(other.as_ref().unwrap_or(&Value::None))?),
            }
        }
        "replace" => {
            let [old, new, count] = arguments.bind(name, ["old", "new", "count"])?;
            let (old, new) = (wanted(old.as_ref())?, wanted(new.as_ref())?);
            let count = count.and_then(|count| count.as_integer()).unwrap_or(-1);
            made(&replaced(budget, text, &old, &new, count)?)
        }
        "count" | "find" | "rfind" | "index" | "rindex" => {
            let [wanted_text, start, end] = arguments.bind(name, ["sub", "start", "end"])?;
            let wanted = wanted(wanted_text.as_ref())?;
            let found = part(text, start.as_ref(), end.as_ref())?;
            if name == "count" {
                let count = if wanted.is_empty() {
                    found.chars().count() + 1
                } else {
                    found.matches(&*wanted).count()
                };
                return Ok(Value::Integer(count as i128));
            }
            let at =
                if name.starts_with('r') { found.rfind(&*wanted) } else { found.find(&*wanted) };
            let skipped = found.as_ptr() as usize - text.as_ptr() as usize;
            let place = at.map(|at| text[..skipped + at].chars().count() as i128);
            match (place, name) {
                (Some(place), _) => Ok(Value::Integer(place)),
                (None, "find" | "rfind") => Ok(Value::Integer(-1)),
                (None, _) => Err(format!("`{name}`: the text is not there")),
            }
        }
        "center" | "ljust" | "rjust" | "zfill" => {
            let [width, fill] = arguments.bind(name, ["width", "fillchar"])?;
            let width =
                width.and_then(|width| width.as_integer()).ok_or("a width is a whole number")?;
            let fill = match fill {
                None => " ".into(),
                other => wanted(other.as_ref())?,
            };
            made(&justified(budget, text, name, width, &fill)?)
        }
        "format" => {
            let mut next = 0;
            let formatted = python::format(text, budget, |field| {
                let place = if field.is_empty() {
                    next += 1;
                    Some(next - 1)
                } else {
                    field.parse::<usize>().ok()
                };
                let found = match place {
                    Some(place) => arguments.positional.get(place).cloned(),
                    None => arguments
                        .named
                        .iter()
                        .find(|(name, _)| name == field)
                        .map(|(_, value)| value.clone()),
                };
                found.ok_or_else(|| format!("`format`: nothing is arguments for `{{{field}}}`"))
            })?;
            made(&formatted)
        }
        _ => Err(format!("the method `{name}` of a str is not known here")),
    }
}

/// `text.replace(old, new, count)`; all of them where `count` is negative.
pub(super) fn replaced(
    budget: &Budget,
    text: &str,
    old: &str,
    new: &str,
    count: i128,
) -> Outcome<String> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let found = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() }
        .min(count);
    budget
        .spend((found as u64).saturating_mul(new.len() as u64).saturating_add(text.len() as u64))?;
    Ok(if count == usize::MAX { text.replace(old, new) } else { text.replacen(old, new, count) })
}

/// A text with `fill` around it, up to a width.
pub(super) fn justified(
    budget: &Budget,
    text: &str,
    name: &str,
    width: i128,
    fill: &str,
) -> Outcome<String> {
    if fill.chars().count() != 1 {
        return Err(format!("`{name}` fills with one character"));
    }
    let length = text.chars().count();
    let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
    let missing = width.saturating_sub(length);
    let mut out = Paid::new(budget);
    if name == "zfill" {
        let (sign, rest) = if text.starts_with(['+', '-']) { text.split_at(1) } else { ("", text) };
        out.push(sign)?;
        out.repeat("0", missing)?;
        out.push(rest)?;
        return Ok(out.text);
    }
    let before = match name {
        "ljust" => 0,
        "rjust" => missing,
        // Where it does not come out even, Python puts one more before a text of odd width.
        _ => missing / 2 + (missing & width & 1),
    };
    out.repeat(fill, before)?;
    out.push(text)?;
    out.repeat(fill, missing - before)?;
    Ok(out.text)
}

/// Whether a character is certainly no digit to this method. Signs for numbers are letters, too, in
/// some writings.
fn is_no_digit(c: char, method: &str) -> bool {
    if c.is_ascii() { !c.is_ascii_digit() } else { method != "isnumeric" && !c.is_numeric() }
}

/// Whether a text is made of letters, and what else `may_be` in it; `None` where that takes tables
/// of Unicode to say.
fn of_letters(text: &str, may_be: fn(&char) -> bool) -> Option<bool> {
    let is_letter = |c: char| match c {
        _ if c.is_ascii() => Some(c.is_ascii_alphabetic() || may_be(&c)),
        'À'..='Ö'
        | 'Ø'..='ö'
        | 'ø'..='ɏ'
        | 'Α'..='Ω'
        | 'α'..='ω'
        | 'А'..='я'
        | 'ぁ'..='ゖ'
        | 'ァ'..='ヺ'
        | '一'..='鿿'
        | '가'..='힣' => c.is_alphabetic().then_some(true),
        _ if !c.is_alphanumeric() => Some(false),
        _ => None,
    };
    let found: Vec<Option<bool>> = text.chars().map(is_letter).collect();
    if found.contains(&Some(false)) || found.is_empty() {
        return Some(false);
    }
    found.into_iter().collect::<Option<Vec<bool>>>().map(|_| true)
}

/// The text that a method was given.
fn wanted(method: &str, value: Option<&Value>) -> Outcome<Rc<str>> {
    match value {
        Some(Value::Text(text) | Value::Safe(text)) => Ok(text.clone()),
        _ => Err(format!("`{method}` takes a text")),
    }
}

pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| {
        first.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase()
    })
}

/// `str.title`: every run of letters that can be large or small begins with a large one.
fn titled(text: &str) -> String {
    let mut out = String::new();
    let mut within = false;
    for c in text.chars() {
        if within {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        within = c.is_lowercase() || c.is_uppercase();
    }
    out
}

pub(super) fn stripped<'t>(text: &'t str, how: &str, chars: Option<&str>) -> &'t str {
    let is = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    let text = if how == "rstrip" { text } else { text.trim_start_matches(is) };
    if how == "lstrip" { text } else { text.trim_end_matches(is) }
}

/// The part between two places, negative ones counted from the end.
fn part<'t>(text: &'t str, start: Option<&Value>, end: Option<&Value>) -> Outcome<&'t str> {
    if start.is_none() && end.is_none() {
        return Ok(text);
    }
    let length = text.chars().count() as i128;
    let place = |value: Option<&Value>, default: i128| -> Outcome<usize> {
        let place = match value {
            None | Some(Value::None) => default,
            Some(value) => value.as_integer().ok_or("a place is a whole number")?,
        };
        let place = if place < 0 { (place + length).max(0) } else { place.min(length) };
        Ok(text.char_indices().nth(place as usize).map_or(text.len(), |(at, _)| at))
    };
    let (start, end) = (place(start, 0)?, place(end, length)?);
    Ok(text.get(start..end).unwrap_or(""))
}

fn split<'t>(
    text: &'t str,
    separator: &str,
    most: Option<usize>,
    from_right: bool,
) -> Vec<&'t str> {
    match (most, from_right) {
        (None, _) => text.split(separator).collect(),
        (Some(most), false) => text.splitn(most.saturating_add(1), separator).collect(),
        (Some(most), true) => {
            let mut parts: Vec<&str> = text.rsplitn(most.saturating_add(1), separator).collect();
            parts.reverse();
            parts
        }
    }
}

/// Parts with white space between them. What is left after the `most` parts keeps the white space
/// at its other end.
fn words(text: &str, most: Option<usize>, from_right: bool) -> Vec<&str> {
    let near = |text: &'_ str| {
        text.len()
            - if from_right {
                text.trim_end_matches(is_space)
            } else {
                text.trim_start_matches(is_space)
            }
            .len()
    };
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let spaces = near(rest);
        rest = if from_right { &rest[..rest.len() - spaces] } else { &rest[spaces..] };
        if rest.is_empty() {
            break;
        }
        if most.is_some_and(|most| parts.len() >= most) {
            parts.push(rest);
            break;
        }
        let end = if from_right {
            rest.rfind(is_space)
                .map_or(0, |at| at + rest[at..].chars().next().map_or(1, char::len_utf8))
        } else {
            rest.find(is_space).unwrap_or(rest.len())
        };
        let (before, after) = rest.split_at(end);
        parts.push(if from_right { after } else { before });
        rest = if from_right { before } else { after };
    }
    if from_right {
        parts.reverse();
    }
    parts
}

/// Lines as Python's `splitlines` ends them.
pub(super) fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let is_end = |c: char| {
        matches!(
            c,
            '\n' | '\r'
                | '\x0b'
                | '\x0c'
                | '\x1c'
                | '\x1d'
                | '\x1e'
                | '\u{85}'
                | '\u{2028}'
                | '\u{2029}'
        )
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(is_end) {
        let width = if rest[at..].starts_with("\r\n") {
            2
        } else {
            rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        lines.push(&rest[..if keep_ends { at + width } else { at }]);
        rest = &rest[at + width..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}
