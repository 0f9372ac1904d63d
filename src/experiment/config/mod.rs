//! Experiment files: what a person writes, typed, with every default in one place.
//!
//! Field and variant names here are the file format. Unknown fields are errors; sections that are
//! left out take the defaults of their type; the resolved experiment in a run folder has every
//! field written out.

mod defaults;
mod encoder;
mod evaluation;
mod model;
mod objective;
mod optimizer;
mod pretrain;
mod range;
mod record;
mod rollout;
mod task;

pub use encoder::EncoderSource;
pub use evaluation::{EvaluationConfig, FileSuite, HeldOutConfig, NamedSuite, SuiteConfig};
pub use model::{
    Adapter, DeviceChoice, HubRepository, LoraConfig, LoraTarget, ModelSource, Precision,
    Quantisation, ShapeConfig,
};
pub use objective::{KlConfig, MICRO_BATCH_TOKENS, ObjectiveConfig};
pub use optimizer::{AdamWConfig, OptimizerConfig};
pub use pretrain::Pretrain;
pub(crate) use range::Bounds;
pub use range::{count, within};
pub use record::{FidelityConfig, RecordConfig, StopConfig};
pub use rollout::{CurriculumConfig, DynamicSampling, RolloutConfig};
pub use task::{
    ArithmeticConfig, CountdownConfig, DataSource, DatasetConfig, HeldOutSource, HubDataset,
    TaskConfig, TemplateValue, TemplateVariables,
};

use crate::error::{Error, Result};
use crate::experiment::method::MethodConfig;
use evaluation::check_evaluations;
use range::{check_name, count_up_to};
use serde::{Deserialize, Serialize};

/// One training run: model, task, method and everything else that decides its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Names the run folder: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What it is for, in a sentence; shown in the dashboard.
    #[serde(default)]
    pub description: String,
    /// Decides every random choice of the run.
    #[serde(default)]
    pub seed: u64,
    /// Where tensors live.
    #[serde(default)]
    pub device: DeviceChoice,
    /// The policy to start from; also the frozen reference of the KL term.
    pub model: ModelSource,
    /// Type of weights and compute; optimizer state is `f32` in either case.
    #[serde(default)]
    pub precision: Precision,
    /// Which parameters are trained.
    #[serde(default)]
    pub adapter: Adapter,
    /// In how many bits the linear layers of an adapter's base model are kept; left out, in those
    /// of `precision`.
    #[serde(default)]
    pub quantize_base: Option<Quantisation>,
    /// Where problems come from.
    pub task: TaskConfig,
    /// Sampling in training.
    #[serde(default)]
    pub rollout: RolloutConfig,
    /// What differs from GRPO.
    #[serde(default)]
    pub method: MethodConfig,
    /// The loss.
    #[serde(default)]
    pub objective: ObjectiveConfig,
    /// How the loss moves the weights.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// What is measured on problems that are never trained on.
    #[serde(default)]
    pub evaluations: Vec<EvaluationConfig>,
    /// Whether and when real parameter gradients are compared with the features that stand in for
    /// them.
    #[serde(default)]
    pub fidelity: Option<FidelityConfig>,
    /// When to end.
    #[serde(default)]
    pub stop: StopConfig,
    /// What is kept in the run folder.
    #[serde(default)]
    pub record: RecordConfig,
}

impl Experiment {
    /// The sentence encoder that the method or the record asks for.
    pub fn encoder(&self) -> Option<&EncoderSource> {
        static OTHERWISE: EncoderSource = EncoderSource::Policy;
        let named = self.method.encoder().or(self.record.encoder.as_ref());
        named.or_else(|| self.method.needs_encoder().then_some(&OTHERWISE))
    }

    /// Every place in which it names a sentence encoder.
    pub fn encoders_mut(&mut self) -> impl Iterator<Item = &mut EncoderSource> {
        self.method.encoder_mut().into_iter().chain(self.record.encoder.as_mut())
    }

    /// Whether the update can begin with backward: once the weights have moved, the forward pass of
    /// sampling is of no use.
    pub fn resumes(&self) -> bool {
        self.objective.passes() == 1
    }

    /// Of how many groups of a step, from the first on, the forward pass is kept, as far as that is
    /// settled.
    pub fn traced_groups(&self) -> usize {
        let asked = self.objective.traced_groups.unwrap_or(0);
        if self.resumes() { asked.min(self.rollout.prompts_per_step) } else { 0 }
    }

    /// Refuses values out of range, each by its field's name.
    pub fn validate(&self) -> Result<()> {
        check_name(&self.name)?;
        if let TaskConfig::Dataset(data) = &self.task {
            data.source.validate("task.source")?;
            let most = DatasetConfig::MOST_PROMPT_TOKENS;
            count("task.max_prompt_tokens", data.max_prompt_tokens.unwrap_or(1), 1, most)?;
            match &data.held_out {
                HeldOutSource::Share(share) => within("task.held_out", *share, 0.0001, 0.9999)?,
                HeldOutSource::Other(other) => other.validate("task.held_out")?,
            }
        }
        match (&self.adapter, self.quantize_base) {
            (Adapter::Lora(lora), _) => lora.validate()?,
            (Adapter::Full, None) => {}
            (Adapter::Full, Some(Quantisation::Nf4)) => {
                return Err(Error::field(
                    "quantize_base",
                    "is Nf4, but without an adapter the base model itself is trained, which needs \
                     all of its bits; add adapter: Lora(rank: 16), or leave quantize_base out",
                ));
            }
        }
        count("rollout.prompts_per_step", self.rollout.prompts_per_step, 1, 4096)?;
        count("rollout.group_size", self.rollout.group_size, 2, 1024)?;
        RolloutConfig::TEMPERATURE.check("rollout.temperature", self.rollout.temperature)?;
        let most = RolloutConfig::MOST_NEW_TOKENS;
        count("rollout.max_new_tokens", self.rollout.max_new_tokens, 1, most)?;
        if let Some(groups) = self.rollout.groups_at_a_time {
            count("rollout.groups_at_a_time", groups, 1, 4096)?;
        }
        if let Some(dynamic) = self.rollout.dynamic {
            count("rollout.dynamic.rounds", dynamic.rounds, 1, 100)?;
        }
        if let Some(curriculum) = self.rollout.curriculum {
            within("rollout.curriculum.floor", curriculum.floor, 0.001, 1.0)?;
            within("rollout.curriculum.rate", curriculum.rate, 0.0001, 1.0)?;
        }
        self.method.validate(self)?;
        self.objective.validate(&self.rollout)?;
        let OptimizerConfig::AdamW(adamw) = &self.optimizer;
        adamw.validate()?;
        check_evaluations(&self.evaluations)?;
        if let Some(fidelity) = &self.fidelity {
            count("fidelity.every", fidelity.every.0 as usize, 1, usize::MAX)?;
            let bound = ("rollout.prompts_per_step", self.rollout.prompts_per_step);
            count_up_to("fidelity.groups", fidelity.groups, 1, bound)?;
            count("fidelity.projection", fidelity.projection.unwrap_or(16), 16, 1 << 30)?;
        }
        count("stop.steps", self.stop.steps as usize, 1, usize::MAX)
    }
}
