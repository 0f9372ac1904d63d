//! The columns of a row by the names that data sets give them, and what their values say.

use super::json::DIGITS;
use super::parquet::BYTES;
use super::row::Row;
use serde_json::Value;

/// Where the right answer stands.
pub(super) const ANSWER: &[&str] = &["answer", "ground_truth", "reward_model.ground_truth"];

/// The values of these columns that the row has and that are neither null nor empty, in this order.
/// A dot leads into an object.
pub(super) fn columns<'a>(
    row: &'a Row,
    aliases: &'a [&'a str],
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    aliases.iter().filter_map(|alias| {
        let (name, inner) =
            alias.split_once('.').map_or((*alias, None), |(name, inner)| (name, Some(inner)));
        let value =
            row.columns.iter().find(|(known, _)| known.trim().eq_ignore_ascii_case(name))?.1;
        let value = match inner {
            None => value,
            Some(inner) => value.get(inner)?,
        };
        let is_empty = value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
        (!is_empty).then_some((*alias, value))
    })
}

/// The first of [`columns`].
pub(super) fn column<'a>(row: &'a Row, aliases: &'a [&'a str]) -> Option<(&'a str, &'a Value)> {
    columns(row, aliases).next()
}

/// A text without the white space around it, or a number as it is written.
pub(super) fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(object) => object.get(DIGITS).and_then(Value::as_str).map(str::to_string),
        _ => None,
    }
}

/// What a value is, where it is not text.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Array(_) => "a list",
        Value::Number(_) => "a number",
        Value::Object(object) if object.contains_key(DIGITS) => "a number",
        Value::Object(object) if object.contains_key(BYTES) => "bytes that are not UTF-8",
        _ => "an object",
    }
}

/// What is said of a column that should hold a text or a number.
pub(super) fn not_text(what: &str, column: &str, value: &Value) -> String {
    format!(
        "the {what} is neither a text nor a number: the column `{column}` holds {}",
        kind(value)
    )
}
