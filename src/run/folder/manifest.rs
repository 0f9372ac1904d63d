//! `manifest.json`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

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
    /// SHA-256 of the initial weights.
    pub model_hash: String,
    /// SHA-256 of the problems of a data set, and of the settings of another task.
    pub data_hash: String,
    /// What decides the shapes of the base model's weights. This and what follows is absent in runs of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<serde_json::Map<String, Value>>,
    /// SHA-256 of everything else that it reads, by what it is: the base model's files, data, templates, suites, a sentence encoder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// What was read before, where the run went on with something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<ReplacedInput>,
    /// When the run started, UTC.
    pub started: String,
    /// Where the run stood when it was last written.
    pub state: RecordedState,
    /// Steps finished.
    pub step: u64,
}

/// Where a run stands, as its manifest says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordedState {
    /// Its process trains it, or was killed while it did.
    Training,
    /// All steps are done.
    Finished,
    /// It ended on request.
    Stopped,
    /// An error ended it.
    Failed,
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
