//! Lines of the logs: what happened, which settings were changed, how true the features were.

use crate::experiment::Difference;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// A line of `events.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// The step after which it happened.
    pub step: u64,
    /// When, UTC.
    pub time: String,
    /// `started`, `paused`, `resumed`, `edit`, `checkpoint`, `warning`, `stopped`, `finished` or `error`.
    pub kind: Cow<'static, str>,
    /// What happened.
    pub text: String,
    /// What was changed, where a setting was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<SettingEdit>,
}

/// A setting that was changed while the run went on, or when it was resumed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SettingEdit {
    /// Its path in the experiment, such as `optimizer.learning_rate`.
    pub path: Cow<'static, str>,
    /// What it was: a number, or a text with anything else as RON.
    pub from: Value,
    /// What it is from the next step on.
    pub to: Value,
}

impl SettingEdit {
    /// The change that makes a field differ.
    pub fn of(difference: &Difference) -> Self {
        let value = |ron: &str| {
            let whole = ron.parse::<u64>().map(Value::from).or_else(|_| ron.parse::<i64>().map(Value::from));
            let number = whole.ok().or_else(|| ron.parse::<f64>().ok().map(Value::from));
            number.filter(Value::is_number).unwrap_or_else(|| ron.into())
        };
        Self { path: difference.path.clone().into(), from: value(&difference.from), to: value(&difference.to) }
    }

    /// As [`crate::experiment::set`] takes it.
    pub fn assignment(&self) -> String {
        format!("{}={}", self.path, ron_of(&self.to))
    }
}

/// A value of a setting as RON.
fn ron_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

impl Event {
    /// An event that happens now.
    pub fn now(step: u64, kind: &'static str, text: impl Into<String>) -> Self {
        Self { step, time: format!("{:.0}", jiff::Timestamp::now()), kind: kind.into(), text: text.into(), edit: None }
    }

    /// A setting is changed now.
    pub fn edited(step: u64, edit: SettingEdit) -> Self {
        let text = format!("{} from {} to {}", edit.path, ron_of(&edit.from), ron_of(&edit.to));
        Self { edit: Some(edit), ..Self::now(step, "edit", text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_setting_comes_back_as_it_was_given() {
        for (ron, json) in [
            ("4", "4"),
            ("-3", "-3"),
            ("18446744073709551615", "18446744073709551615"),
            ("0.001", "0.001"),
            ("inf", "\"inf\""),
            ("Grpo", "\"Grpo\""),
            ("\"4\"", "\"\\\"4\\\"\""),
        ] {
            let edit =
                SettingEdit::of(&Difference { path: "a.b".to_string(), from: "0".to_string(), to: ron.to_string() });
            let text = serde_json::to_string(&edit).unwrap();
            assert!(text.ends_with(&format!("\"to\":{json}}}")), "{text}");
            let again: SettingEdit = serde_json::from_str(&text).unwrap();
            assert_eq!(again.assignment(), format!("a.b={ron}"));
        }
        // As older versions wrote it.
        let old: SettingEdit = serde_json::from_str(r#"{"path": "method.lambda", "from": 0.5, "to": 1.0}"#).unwrap();
        assert_eq!(old.assignment(), "method.lambda=1.0");
    }
}
