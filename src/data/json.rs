//! Rows of JSON files, and values of JSON texts as they are written: numbers keep their digits, and
//! no key may be there twice.

use super::row::Row;
use crate::escape::{MOST_LISTED, MOST_SHOWN, cut, listed};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt;

/// How deep lists and objects of a row may be nested.
const MAX_DEPTH: usize = 32;

/// The rows of a `.json` file: a list, an object with a list as `data`, or an object a line.
pub(super) fn whole(text: &str) -> Result<Vec<Row>, String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let first = match values.next() {
        None => return Err("not valid JSON: the file is empty".to_string()),
        Some(first) => first.map_err(|e| format!("not valid JSON: {e}"))?,
    };
    let has_more = values.next().is_some();
    if has_more && first.get().starts_with('{') {
        return lines(text);
    }
    // Says where the rest begins.
    let first: &RawValue =
        serde_json::from_str(text).map_err(|e| format!("not valid JSON: {e}"))?;
    let list = match first.get().as_bytes().first() {
        Some(b'[') => first,
        Some(b'{') => {
            let Entries(entries) = parsed(first.get())?;
            match entries.iter().find(|(name, value)| name == "data" && is_list(value)) {
                Some((_, list)) => *list,
                None => return object(&entries, first),
            }
        }
        _ => return Err(NEITHER.to_string()),
    };
    let rows: Vec<&RawValue> = parsed(list.get())?;
    rows.into_iter()
        .enumerate()
        .map(|(index, value)| row(format!("row {}", index + 1), value))
        .collect()
}

const NEITHER: &str = "the file is neither a list of objects nor an object with such a list as \
                       `data`, nor has it an object a line";

fn is_list(value: &RawValue) -> bool {
    value.get().starts_with('[')
}

/// A file that holds one object is one row, unless it holds lists of rows.
fn object(entries: &[(String, &RawValue)], whole: &RawValue) -> Result<Vec<Row>, String> {
    let lists: Vec<&str> =
        entries.iter().filter(|(_, value)| is_list(value)).map(|(name, _)| name.as_str()).collect();
    let is_row = entries.iter().any(|(_, value)| !is_list(value) && !value.get().starts_with('{'));
    if is_row {
        return Ok(vec![row("row 1".to_string(), whole)?]);
    }
    let holds_rows = |value: &RawValue| value.get()[1..].trim_start().starts_with('{');
    if !lists.is_empty() && entries.iter().all(|(_, value)| is_list(value) && holds_rows(value)) {
        return Err(format!(
            "the file holds several data sets ({}); write the one that is meant into a file of its \
             own",
            listed(lists, MOST_LISTED)
        ));
    }
    Err(NEITHER.to_string())
}

/// An object a line.
pub(super) fn lines(text: &str) -> Result<Vec<Row>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let place = format!("line {}", index + 1);
            let value: &RawValue = serde_json::from_str(line).map_err(|e| {
                // The position within the line is a column; serde_json calls the line 1.
                let text = e.to_string();
                let text = text.split(" at line ").next().unwrap_or(&text).to_string();
                format!("{place}, column {}: not valid JSON: {text}", e.column())
            })?;
            row(place, value)
        })
        .collect()
}

fn row(place: String, value: &RawValue) -> Result<Row, String> {
    if !value.get().starts_with('{') {
        return Err(format!(
            "{place}: not an object such as {{\"problem\": \"...\", \"answer\": \"...\"}}"
        ));
    }
    let at = |problem: String| format!("{place}: {problem}");
    let Entries(entries) = parsed(value.get()).map_err(at)?;
    let columns =
        entries.into_iter().map(|(name, value)| Ok((name, exact(value, MAX_DEPTH).map_err(at)?)));
    Row::new(place.clone(), columns.collect::<Result<Vec<_>, String>>()?)
}

fn parsed<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|e| format!("not valid JSON: {e}"))
}

/// The entries of an object, those that are there twice too.
struct Entries<'t>(Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// The key under which a number that is not a whole one of 64 bits has its digits.
pub(super) const DIGITS: &str = "\0digits";

/// A number as the text of its digits, and as no text.
pub(super) fn number(digits: &str) -> Value {
    serde_json::json!({ DIGITS: digits })
}

/// A value in which whole numbers of 64 bits are numbers, and all others have the [`DIGITS`] of the
/// file.
fn exact(value: &RawValue, depth: usize) -> Result<Value, String> {
    let text = value.get();
    if depth == 0 {
        return Err(format!("lists and objects are nested more than {MAX_DEPTH} levels deep"));
    }
    Ok(match text.as_bytes().first() {
        Some(b'[') => {
            let items: Vec<&RawValue> = parsed(text)?;
            Value::Array(
                items.into_iter().map(|item| exact(item, depth - 1)).collect::<Result<_, _>>()?,
            )
        }
        Some(b'{') => {
            let Entries(entries) = parsed(text)?;
            let mut map = Map::new();
            for (name, value) in entries {
                if map.contains_key(&name) {
                    return Err(format!(
                        "the column {:?} is there twice; rename one of them",
                        cut(&name, MOST_SHOWN)
                    ));
                }
                map.insert(name, exact(value, depth - 1)?);
            }
            Value::Object(map)
        }
        Some(b'-' | b'0'..=b'9') => match text.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => number(&digits(text)),
        },
        _ => parsed(text)?,
    })
}

/// A number without an exponent, as long as that is no more than 40 digits away: `1.5e3` is 1500.
fn digits(text: &str) -> String {
    let Some((number, exponent)) = text.split_once(['e', 'E']) else { return text.to_string() };
    let exponent = match exponent.parse::<i32>() {
        Ok(exponent) if exponent.abs() <= 40 => exponent,
        _ => return text.to_string(),
    };
    let (sign, number) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let all = format!("{whole}{decimals}");
    let point = whole.len() as i32 + exponent;
    let (whole, decimals) = if point <= 0 {
        (String::new(), "0".repeat(point.unsigned_abs() as usize) + &all)
    } else if point as usize >= all.len() {
        (all.clone() + &"0".repeat(point as usize - all.len()), String::new())
    } else {
        (all[..point as usize].to_string(), all[point as usize..].to_string())
    };
    let whole = whole.trim_start_matches('0');
    let decimals = decimals.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if decimals.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{decimals}") }
}

/// A text or a number of a JSON text. A number keeps its digits, however many it has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Label {
    /// A text.
    Text(String),
    /// A number, as it is written.
    Number(String),
}

impl Label {
    /// The text, or the number's digits.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) => text,
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Number(number) => f.write_str(number),
        }
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'"') => {
                serde_json::from_str(text).map(Self::Text).map_err(serde::de::Error::custom)
            }
            Some(b'-' | b'0'..=b'9') => Ok(Self::Number(text.to_string())),
            _ => Err(serde::de::Error::custom("a text or a number is wanted here")),
        }
    }
}

impl Serialize for Label {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => RawValue::from_string(number.clone())
                .map_err(serde::ser::Error::custom)?
                .serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        let row = &lines(
            "{\"a\": 1180591620717411303424, \"b\": 0.10, \"c\": [1.5e3, -2E-3, 1e-50], \"d\": 27, \
             \"e\": {\"f\": 3.141592653589793238462643383279}, \"g\": -9223372036854775808, \"h\": \
             1e16, \"i\": null}",
        )
        .unwrap()[0];
        let expected = serde_json::json!({
            "a": number("1180591620717411303424"), "b": number("0.10"),
            "c": [number("1500"), number("-0.002"), number("1e-50")], "d": 27,
            "e": {"f": number("3.141592653589793238462643383279")}, "g": i64::MIN, "h": number("10000000000000000"), "i": null,
        });
        assert_eq!(Value::Object(row.columns.clone()), expected);
        let deep = format!("{{\"a\": {}1{}}}", "[".repeat(50), "]".repeat(50));
        assert!(lines(&deep).err().unwrap().contains("nested more than 32"));
    }

    #[test]
    fn labels_are_written_as_they_were_read() {
        for text in ["12345678901234567890123", "\"g 1\"", "-1.50", "3"] {
            let label: Label = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&label).unwrap(), text);
        }
        assert_ne!(
            serde_json::from_str::<Label>("1").unwrap(),
            serde_json::from_str::<Label>("\"1\"").unwrap()
        );
        assert!(
            serde_json::from_str::<Label>("[1]")
                .unwrap_err()
                .to_string()
                .contains("a text or a number")
        );
    }
}
