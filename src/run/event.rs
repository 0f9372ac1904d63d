//! What happens in a run beside training: the lines of `events.jsonl`.

use crate::experiment::Difference;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// A line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Line", into = "Line")]
pub struct Event {
    /// The step after which it happened.
    pub step: u64,
    /// When, UTC.
    pub time: String,
    /// What kind of thing happened.
    pub kind: EventKind,
    /// What happened, in words; empty where the kind says it all.
    pub text: String,
}

/// What kind of thing happened.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// The run began.
    Started,
    /// It continues: from a checkpoint, or after a pause.
    Resumed,
    /// It waits.
    Paused,
    /// A setting was changed.
    Edit(SettingEdit),
    /// A checkpoint was written.
    Checkpoint,
    /// Something that a person should know about.
    Warning,
    /// The run ended on request.
    Stopped,
    /// All steps are done.
    Finished,
    /// An error ended the run.
    Error,
    /// Something that this version of the program does not know, by its name.
    Other(String),
}

impl EventKind {
    /// Kinds without data.
    const PLAIN: [Self; 8] = [
        Self::Started,
        Self::Resumed,
        Self::Paused,
        Self::Checkpoint,
        Self::Warning,
        Self::Stopped,
        Self::Finished,
        Self::Error,
    ];

    /// The name in the file.
    pub fn name(&self) -> &str {
        match self {
            Self::Started => "started",
            Self::Resumed => "resumed",
            Self::Paused => "paused",
            Self::Edit(_) => "edit",
            Self::Checkpoint => "checkpoint",
            Self::Warning => "warning",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::Error => "error",
            Self::Other(name) => name,
        }
    }
}

impl Event {
    /// An event that happens now.
    pub fn now(step: u64, kind: EventKind, text: impl Into<String>) -> Self {
        Self { step, time: format!("{:.0}", jiff::Timestamp::now()), kind, text: text.into() }
    }

    /// Something that a person should know about.
    pub fn warning(step: u64, text: impl Into<String>) -> Self {
        Self::now(step, EventKind::Warning, text)
    }

    /// A setting is changed now.
    pub fn edited(step: u64, edit: SettingEdit) -> Self {
        let text = format!("{} from {} to {}", edit.path, ron_of(&edit.from), ron_of(&edit.to));
        Self::now(step, EventKind::Edit(edit), text)
    }

    /// What was changed, where a setting was.
    pub fn edit(&self) -> Option<&SettingEdit> {
        match &self.kind {
            EventKind::Edit(edit) => Some(edit),
            _ => None,
        }
    }
}

/// An event as it stands in the file.
#[derive(Serialize, Deserialize)]
struct Line {
    step: u64,
    time: String,
    kind: Cow<'static, str>,
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edit: Option<SettingEdit>,
}

impl From<Line> for Event {
    fn from(Line { step, time, kind, text, edit }: Line) -> Self {
        let known = EventKind::PLAIN.into_iter().find(|known| known.name() == kind);
        let edited = edit.map(EventKind::Edit).filter(|edit| edit.name() == kind);
        let kind = known.or(edited).unwrap_or_else(|| EventKind::Other(kind.into_owned()));
        Self { step, time, kind, text }
    }
}

impl From<Event> for Line {
    fn from(Event { step, time, kind, text }: Event) -> Self {
        let name = kind.name().to_string().into();
        let edit = if let EventKind::Edit(edit) = kind { Some(edit) } else { None };
        Self { step, time, kind: name, text, edit }
    }
}

/// A setting that was changed while the run continued, or when it was resumed.
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
            let whole = ron
                .parse::<u64>()
                .map(Value::from)
                .or_else(|_| ron.parse::<i64>().map(Value::from));
            let number = whole.ok().or_else(|| ron.parse::<f64>().ok().map(Value::from));
            number.filter(Value::is_number).unwrap_or_else(|| ron.into())
        };
        Self {
            path: difference.path.clone().into(),
            from: value(&difference.from),
            to: value(&difference.to),
        }
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
            let edit = SettingEdit::of(&Difference {
                path: "a.b".to_string(),
                from: "0".to_string(),
                to: ron.to_string(),
            });
            let text = serde_json::to_string(&edit).unwrap();
            assert!(text.ends_with(&format!("\"to\":{json}}}")), "{text}");
            let again: SettingEdit = serde_json::from_str(&text).unwrap();
            assert_eq!(again.assignment(), format!("a.b={ron}"));
        }
        // As older versions wrote it.
        let old: SettingEdit =
            serde_json::from_str(r#"{"path": "method.lambda", "from": 0.5, "to": 1.0}"#).unwrap();
        assert_eq!(old.assignment(), "method.lambda=1.0");
    }

    #[test]
    fn every_kind_comes_back() {
        for kind in EventKind::PLAIN {
            let text = serde_json::to_string(&Event::now(1, kind.clone(), "a")).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&text).unwrap().kind, kind, "{text}");
        }
    }

    #[test]
    fn lines_keep_their_form_and_kinds_of_later_versions_stay_readable() {
        let edit = r#"{"path":"method.lambda","from":0.5,"to":1.0}"#;
        for (kind, more) in [
            ("started", ""),
            ("warning", ""),
            ("edit", &format!(r#","edit":{edit}"#)[..]),
            ("moved", ""),
        ] {
            let line = format!(
                r#"{{"step":3,"time":"2026-01-01T00:00:00Z","kind":"{kind}","text":"a"{more}}}"#
            );
            let event: Event = serde_json::from_str(&line).unwrap();
            assert_eq!((event.kind.name(), event.edit().is_some()), (kind, kind == "edit"));
            assert_eq!(matches!(event.kind, EventKind::Other(_)), kind == "moved");
            assert_eq!(serde_json::to_string(&event).unwrap(), line);
        }
    }
}
