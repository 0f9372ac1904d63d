//! Tasks: what is asked, and what makes an answer right.

use super::defaults;
use crate::error::{Error, Result};
use crate::verify::AnswerFormat;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where problems come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TaskConfig {
    /// Combine all given numbers to reach a target.
    Countdown(CountdownConfig),
    /// Evaluate an expression step by step.
    Arithmetic(ArithmeticConfig),
    /// The problems of a data set.
    Dataset(DatasetConfig),
    /// A task of that name which a program built on this crate provides.
    Custom(String),
}

/// Settings of [`TaskConfig::Countdown`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CountdownConfig {
    /// How many numbers are given, 2 to 6. More is harder.
    pub numbers: usize,
    /// Smallest and largest target.
    pub target: (u32, u32),
    /// Largest given number.
    pub largest: u32,
}

impl Default for CountdownConfig {
    fn default() -> Self {
        Self { numbers: 4, target: (1, 99), largest: 13 }
    }
}

/// Settings of [`TaskConfig::Arithmetic`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArithmeticConfig {
    /// How many operations an expression has, 1 to 8. More is harder.
    pub operations: usize,
    /// Largest number in an expression.
    pub largest: u32,
}

impl Default for ArithmeticConfig {
    fn default() -> Self {
        Self { operations: 3, largest: 20 }
    }
}

/// Settings of [`TaskConfig::Dataset`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetConfig {
    /// Where the problems come from.
    pub source: DataSource,
    /// What a problem is put into: `plain`, `qwen_boxed`, `choice`, `chat` (the model's chat
    /// template) or a Jinja file. Left out, `chat` where the model has a chat template, and else
    /// `plain`, the problem as it is.
    #[serde(default)]
    pub template: Option<String>,
    /// Variables that the template reads, such as `{"enable_thinking": false}` for the chat
    /// template of Qwen3.
    #[serde(default)]
    pub template_variables: TemplateVariables,
    /// Leaves problems out whose prompts have more tokens. Those that leave no room for
    /// `rollout.max_new_tokens` are left out anyway.
    #[serde(default)]
    pub max_prompt_tokens: Option<usize>,
    /// What an answer is.
    #[serde(default)]
    pub verifier: AnswerFormat,
    /// The problems that are never trained on.
    #[serde(default)]
    pub held_out: HeldOutSource,
}

impl DatasetConfig {
    /// The largest [`Self::max_prompt_tokens`].
    pub(crate) const MOST_PROMPT_TOKENS: usize = 1 << 24;
}

/// Variables of a template by name.
pub type TemplateVariables = BTreeMap<String, TemplateValue>;

/// The value of a template's variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TemplateValue {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Decimal(f64),
    /// A text.
    Text(String),
    /// Several of them.
    List(Vec<TemplateValue>),
}

/// Where a data set comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataSource {
    /// A file: JSON, JSON Lines, CSV or Parquet; or a folder with the shards of one data set.
    Local(PathBuf),
    /// Files of a repository of the Hugging Face hub, downloaded where they are not in the hub's
    /// cache yet.
    Hub(HubDataset),
}

impl DataSource {
    pub(super) fn validate(&self, field: &str) -> Result<()> {
        match self {
            Self::Hub(hub) if hub.files.is_empty() => {
                let problem =
                    "is empty; name at least one file of the repository, such as test.jsonl";
                Err(Error::field(format!("{field}.files"), problem))
            }
            _ => Ok(()),
        }
    }
}

/// Files of a data set on the Hugging Face hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubDataset {
    /// `owner/name`, such as `openai/gsm8k`.
    pub repo: String,
    /// The files, such as `main/train-00000-of-00001.parquet`; all rows of them, in this order.
    pub files: Vec<String>,
    /// Branch, tag or commit; the commit that it stood for is written into the run folder.
    /// `refs/convert/parquet` is the hub's own conversion, with files `CONFIG/SPLIT/0000.parquet`.
    #[serde(default = "defaults::revision")]
    pub revision: String,
}

/// The problems of a data set that are never trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum HeldOutSource {
    /// About this share of the problems, between 0 and 1: those whose text has a small hash,
    /// whatever else is in the files.
    Share(f64),
    /// Another data set.
    Other(DataSource),
}

impl Default for HeldOutSource {
    fn default() -> Self {
        Self::Share(0.1)
    }
}
