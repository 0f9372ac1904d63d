//! `manifest.json`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What [`Manifest::inputs`] calls the file of the tokenizer.
pub(crate) const TOKENIZER: &str = "the base model's tokenizer";

/// What it calls the template of the prompts that are trained on.
pub(crate) const TEMPLATE: &str = "the prompt template";

/// What it calls a sentence encoder that is not the base model.
pub(crate) const ENCODER: &str = "the sentence encoder";

/// `manifest.json`: what a run is and where it stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The program's version.
    pub version: String,
    /// The commit that the program was built from, or `unknown`.
    pub commit: String,
    /// The device in words.
    pub device: String,
    /// The model in words.
    pub model: String,
    /// The task's name; absent in runs of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// SHA-256 of the initial weights.
    pub model_hash: String,
    /// SHA-256 of the problems of a data set, and of the settings of another task.
    pub data_hash: String,
    /// What decides the shapes of the base model's weights. This and what follows is absent in runs
    /// of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<serde_json::Map<String, Value>>,
    /// SHA-256 of everything else that it reads, by what it is: the base model's files, data,
    /// templates, suites, a sentence encoder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// What was read before, where the run continued with something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<ReplacedInput>,
    /// What was read before, and is not or not so any more because the settings ask for something
    /// else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reread: Vec<ReplacedInput>,
    /// When the run started, UTC.
    pub started: String,
    /// Where the run stood when it was last written.
    pub state: RecordedState,
    /// Steps finished.
    pub step: u64,
    /// Whether an older version wrote it, which knew less of what the run reads.
    #[serde(skip)]
    pub is_of_older_version: bool,
}

/// What versions wrote that knew no `inputs`. Their hashes of suites had the template in them, as
/// no other has now.
#[derive(Deserialize)]
struct OlderHashes {
    #[serde(rename = "tokenizer_hash")]
    tokenizer: Option<String>,
    #[serde(rename = "template_hash")]
    template: Option<String>,
    #[serde(rename = "encoder_hash")]
    encoder: Option<String>,
}

impl Manifest {
    /// What a text says that is a manifest; `None` where it is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut manifest: Self = serde_json::from_str(text).ok()?;
        if manifest.inputs.is_empty() {
            let older: OlderHashes = serde_json::from_str(text).ok()?;
            let hashes = [
                (TOKENIZER, older.tokenizer),
                (TEMPLATE, older.template),
                (ENCODER, older.encoder),
            ];
            let known =
                hashes.into_iter().filter_map(|(name, hash)| Some((name.to_string(), hash?)));
            manifest.inputs = known.collect();
            manifest.is_of_older_version = true;
        }
        Some(manifest)
    }
}

/// Where a run stands, as its manifest says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordedState {
    /// Its process trains it, or was killed while it did.
    Training,
    /// All steps are done.
    Finished,
    /// An error ended it.
    Failed,
    /// It ended on request. What a later version of the program may write counts as this: it does
    /// not train, and can be continued.
    #[serde(other)]
    Stopped,
}

/// Something that a run reads and that was replaced while it was not running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedInput {
    /// The step from which on the new one holds.
    pub step: u64,
    /// What it is, in words.
    pub input: String,
    /// The hash before.
    pub from: String,
    /// The hash afterwards.
    pub to: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{
        "version": "0.1.0", "commit": "unknown", "device": "CPU", "model": "tiny", "model_hash": "m", "data_hash": "d",
        "tokenizer_hash": "k", "template_hash": "t", "encoder_hash": "e", "suite_hashes": {"own": "s"},
        "started": "2026-11-29T10:00:00Z", "state": "finished", "step": 4
    }"#;

    #[test]
    fn what_older_versions_hashed_as_it_is_hashed_now_is_an_input() {
        let manifest = Manifest::read(OLD).unwrap();
        let inputs: Vec<(&str, &str)> =
            manifest.inputs.iter().map(|(name, hash)| (name.as_str(), hash.as_str())).collect();
        assert_eq!(inputs, [(TOKENIZER, "k"), (TEMPLATE, "t"), (ENCODER, "e")]);
        assert!(manifest.is_of_older_version && manifest.task.is_none());
        // Written again it is a manifest of this version.
        let again = Manifest::read(&serde_json::to_string(&manifest).unwrap()).unwrap();
        assert!(!again.is_of_older_version && again.inputs == manifest.inputs);
        assert!(Manifest::read("{}").is_none());
    }

    #[test]
    fn a_state_of_a_later_version_is_one_in_which_nothing_is_trained() {
        for (word, state) in [
            ("training", RecordedState::Training),
            ("finished", RecordedState::Finished),
            ("failed", RecordedState::Failed),
            ("stopped", RecordedState::Stopped),
            ("evaluating", RecordedState::Stopped),
        ] {
            let manifest =
                Manifest::read(&OLD.replace("\"finished\"", &format!("{word:?}"))).unwrap();
            assert_eq!(manifest.state, state, "{word}");
        }
        assert_eq!(serde_json::to_string(&RecordedState::Stopped).unwrap(), "\"stopped\"");
    }
}
