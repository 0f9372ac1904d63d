//! Training of a small base model from nothing.

use super::evaluation::{EvaluationConfig, check_evaluations};
use super::model::{DeviceChoice, ShapeConfig};
use super::optimizer::OptimizerConfig;
use super::range::{check_name, count};
use super::task::TaskConfig;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Training of a small base model from nothing on worked solutions of a procedural task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pretrain {
    /// The model's name.
    pub name: String,
    /// Decides weights and data.
    #[serde(default)]
    pub seed: u64,
    /// Where tensors live.
    #[serde(default)]
    pub device: DeviceChoice,
    /// The network's shape.
    pub model: ShapeConfig,
    /// Where worked solutions come from: a procedural task.
    pub task: TaskConfig,
    /// Texts that become one token each, besides single bytes.
    #[serde(default)]
    pub words: Vec<String>,
    /// Worked solutions per optimizer step.
    pub batch: usize,
    /// Optimizer steps.
    pub steps: u64,
    /// How the loss moves the weights.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Most tokens of one forward and backward pass.
    #[serde(default = "default_micro_batch_tokens")]
    pub micro_batch_tokens: usize,
    /// What is measured at the end (and every so many steps) and written into the model card.
    #[serde(default)]
    pub evaluations: Vec<EvaluationConfig>,
    /// The folder that the model is written to.
    pub out: PathBuf,
}

pub(super) fn default_micro_batch_tokens() -> usize {
    4096
}

impl Pretrain {
    /// Refuses values out of range, each by its field's name.
    pub fn validate(&self) -> Result<()> {
        check_name(&self.name)?;
        count("batch", self.batch, 1, 1 << 20)?;
        count("steps", self.steps as usize, 1, usize::MAX)?;
        count("micro_batch_tokens", self.micro_batch_tokens, 1, usize::MAX)?;
        if self.words.iter().any(String::is_empty) {
            return Err(Error::field(
                "words",
                "holds an empty text; every entry must have at least one character",
            ));
        }
        let OptimizerConfig::AdamW(adamw) = &self.optimizer;
        adamw.validate()?;
        check_evaluations(&self.evaluations)
    }
}
