//! How Python writes values: `str`, `repr`, JSON, `%` and `format`.

use super::budget::Budget;
use super::lexer::is_space;
use super::value::{Outcome, Value};
use std::fmt::Write;

/// Text that is made, paid byte by byte.
pub(super) struct Paid<'b> {
    pub(super) text: String,
    budget: &'b Budget,
}

impl<'b> Paid<'b> {
    pub(super) fn new(budget: &'b Budget) -> Self {
        Self { text: String::new(), budget }
    }

    pub(super) fn push(&mut self, text: &str) -> Outcome<()> {
        self.budget.spend(text.len() as u64)?;
        self.text.push_str(text);
        Ok(())
    }

    /// Adds a text with the escapes that it needs beside a safe one.
    pub(super) fn push_escaped(&mut self, text: &str) -> Outcome<()> {
        for part in text.split_inclusive(['&', '<', '>', '\'', '"']) {
            let (before, escape) =
                [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('\'', "&#39;"), ('"', "&#34;")]
                    .into_iter()
                    .find_map(|(sign, escape)| Some((part.strip_suffix(sign)?, escape)))
                    .unwrap_or((part, ""));
            self.push(before)?;
            self.push(escape)?;
        }
        Ok(())
    }

    pub(super) fn repeat(&mut self, text: &str, count: usize) -> Outcome<()> {
        self.budget.spend((text.len() as u64).saturating_mul(count as u64))?;
        self.text.push_str(&text.repeat(count));
        Ok(())
    }
}

/// `str(value)`.
pub(super) fn str_of(value: &Value, budget: &Budget) -> Outcome<std::rc::Rc<str>> {
    match value {
        Value::Text(text) | Value::Safe(text) => {
            budget.spend(text.len() as u64)?;
            Ok(text.clone())
        }
        Value::Undefined(name) if budget.strict => Err(format!("undefined value: {name}")),
        Value::Undefined(_) => Ok("".into()),
        _ => {
            let mut out = Paid::new(budget);
            write_repr(value, &mut out)?;
            Ok(out.text.into())
        }
    }
}

/// `repr(value)`.
pub(super) fn repr_of(value: &Value, budget: &Budget) -> Outcome<String> {
    let mut out = Paid::new(budget);
    write_repr(value, &mut out)?;
    Ok(out.text)
}

fn write_repr(value: &Value, out: &mut Paid<'_>) -> Outcome<()> {
    out.budget.spend(4)?;
    let write_all = |items: &[Value], out: &mut Paid<'_>| -> Outcome<()> {
        for (place, item) in items.iter().enumerate() {
            out.push(if place > 0 { ", " } else { "" })?;
            write_repr(item, out)?;
        }
        Ok(())
    };
    match value {
        Value::Undefined(_) => out.push("Undefined"),
        Value::None => out.push("None"),
        Value::Bool(value) => out.push(if *value { "True" } else { "False" }),
        Value::Integer(number) => out.push(&number.to_string()),
        Value::Float(number) => out.push(&float(*number)),
        Value::Text(text) => out.push(&quoted(text)),
        Value::Safe(text) => out.push(&format!("Markup({})", quoted(text))),
        Value::List(items) => {
            out.push("[")?;
            write_all(&items.items, out)?;
            out.push("]")
        }
        Value::Tuple(items) => {
            out.push("(")?;
            write_all(&items.items, out)?;
            out.push(if items.items.len() == 1 { ",)" } else { ")" })
        }
        Value::View("range", items) => {
            let number = |value: Option<&Value>| value.and_then(Value::as_integer).unwrap_or(0);
            let (first, last) = (number(items.items.first()), number(items.items.last()));
            if items.items.len() < 2 || number(items.items.get(1)) != first + 1 {
                return Err("such a range cannot be printed; make a list of it".to_string());
            }
            out.push(&format!("range({first}, {})", last + 1))
        }
        Value::View(kind, items) => {
            out.push(kind)?;
            out.push("([")?;
            write_all(&items.items, out)?;
            out.push("])")
        }
        Value::Dict(dict) => {
            out.push("{")?;
            for (place, (key, value)) in dict.entries.iter().enumerate() {
                out.push(if place > 0 { ", " } else { "" })?;
                write_repr(key, out)?;
                out.push(": ")?;
                write_repr(value, out)?;
            }
            out.push("}")
        }
        other => Err(format!("a {} cannot be printed", other.kind())),
    }
}

/// A text in quotation marks, with Python's escapes.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        // Writing to a string does not fail.
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 || c == '\x7f' => {
                write!(out, "\\x{:02x}", c as u32).unwrap_or_default();
            }
            c if is_unprintable(c) => {
                let code = c as u32;
                let written = match code {
                    0..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
                written.unwrap_or_default();
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Characters beyond ASCII that Python's `repr` escapes: spaces other than ` `, controls, and what
/// is not assigned for text.
fn is_unprintable(c: char) -> bool {
    !c.is_ascii()
        && (c.is_whitespace()
            || c.is_control()
            || matches!(c as u32, 0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x8e2 | 0x180e | 0x200b..=0x200f
                | 0x202a..=0x202e | 0x2060..=0x206f | 0xd800..=0xf8ff | 0xfeff | 0xfff9..=0xfffb | 0xf_0000..=0x10_ffff))
}

/// A float as Python's `repr` has it: the fewest digits that give it back.
pub(super) fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_string();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_string();
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = number.to_string();
        return if plain.contains('.') { plain } else { format!("{plain}.0") };
    }
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// Settings of `json.dumps`.
pub(super) struct Json {
    pub(super) ascii: bool,
    /// What a level is indented by.
    pub(super) indent: Option<String>,
    /// Between values, and between key and value.
    pub(super) separators: (String, String),
    pub(super) sorted: bool,
}

pub(super) fn json_of(value: &Value, settings: &Json, budget: &Budget) -> Outcome<String> {
    let mut out = Paid::new(budget);
    write_json(value, settings, 0, &mut out)?;
    Ok(out.text)
}

fn write_json(value: &Value, settings: &Json, level: usize, out: &mut Paid<'_>) -> Outcome<()> {
    out.budget.spend(4)?;
    let newline = |level: usize, out: &mut Paid<'_>| -> Outcome<()> {
        if let Some(indent) = &settings.indent {
            out.push("\n")?;
            out.repeat(indent, level)?;
        }
        Ok(())
    };
    match value {
        Value::None => out.push("null"),
        Value::Bool(value) => out.push(if *value { "true" } else { "false" }),
        Value::Integer(number) => out.push(&number.to_string()),
        Value::Float(number) => out.push(&json_float(*number)),
        Value::Text(text) | Value::Safe(text) => write_json_text(text, settings.ascii, out),
        Value::List(items) | Value::Tuple(items) if items.items.is_empty() => out.push("[]"),
        Value::List(items) | Value::Tuple(items) => {
            out.push("[")?;
            for (place, item) in items.items.iter().enumerate() {
                if place > 0 {
                    out.push(&settings.separators.0)?;
                }
                newline(level + 1, out)?;
                write_json(item, settings, level + 1, out)?;
            }
            newline(level, out)?;
            out.push("]")
        }
        Value::Dict(dict) if dict.entries.is_empty() => out.push("{}"),
        Value::Dict(dict) => {
            let mut entries: Vec<&(Value, Value)> = dict.entries.iter().collect();
            if settings.sorted {
                entries = sorted(entries, &|(key, _)| key, out.budget)?;
            }
            out.push("{")?;
            for (place, (key, value)) in entries.into_iter().enumerate() {
                if place > 0 {
                    out.push(&settings.separators.0)?;
                }
                newline(level + 1, out)?;
                let key = match key {
                    Value::Text(text) | Value::Safe(text) => text.to_string(),
                    Value::None => "null".to_string(),
                    Value::Bool(value) => value.to_string(),
                    Value::Integer(number) => number.to_string(),
                    Value::Float(number) => json_float(*number),
                    other => return Err(format!("a {} cannot be a key in JSON", other.kind())),
                };
                write_json_text(&key, settings.ascii, out)?;
                out.push(&settings.separators.1)?;
                write_json(value, settings, level + 1, out)?;
            }
            newline(level, out)?;
            out.push("}")
        }
        other => Err(format!("a {} cannot be written as JSON", other.kind())),
    }
}

fn json_float(number: f64) -> String {
    match float(number).as_str() {
        "nan" => "NaN".to_string(),
        "inf" => "Infinity".to_string(),
        "-inf" => "-Infinity".to_string(),
        plain => plain.to_string(),
    }
}

fn write_json_text(text: &str, ascii: bool, out: &mut Paid<'_>) -> Outcome<()> {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\x08' => json.push_str("\\b"),
            '\x0c' => json.push_str("\\f"),
            c if (c as u32) < 0x20 || (ascii && !(' '..='~').contains(&c)) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string does not fail.
                    write!(json, "\\u{unit:04x}").unwrap_or_default();
                }
            }
            c => json.push(c),
        }
    }
    json.push('"');
    out.push(&json)
}

/// Sorted by keys; equal ones keep their order. Fails where two keys have no order, which the sorts
/// of the library cannot.
pub(super) fn sorted<T>(
    mut values: Vec<T>,
    key: &impl Fn(&T) -> &Value,
    budget: &Budget,
) -> Outcome<Vec<T>> {
    if values.len() < 2 {
        return Ok(values);
    }
    let second = sorted(values.split_off(values.len() / 2), key, budget)?;
    let mut first = sorted(values, key, budget)?.into_iter().peekable();
    let mut merged = Vec::with_capacity(first.len() + second.len());
    for item in second {
        while let Some(earlier) = first.peek() {
            let order = key(&item)
                .order(key(earlier), budget)?
                .ok_or("what is not a number has no order")?;
            if order == std::cmp::Ordering::Less {
                break;
            }
            merged.extend(first.next());
        }
        merged.push(item);
    }
    merged.extend(first);
    Ok(merged)
}

/// How a value is written into a field: `%5.2f` or `{:>5}`.
#[derive(Default)]
struct Field {
    fill: Option<char>,
    /// `<`, `>`, `^` or `=`.
    align: Option<char>,
    plus: Option<char>,
    alternate: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
}

impl Field {
    /// Puts `body` with its `sign` and prefix into the field.
    fn filled(
        &self,
        sign: &str,
        body: &str,
        default_align: char,
        out: &mut Paid<'_>,
    ) -> Outcome<()> {
        let length = sign.chars().count() + body.chars().count();
        let missing = self.width.saturating_sub(length);
        let fill = self.fill.unwrap_or(' ').to_string();
        let (before, between, after) = match self.align.unwrap_or(default_align) {
            '<' => (0, 0, missing),
            '^' => (missing / 2, 0, missing - missing / 2),
            '=' => (0, missing, 0),
            _ => (missing, 0, 0),
        };
        out.repeat(&fill, before)?;
        out.push(sign)?;
        out.repeat(&fill, between)?;
        out.push(body)?;
        out.repeat(&fill, after)
    }

    fn sign(&self, is_negative: bool) -> &'static str {
        match (is_negative, self.plus) {
            (true, _) => "-",
            (_, Some('+')) => "+",
            (_, Some(' ')) => " ",
            _ => "",
        }
    }

    fn integer(&self, number: i128, kind: char, out: &mut Paid<'_>) -> Outcome<()> {
        let size = number.unsigned_abs();
        let (prefix, digits) = match kind {
            'x' => ("0x", format!("{size:x}")),
            'X' => ("0X", format!("{size:X}")),
            'o' => ("0o", format!("{size:o}")),
            'b' => ("0b", format!("{size:b}")),
            _ => ("", size.to_string()),
        };
        let prefix = if self.alternate { prefix } else { "" };
        // `%.3d`: at least so many digits.
        let mut padded = Paid::new(out.budget);
        padded.repeat("0", self.precision.unwrap_or(0).saturating_sub(digits.len()))?;
        let digits = padded.text + &digits;
        let sign = format!("{}{prefix}", self.sign(number < 0));
        self.filled(&sign, &grouped(&digits, self.grouping), '>', out)
    }

    fn float(&self, number: f64, kind: char, out: &mut Paid<'_>) -> Outcome<()> {
        let precision = self.precision.unwrap_or(6);
        if precision > 1000 {
            return Err("a precision of more than 1000 digits".to_string());
        }
        out.budget.spend(precision as u64 + 400)?;
        let size = number.abs();
        let body = if size.is_finite() {
            match kind.to_ascii_lowercase() {
                'e' => exponential(size, precision),
                'g' => general(size, precision.max(1), self.alternate),
                '%' => format!("{:.precision$}%", size * 100.0),
                _ => format!("{size:.precision$}"),
            }
        } else if size.is_nan() {
            "nan".to_string()
        } else {
            "inf".to_string()
        };
        let body = if kind.is_ascii_uppercase() { body.to_ascii_uppercase() } else { body };
        let is_negative = number.is_sign_negative() && !number.is_nan();
        self.filled(self.sign(is_negative), &grouped(&body, self.grouping), '>', out)
    }

    fn text(&self, text: &str, out: &mut Paid<'_>) -> Outcome<()> {
        let cut = self
            .precision
            .and_then(|length| text.char_indices().nth(length))
            .map_or(text.len(), |(at, _)| at);
        self.filled("", &text[..cut], '<', out)
    }
}

fn exponential(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

fn general(size: f64, precision: usize, keeps_zeros: bool) -> String {
    let rounded = format!("{size:.*e}", precision - 1);
    let exponent: i32 =
        rounded.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let bare = |text: String| {
        if keeps_zeros || !text.contains('.') {
            return text;
        }
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    };
    if exponent < -4 || exponent >= precision as i32 {
        let text = exponential(size, precision - 1);
        let (digits, power) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{power}", bare(digits.to_string()));
    }
    bare(format!("{size:.*}", (precision as i32 - 1 - exponent).max(0) as usize))
}

/// Digits before the point in groups of three.
fn grouped(digits: &str, separator: Option<char>) -> String {
    let Some(separator) = separator else { return digits.to_string() };
    let whole = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let mut out = String::new();
    for (place, digit) in digits[..whole].chars().enumerate() {
        if place > 0 && (whole - place).is_multiple_of(3) {
            out.push(separator);
        }
        out.push(digit);
    }
    out + &digits[whole..]
}

/// Reads the flags of a `%` into `field`; says whether it is to be filled with zeros.
fn flags(rest: &mut &str, field: &mut Field) -> bool {
    let mut zeros = false;
    while let Some(flag) = rest.chars().next().filter(|flag| "-+ #0".contains(*flag)) {
        match flag {
            '-' => field.align = Some('<'),
            '#' => field.alternate = true,
            '0' => zeros = true,
            ' ' => field.plus = field.plus.or(Some(' ')),
            _ => field.plus = Some('+'),
        }
        *rest = &rest[1..];
    }
    zeros
}

/// `format % values`: a tuple gives one value after another, a dictionary those that are named.
pub(super) fn percent(format: &str, values: &Value, budget: &Budget) -> Outcome<String> {
    let mut out = Paid::new(budget);
    let several = match values {
        Value::Tuple(items) => items.items.clone(),
        other => vec![other.clone()],
    };
    let mut next = several.iter();
    let mut used_names = false;
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push(&rest[..at])?;
        rest = &rest[at + 1..];
        let named = match rest.strip_prefix('(') {
            None => None,
            Some(after) => {
                let end = after.find(')').ok_or("`%(` without `)`")?;
                rest = &after[end + 1..];
                let Value::Dict(dict) = values else {
                    return Err("a `%(name)` needs a dictionary".to_string());
                };
                used_names = true;
                let found = dict.get(&Value::text(&after[..end]), budget)?;
                Some(found.ok_or_else(|| format!("`%({})`: there is no such key", &after[..end]))?)
            }
        };
        let mut field = Field::default();
        let zeros = flags(&mut rest, &mut field);
        field.width = number(&mut rest)?.unwrap_or(0);
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            field.precision = Some(number(&mut rest)?.unwrap_or(0));
        }
        rest = rest.trim_start_matches(['h', 'l', 'L']);
        let kind = rest.chars().next().ok_or("a `%` at the end")?;
        rest = &rest[kind.len_utf8()..];
        if kind == '%' {
            out.push("%")?;
            continue;
        }
        let value = match named {
            Some(value) => value,
            None => next.next().cloned().ok_or("more `%` than values")?,
        };
        if zeros && field.align.is_none() && !matches!(kind, 's' | 'r' | 'a' | 'c') {
            (field.fill, field.align) = (Some('0'), Some('='));
        }
        // `%s` is aligned to the right unless told otherwise, `{}` to the left.
        let right = field.align.or(Some('>'));
        match kind {
            's' | 'r' | 'a' => {
                let text = if kind == 's' {
                    str_of(&value, budget)?.to_string()
                } else {
                    repr_of(&value, budget)?
                };
                Field { align: right, ..field }.text(&text, &mut out)?;
            }
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
                let number = match &value {
                    Value::Float(number)
                        if matches!(kind, 'd' | 'i' | 'u') && number.is_finite() =>
                    {
                        *number as i128
                    }
                    other => other
                        .as_integer()
                        .ok_or_else(|| format!("`%{kind}` of a {}", other.kind()))?,
                };
                field.integer(number, kind, &mut out)?;
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                let number =
                    value.as_float().ok_or_else(|| format!("`%{kind}` of a {}", value.kind()))?;
                field.float(number, kind, &mut out)?;
            }
            'c' => {
                let c =
                    value.as_integer().and_then(|code| char::from_u32(u32::try_from(code).ok()?));
                let text = c.map(|c| c.to_string()).or_else(|| value.as_text().map(str::to_string));
                let text = text
                    .filter(|text| text.chars().count() == 1)
                    .ok_or("`%c` takes one character")?;
                Field { align: right, precision: None, ..field }.text(&text, &mut out)?;
            }
            _ => return Err(format!("the format `%{kind}` is not known")),
        }
    }
    out.push(rest)?;
    let may_be_left = match values {
        // What can be asked for places, Python takes for a dictionary.
        Value::Dict(_) | Value::List(_) | Value::View("range", _) | Value::Undefined(_) => true,
        _ => used_names,
    };
    if !may_be_left && next.next().is_some() {
        return Err("more values than `%`".to_string());
    }
    Ok(out.text)
}

fn number(rest: &mut &str) -> Outcome<Option<usize>> {
    let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    if length == 0 {
        return if rest.starts_with('*') {
            Err("the width `*` is not known".to_string())
        } else {
            Ok(None)
        };
    }
    let number = rest[..length].parse().map_err(|_| "a width that is too large".to_string())?;
    *rest = &rest[length..];
    Ok(Some(number))
}

/// `format.format(...)`; `lookup` finds what a field names.
pub(super) fn format(
    format: &str,
    budget: &Budget,
    mut lookup: impl FnMut(&str) -> Outcome,
) -> Outcome<String> {
    let mut out = Paid::new(budget);
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        out.push(&rest[..at])?;
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push(brace)?;
            rest = after;
            continue;
        }
        let end =
            rest.find('}').filter(|_| brace == "{").ok_or("a brace of a format has no partner")?;
        let field = &rest[..end];
        rest = &rest[end + 1..];
        if field.contains('{') {
            return Err("a format within a format is not known".to_string());
        }
        let (head, specification) = field.split_once(':').unwrap_or((field, ""));
        let (name, conversion) =
            head.split_once('!').map_or((head, None), |(name, kind)| (name, Some(kind)));
        let value = lookup(name)?;
        let value = match conversion {
            None => value,
            Some("s") => Value::Text(str_of(&value, budget)?),
            Some("r") => Value::text(&repr_of(&value, budget)?),
            Some(other) => return Err(format!("the conversion `!{other}` is not known")),
        };
        write_field(&value, specification, &mut out)?;
    }
    out.push(rest)?;
    Ok(out.text)
}

fn write_field(value: &Value, specification: &str, out: &mut Paid<'_>) -> Outcome<()> {
    if specification.is_empty() {
        let text = str_of(value, out.budget)?;
        return out.push(&text);
    }
    let mut field = Field::default();
    let mut rest = specification;
    let mut first = rest.chars();
    if let (Some(fill), Some(align)) = (first.next(), first.next())
        && "<>^=".contains(align)
    {
        (field.fill, field.align) = (Some(fill), Some(align));
        rest = first.as_str();
    } else if let Some(align) = rest.chars().next().filter(|align| "<>^=".contains(*align)) {
        field.align = Some(align);
        rest = &rest[1..];
    }
    if let Some(sign) = rest.chars().next().filter(|sign| "+- ".contains(*sign)) {
        field.plus = Some(sign);
        rest = &rest[1..];
    }
    if let Some(after) = rest.strip_prefix('#') {
        field.alternate = true;
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('0') {
        if field.align.is_none() {
            (field.fill, field.align) = (Some('0'), Some('='));
        }
        rest = after;
    }
    field.width = number(&mut rest)?.unwrap_or(0);
    if let Some(separator) = rest.chars().next().filter(|c| matches!(c, ',' | '_')) {
        if field.fill == Some('0') {
            return Err("zeros and groups of digits in one format are not known".to_string());
        }
        field.grouping = Some(separator);
        rest = &rest[1..];
    }
    if let Some(after) = rest.strip_prefix('.') {
        rest = after;
        field.precision = Some(number(&mut rest)?.ok_or("a format with a point and no precision")?);
    }
    let kind = rest.chars().next();
    let unknown = || format!("the format `{specification}` of a {} is not known", value.kind());
    let is_whole = matches!(value, Value::Integer(_))
        && !matches!(kind, Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%'));
    if rest.chars().count() > 1 || (is_whole && field.precision.is_some()) {
        return Err(unknown());
    }
    match (value, kind) {
        (Value::Text(text), None | Some('s')) => field.text(text, out),
        (Value::Float(number), None) if field.precision.is_none() => {
            let body = grouped(&float(number.abs()), field.grouping);
            field.filled(field.sign(number.is_sign_negative()), &body, '>', out)
        }
        (Value::Integer(number), None | Some('d')) => field.integer(*number, 'd', out),
        (Value::Integer(number), Some(kind @ ('x' | 'X' | 'o' | 'b'))) => {
            field.integer(*number, kind, out)
        }
        (
            Value::Integer(_) | Value::Float(_) | Value::Bool(_),
            Some(kind @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%')),
        ) => field.float(value.as_float().unwrap_or(f64::NAN), kind, out),
        _ => Err(unknown()),
    }
}

/// A text as a number in the way that Python's `int` and `float` read it: with spaces around it and
/// underscores within.
pub(super) fn integer_of(text: &str, radix: u32) -> Option<i128> {
    let text = text.trim_matches(is_space);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = match radix {
        16 => digits.trim_start_matches("0x").trim_start_matches("0X"),
        8 => digits.trim_start_matches("0o"),
        2 => digits.trim_start_matches("0b"),
        _ => digits,
    };
    if !digits.starts_with(|c: char| c.is_digit(radix))
        || digits.ends_with('_')
        || digits.contains("__")
    {
        return None;
    }
    i128::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), radix).ok()
}

pub(super) fn float_of(text: &str) -> Option<f64> {
    text.trim_matches(is_space).replace('_', "").parse().ok()
}
