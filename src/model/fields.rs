//! The fields of a JSON file that somebody else made, asked for by name: what is wrong with one
//! names it and its value.

use crate::error::{Error, Result};
use crate::escape::{MOST_LISTED, MOST_SHOWN, cut, listed};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A JSON object and where it comes from.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    /// Names the file, and what of it, in messages: `config.json's rope_scaling.`.
    origin: String,
    fields: Map<String, Value>,
}

impl Fields {
    /// Parses the text of the file `name`.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self> {
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Self { origin: format!("{name}'s "), fields }),
            Ok(_) => Err(Error::input(format!("{name} is not valid: it must be a JSON object"))),
            Err(error) => Err(Error::input(format!(
                "{name} is not valid: {}",
                cut(&error.to_string(), MOST_SHOWN)
            ))),
        }
    }

    /// All of them.
    pub(super) fn map(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// The value of a field; null is as good as absent.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// Whether the field is there, be it null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// The complaint about a field: `config.json's hidden_act is "gelu"; {right}`.
    pub(super) fn wrong(&self, name: &str, right: &str) -> Error {
        let value = self.fields.get(name).unwrap_or(&Value::Null);
        Error::input(format!(
            "{}{} is {}; {right}",
            self.origin,
            cut(name, MOST_SHOWN),
            in_words(value)
        ))
    }

    /// The complaint about a field that is missing.
    pub(super) fn missing(&self, name: &str) -> Error {
        Error::input(format!("{}{name} is missing", self.origin))
    }

    /// A whole number.
    pub(super) fn count(&self, name: &str) -> Result<Option<usize>> {
        let read = |value: &Value| value.as_u64().and_then(|count| usize::try_from(count).ok());
        self.read(name, read, "it must be a whole number")
    }

    /// A finite number.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>> {
        self.read(
            name,
            |value| value.as_f64().filter(|number| number.is_finite()),
            "it must be a number",
        )
    }

    /// True or false.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>> {
        self.read(name, Value::as_bool, "it must be true or false")
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(name, "it must be a text"))
    }

    /// One value or a list of them, each as `read` reads it; `right` says what it must be.
    pub(super) fn list<T>(
        &self,
        name: &str,
        read: impl Fn(&Value) -> Option<T>,
        right: &str,
    ) -> Result<Option<Vec<T>>> {
        let all = |value: &Value| match value {
            Value::Array(values) => values.iter().map(&read).collect(),
            one => Some(vec![read(one)?]),
        };
        self.read(name, all, right)
    }

    /// An object within this one.
    pub(super) fn object(&self, name: &str) -> Result<Option<Self>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let Value::Object(fields) = value else {
            return Err(self.wrong(name, "it must be an object"));
        };
        Ok(Some(Self { origin: format!("{}{name}.", self.origin), fields: fields.clone() }))
    }

    fn read<T>(
        &self,
        name: &str,
        read: impl Fn(&Value) -> Option<T>,
        right: &str,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.wrong(name, right))
    }

    /// Refuses fields that are not at the value beside them in `defaults`, and those that are
    /// neither there nor among `known`, unless they say no more than their absence; `right` says
    /// why and what to do.
    pub(super) fn only<'a>(
        &'a self,
        defaults: &[(&'a str, Value)],
        known: impl IntoIterator<Item = &'a str>,
        right: &str,
    ) -> Result<()> {
        for (name, default) in defaults {
            if self.get(name).is_some_and(|value| !is_same(value, default)) {
                return Err(
                    self.wrong(name, &format!("that is not supported, only {}", in_words(default)))
                );
            }
        }
        let known: BTreeSet<&str> =
            known.into_iter().chain(defaults.iter().map(|(name, _)| *name)).collect();
        let says = |(name, value): &(&String, &Value)| {
            !known.contains(name.as_str()) && !is_nothing(value)
        };
        let beyond: Vec<&String> = self.fields.iter().filter(says).map(|(name, _)| name).collect();
        match beyond.split_first() {
            None => Ok(()),
            Some((name, [])) => Err(self.wrong(name, right)),
            Some((name, more)) => Err(self
                .wrong(name, &format!("{right}; the same goes for {}", listed(more, MOST_LISTED)))),
        }
    }
}

/// Whether two values are the same; numbers are, however they are written.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.to_bits() == other.to_bits(),
        _ => one == other,
    }
}

/// Whether a value says no more than its absence: null, false, and empty texts, lists and objects.
pub(super) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// A value in a message, cut where it is long.
pub(super) fn in_words(value: &Value) -> String {
    const LONGEST: usize = 120;
    match value {
        Value::Array(values) if values.len() > MOST_LISTED => {
            cut(&format!("[{}]", listed(values, MOST_LISTED)), LONGEST)
        }
        _ => cut(&value.to_string(), LONGEST),
    }
}
