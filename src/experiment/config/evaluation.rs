//! What is measured during training.

use super::range::{Bounds, count, count_up_to};
use super::task::{DatasetConfig, TemplateVariables};
use crate::error::Result;
use crate::experiment::Every;
use crate::verify::AnswerFormat;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One suite that is measured during training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationConfig {
    /// What is measured.
    pub suite: SuiteConfig,
    /// Steps between measurements; the base model and the last step are always measured.
    #[serde(default = "every")]
    pub every: Every,
    /// Completions per problem.
    #[serde(default = "samples")]
    pub samples: usize,
    /// pass@k for these k, each at most `samples`.
    #[serde(default = "k")]
    pub k: Vec<usize>,
    /// Sampling temperature.
    #[serde(default = "temperature")]
    pub temperature: f64,
    /// Draws from so many of the likeliest tokens only.
    #[serde(default)]
    pub top_k: Option<usize>,
    /// Draws from the smallest set of likeliest tokens whose probabilities sum to at least this.
    #[serde(default)]
    pub top_p: Option<f64>,
}

impl EvaluationConfig {
    /// What [`Self::samples`] is where it is left out.
    pub(crate) const SAMPLES: usize = 16;
    /// The largest [`Self::samples`].
    pub(crate) const MOST_SAMPLES: usize = 4096;
    /// What [`Self::temperature`] is where it is left out. Of 0 the likeliest token is taken.
    pub(crate) const TEMPERATURE: f64 = 0.8;
    /// What it can be.
    pub(crate) const TEMPERATURES: Bounds = Bounds::new(0.0, 100.0);
    /// What [`Self::top_p`] can be.
    pub(crate) const TOP_P: Bounds = Bounds::new(f64::MIN_POSITIVE, 1.0);
    /// Most problems of a suite.
    pub(crate) const MOST_PROBLEMS: usize = 1_000_000;
}

fn every() -> Every {
    Every(25)
}

fn samples() -> usize {
    EvaluationConfig::SAMPLES
}

fn k() -> Vec<usize> {
    vec![1, 4, 16]
}

fn temperature() -> f64 {
    EvaluationConfig::TEMPERATURE
}

/// Problems to measure on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SuiteConfig {
    /// The first problems of the task's held-out split, the same in every run.
    HeldOut(HeldOutConfig),
    /// A published benchmark, such as `Named(name: "MATH500")`.
    Named(NamedSuite),
    /// The problems of a file, such as `File(path: "problems.jsonl")`.
    File(FileSuite),
}

/// Settings of [`SuiteConfig::Named`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedSuite {
    /// `MATH500`, `AMC`, `AIME24`, `AIME25`, `GPQA`, `MMLU-Pro` or `GSM8K`.
    pub name: String,
    /// As [`DatasetConfig::template`](super::DatasetConfig::template).
    #[serde(default)]
    pub template: Option<String>,
    /// As [`DatasetConfig::template_variables`](super::DatasetConfig::template_variables).
    #[serde(default)]
    pub template_variables: TemplateVariables,
    /// As [`DatasetConfig::max_prompt_tokens`](super::DatasetConfig::max_prompt_tokens).
    #[serde(default)]
    pub max_prompt_tokens: Option<usize>,
    /// The first so many problems only.
    #[serde(default)]
    pub problems: Option<usize>,
    /// Branch, tag or commit of the repository on the hub, in place of the newest. The run folder
    /// names the commit.
    #[serde(default)]
    pub revision: Option<String>,
}

/// Settings of [`SuiteConfig::File`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSuite {
    /// JSON, JSON Lines, CSV or Parquet.
    pub path: PathBuf,
    /// As [`DatasetConfig::template`](super::DatasetConfig::template).
    #[serde(default)]
    pub template: Option<String>,
    /// As [`DatasetConfig::template_variables`](super::DatasetConfig::template_variables).
    #[serde(default)]
    pub template_variables: TemplateVariables,
    /// As [`DatasetConfig::max_prompt_tokens`](super::DatasetConfig::max_prompt_tokens).
    #[serde(default)]
    pub max_prompt_tokens: Option<usize>,
    /// What an answer is. Left out, `Choice` where every answer is one letter from A to J, and
    /// `Math` where not.
    #[serde(default)]
    pub verifier: Option<AnswerFormat>,
    /// The first so many problems only.
    #[serde(default)]
    pub problems: Option<usize>,
}

/// Settings of [`SuiteConfig::HeldOut`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeldOutConfig {
    /// How many problems.
    pub problems: usize,
}

impl Default for HeldOutConfig {
    fn default() -> Self {
        Self { problems: 128 }
    }
}

pub(super) fn check_evaluations(evaluations: &[EvaluationConfig]) -> Result<()> {
    for (index, evaluation) in evaluations.iter().enumerate() {
        let field = |name: &str| format!("evaluations.{index}.{name}");
        let problems = match &evaluation.suite {
            SuiteConfig::HeldOut(held_out) => held_out.problems,
            SuiteConfig::Named(NamedSuite { problems, .. })
            | SuiteConfig::File(FileSuite { problems, .. }) => problems.unwrap_or(1),
        };
        count(&field("suite.problems"), problems, 1, EvaluationConfig::MOST_PROBLEMS)?;
        if let SuiteConfig::Named(NamedSuite { max_prompt_tokens, .. })
        | SuiteConfig::File(FileSuite { max_prompt_tokens, .. }) = &evaluation.suite
        {
            let most = DatasetConfig::MOST_PROMPT_TOKENS;
            count(&field("suite.max_prompt_tokens"), max_prompt_tokens.unwrap_or(1), 1, most)?;
        }
        count(&field("every"), evaluation.every.0 as usize, 1, usize::MAX)?;
        count(&field("samples"), evaluation.samples, 1, EvaluationConfig::MOST_SAMPLES)?;
        EvaluationConfig::TEMPERATURES.check(&field("temperature"), evaluation.temperature)?;
        count(&field("top_k"), evaluation.top_k.unwrap_or(1), 1, usize::MAX)?;
        EvaluationConfig::TOP_P.check(&field("top_p"), evaluation.top_p.unwrap_or(1.0))?;
        for (place, &k) in evaluation.k.iter().enumerate() {
            count_up_to(
                &field(&format!("k.{place}")),
                k,
                1,
                (&field("samples"), evaluation.samples),
            )?;
        }
    }
    Ok(())
}
