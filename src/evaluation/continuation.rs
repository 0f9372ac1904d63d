//! Whether an evaluation that continues is the one that was begun: its settings must be the same,
//! and what it reads is compared by hashes.

use crate::error::{Error, Result};
use crate::files::checksums;
use serde_json::{Map, Value, json};
use std::fmt;
use std::path::{Path, PathBuf};

/// Something that an evaluation read and continues with in another form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Problems that were whole before.
    pub after: u64,
    /// What it is, in words.
    pub input: String,
    /// Its hash before.
    pub from: String,
    /// Its hash from there on.
    pub to: String,
    /// Whether this try replaces it.
    pub is_new: bool,
}

impl Replaced {
    /// As it stands in `settings.json` and `eval.json`.
    pub fn to_json(&self) -> Value {
        json!({ "after": self.after, "input": self.input, "from": self.from, "to": self.to })
    }

    fn of_json(value: &Value) -> Option<Self> {
        let text = |name: &str| value[name].as_str().map(str::to_string);
        let (input, from, to) = (text("input")?, text("from")?, text("to")?);
        Some(Self { after: value["after"].as_u64()?, input, from, to, is_new: false })
    }
}

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { after, input, from, to, .. } = self;
        write!(
            f,
            "{input} was replaced after {after} problems: its SHA-256 was {from} and is {to} from \
             there on"
        )
    }
}

/// The settings of an evaluation that was begun, and of the one that continues with it.
pub(super) struct Continuation {
    path: PathBuf,
    /// Those that were replaced before.
    earlier: Vec<Replaced>,
    /// Inputs that are others now: what, from, to.
    inputs: Vec<(String, String, String)>,
}

impl Continuation {
    /// Compares the text of `settings.json` at `path` with `settings`. Refuses what no evaluation
    /// wrote, and other settings.
    pub(super) fn of(earlier: &str, settings: &Map<String, Value>, path: &Path) -> Result<Self> {
        let refused = |why: &str| {
            Err(Error::input(format!("{why}; choose another --out ({})", path.display())))
        };
        let Ok(Value::Object(earlier)) = serde_json::from_str::<Value>(earlier) else {
            return refused(
                "there are files that `orthant eval` did not write, and nothing is overwritten",
            );
        };
        let Some(inputs) = earlier.get("inputs").and_then(Value::as_object) else {
            let why = if earlier.contains_key("suite_hash") {
                "the folder holds an evaluation of an older version of the program, which does not \
                 say all that decides its samples"
            } else {
                "there are files that `orthant eval` did not write, and nothing is overwritten"
            };
            return refused(why);
        };
        let of = |settings: &Map<String, Value>, name: &str| {
            settings.get(name).cloned().unwrap_or_default()
        };
        let names =
            settings.keys().chain(earlier.keys().filter(|name| !settings.contains_key(*name)));
        // Where a model is decides nothing; what it is stands among the inputs.
        let differences: Vec<String> = names
            .filter(|name| !["inputs", "replaced", "model", "base"].contains(&name.as_str()))
            .map(|name| (name, of(&earlier, name), of(settings, name)))
            .filter(|(_, before, now)| before != now)
            .map(|(name, before, now)| format!("{name} was {before} and is {now}"))
            .collect();
        if !differences.is_empty() {
            let differences = differences.join(", ");
            return refused(&format!(
                "the folder holds an evaluation with other settings: {differences}"
            ));
        }
        let now = of(settings, "inputs");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let inputs = inputs.iter().filter_map(|(name, from)| {
            let to = now.get(name)?;
            (from != to).then(|| (name.clone(), text(from), text(to)))
        });
        let replaced = of(&earlier, "replaced");
        let replaced =
            replaced.as_array().into_iter().flatten().filter_map(Replaced::of_json).collect();
        Ok(Self { path: path.to_path_buf(), earlier: replaced, inputs: inputs.collect() })
    }

    /// All that was replaced, now too, after `whole` problems. Refused where that is not accepted.
    pub(super) fn replaced(self, whole: usize, accepts_changes: bool) -> Result<Vec<Replaced>> {
        if !self.inputs.is_empty() && !accepts_changes {
            let list =
                self.inputs.iter().map(|(input, from, to)| checksums::differs(input, from, to));
            return Err(Error::input(format!(
                "the evaluation was begun with something else: {}; give it back what it read, \
                 choose another --out, or continue with --accept-changes, which records the change \
                 ({})",
                list.collect::<Vec<_>>().join("; "),
                self.path.display()
            )));
        }
        let new = self.inputs.into_iter().map(|(input, from, to)| {
            let after = whole as u64;
            Replaced { after, input, from, to, is_new: true }
        });
        Ok(self.earlier.into_iter().chain(new).collect())
    }
}
