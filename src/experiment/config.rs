//! Experiment files: what a person writes, typed, with every default in one place.
//!
//! Field and variant names here are the file format. Unknown fields are errors; sections that are left out take the defaults
//! of their type; the resolved experiment in a run folder has every field written out.

use super::every::Every;
use crate::error::{Error, Result};
use crate::geometry::{IncorrectSign, LambdaSchedule, NoveltyForm, TokenWeights};
use crate::objective::{AdvantageScale, KlEstimator, Loss, MAX_KL_COEFFICIENT, Objective, RatioLevel, Truncated};
use crate::optim::{AdamWSettings, Schedule};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// Whether and when real parameter gradients are compared with the features that stand in for them.
    #[serde(default)]
    pub fidelity: Option<FidelityConfig>,
    /// When to end.
    #[serde(default)]
    pub stop: StopConfig,
    /// What is kept in the run folder.
    #[serde(default)]
    pub record: RecordConfig,
}

/// Where tensors live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceChoice {
    /// The first CUDA device if the program is built for CUDA and one is there, the CPU otherwise.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of that number.
    Cuda(usize),
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelSource {
    /// One that comes with the program, such as `countdown`.
    Bundled(String),
    /// A Hugging Face folder.
    Local(PathBuf),
    /// A repository of the Hugging Face hub, downloaded where it is not in the hub's cache yet.
    Hub(HubRepository),
}

/// A repository of the Hugging Face hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubRepository {
    /// `owner/name`, such as `Qwen/Qwen3-1.7B-Base`.
    pub repo: String,
    /// Branch, tag or commit; the commit that it stood for is written into the run folder.
    #[serde(default = "defaults::revision")]
    pub revision: String,
}

impl std::fmt::Display for HubRepository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.repo, self.revision)
    }
}

/// Type of weights and compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16, with `f32` master weights and moments.
    Bf16,
}

/// Which parameters are trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Adapter {
    /// All of them.
    #[default]
    Full,
    /// Low-rank additions to linear layers (arXiv 2106.09685), such as `Lora(rank: 16, alpha: 32.0)`. The base model stays as it is
    /// and serves as the reference too; checkpoints are PEFT folders.
    Lora(LoraConfig),
}

/// Settings of [`Adapter::Lora`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// Rank r of the additions.
    pub rank: usize,
    /// The additions are multiplied by `alpha` / r.
    pub alpha: f64,
    /// The linear layers that get one: `q_proj`, `k_proj`, `v_proj`, `o_proj`, `gate_proj`, `up_proj`, `down_proj`.
    pub targets: Vec<LoraTarget>,
}

impl LoraConfig {
    /// What the additions are multiplied by.
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    fn validate(&self) -> Result<()> {
        count("adapter.rank", self.rank, 1, 4096)?;
        within("adapter.alpha", self.alpha, f64::MIN_POSITIVE, 1e6)?;
        if self.targets.is_empty() {
            return Err(Error::field("adapter.targets", "is empty; name at least one linear layer, such as q_proj"));
        }
        for (place, target) in self.targets.iter().enumerate() {
            if self.targets[..place].contains(target) {
                return Err(Error::field("adapter.targets", format!("names {} twice", target.name())));
            }
        }
        Ok(())
    }
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self { rank: 16, alpha: 32.0, targets: LoraTarget::ALL.to_vec() }
    }
}

/// A linear layer of a decoder layer, by its name in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LoraTarget {
    #[serde(rename = "q_proj")]
    Q,
    #[serde(rename = "k_proj")]
    K,
    #[serde(rename = "v_proj")]
    V,
    #[serde(rename = "o_proj")]
    O,
    #[serde(rename = "gate_proj")]
    Gate,
    #[serde(rename = "up_proj")]
    Up,
    #[serde(rename = "down_proj")]
    Down,
}

impl LoraTarget {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];

    /// Its place within a decoder layer, such as `self_attn.q_proj`.
    pub fn module(self) -> &'static str {
        match self {
            Self::Q => "self_attn.q_proj",
            Self::K => "self_attn.k_proj",
            Self::V => "self_attn.v_proj",
            Self::O => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }

    /// Its name, such as `q_proj`.
    pub fn name(self) -> &'static str {
        self.module().rsplit('.').next().unwrap_or_default()
    }
}

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
    /// What a problem is put into: `plain`, `qwen_boxed`, `choice`, `chat` (the model's chat template) or a Jinja file. Left out,
    /// `chat` where the model has a chat template, and else `plain`, the problem as it is.
    #[serde(default)]
    pub template: Option<String>,
    /// Variables that the template reads, such as `{"enable_thinking": false}` for the chat template of Qwen3.
    #[serde(default)]
    pub template_variables: TemplateVariables,
    /// Leaves problems out whose prompts have more tokens. Those that leave no room for `rollout.max_new_tokens` are left out anyway.
    #[serde(default)]
    pub max_prompt_tokens: Option<usize>,
    /// What an answer is.
    #[serde(default)]
    pub verifier: AnswerFormat,
    /// The problems that are never trained on.
    #[serde(default)]
    pub held_out: HeldOutSource,
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
    /// Files of a repository of the Hugging Face hub, downloaded where they are not in the hub's cache yet.
    Hub(HubDataset),
}

impl DataSource {
    fn validate(&self, field: &str) -> Result<()> {
        match self {
            Self::Hub(hub) if hub.files.is_empty() => {
                let problem = "is empty; name at least one file of the repository, such as test.jsonl";
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
    /// Branch, tag or commit; the commit that it stood for is written into the run folder. `refs/convert/parquet` is the
    /// hub's own conversion, with files `CONFIG/SPLIT/0000.parquet`.
    #[serde(default = "defaults::revision")]
    pub revision: String,
}

/// What an answer is, and so when two are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnswerFormat {
    /// Mathematics in the last box.
    #[default]
    Math,
    /// Mathematics in the last box; without a box, after "the answer is"; without that, the last number.
    MathAnywhere,
    /// The letter of a choice: in the last box, after "the answer is", or alone at the end.
    Choice,
}

/// The problems of a data set that are never trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum HeldOutSource {
    /// About this share of the problems, between 0 and 1: those whose text has a small hash, whatever else is in the files.
    Share(f64),
    /// Another data set.
    Other(DataSource),
}

impl Default for HeldOutSource {
    fn default() -> Self {
        Self::Share(0.1)
    }
}

/// Sampling in training. Tokens are drawn from the full distribution: the ratio and the KL term need its log-probabilities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RolloutConfig {
    /// Prompts of a step.
    pub prompts_per_step: usize,
    /// Completions of a prompt, at least 2.
    pub group_size: usize,
    /// Divides the logits.
    pub temperature: f64,
    /// Most tokens of a completion, end-of-sequence included.
    pub max_new_tokens: usize,
    /// How many prompts' groups are sampled at a time. Decides memory, not results. Left out, as many as the device has memory for the
    /// keys and values of; the number is written into the run folder.
    pub groups_at_a_time: Option<usize>,
    /// Replaces groups whose base rewards are all equal, whatever the method makes of them, by groups of further problems; left
    /// out, the step takes them as they come.
    pub dynamic: Option<DynamicSampling>,
    /// Draws problems that the policy solves about half of the time more often, by the task's levels of difficulty; left out,
    /// problems come as they are dealt. Of the procedural tasks Countdown has levels.
    pub curriculum: Option<CurriculumConfig>,
}

/// A curriculum by measured solve rate; `src/stages/curriculum.rs` has the formula.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CurriculumConfig {
    /// Least probability that a problem is taken, whatever the solve rate of its level.
    pub floor: f64,
    /// How much a group moves the solve rate of its level: about the last 1 / `rate` groups of a level count.
    pub rate: f64,
}

impl Default for CurriculumConfig {
    fn default() -> Self {
        Self { floor: 0.1, rate: 0.05 }
    }
}

/// Dynamic sampling (DAPO, arXiv 2503.14476). The step keeps `prompts_per_step` groups; where the rounds do not bring enough that
/// have a signal, uniform ones fill up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DynamicSampling {
    /// Most further rounds of a step. A round samples as many groups as still lack a signal.
    pub rounds: usize,
}

impl Default for DynamicSampling {
    fn default() -> Self {
        Self { rounds: 3 }
    }
}

impl Default for RolloutConfig {
    fn default() -> Self {
        Self {
            prompts_per_step: 8,
            group_size: 16,
            temperature: 1.0,
            max_new_tokens: 96,
            groups_at_a_time: None,
            dynamic: None,
            curriculum: None,
        }
    }
}

/// What differs from GRPO.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum MethodConfig {
    /// Nothing.
    #[default]
    Grpo,
    /// The entropy of the policy is part of the objective.
    EntropyBonus(EntropyBonusConfig),
    /// Rewards are banded by the novelty of what responses say.
    EvolRl(EvolRlConfig),
    /// Rewards are shaped by the novelty of gradient directions.
    G2rl(G2rlConfig),
    /// A method of that name which a program built on this crate provides.
    Custom(String),
}

impl MethodConfig {
    /// The method's name as shown.
    pub fn label(&self) -> &str {
        match self {
            Self::Grpo => "GRPO",
            Self::EntropyBonus(_) => "Entropy bonus",
            Self::EvolRl(_) => "EVOL-RL",
            Self::G2rl(_) => "G2RL",
            Self::Custom(name) => name,
        }
    }
}

/// Settings of [`MethodConfig::EntropyBonus`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EntropyBonusConfig {
    /// Weight of the mean entropy over the tokens of a mini-batch, nats, whatever the loss.
    pub coefficient: f64,
}

impl Default for EntropyBonusConfig {
    fn default() -> Self {
        Self { coefficient: 0.001 }
    }
}

/// Settings of [`MethodConfig::EvolRl`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvolRlConfig {
    /// What turns responses into vectors.
    pub encoder: EncoderSource,
    /// Who says which responses are correct.
    pub labels: Labels,
    /// Weight of the mean token entropy in the objective.
    pub entropy_coefficient: f64,
}

impl Default for EvolRlConfig {
    fn default() -> Self {
        Self { encoder: EncoderSource::default(), labels: Labels::default(), entropy_coefficient: 0.003 }
    }
}

/// Who says which responses are correct.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Labels {
    /// The task's verifier.
    #[default]
    Verifier,
    /// The group itself: the most frequent answer counts as correct.
    Majority,
}

/// Where a sentence encoder comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EncoderSource {
    /// The base model itself, frozen: the mean of its final hidden states over the response. Needs no download.
    #[default]
    Policy,
    /// A Hugging Face folder with a BERT-type sentence encoder, such as all-MiniLM-L6-v2.
    Local(PathBuf),
    /// The same from the Hugging Face hub, such as `Hub(repo: "sentence-transformers/all-MiniLM-L6-v2")`.
    Hub(HubRepository),
}

impl std::fmt::Display for EncoderSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Policy => write!(f, "Policy"),
            Self::Local(folder) => write!(f, "Local({:?})", folder.display().to_string()),
            Self::Hub(source) => write!(f, "Hub({source})"),
        }
    }
}

/// Settings of [`MethodConfig::G2rl`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct G2rlConfig {
    /// Strength of the shaping, 0 to 2.
    pub lambda: f64,
    /// How that strength goes on over the run.
    pub lambda_schedule: LambdaSchedule,
    /// How much each token counts in a response's direction.
    pub alpha: TokenWeights,
    /// Whether the exploration score is the length of the unexplained part of a direction or its square.
    pub novelty: NoveltyForm,
    /// Whether a novel wrong answer is penalised less (the paper's equations) or more (its prose).
    pub incorrect: IncorrectSign,
    /// Shaped rewards are clipped to plus or minus this.
    pub clip: f64,
    /// Whether groups whose base rewards are all equal are shaped too, and so get a signal from novelty alone.
    pub shape_uniform_groups: bool,
}

impl Default for G2rlConfig {
    fn default() -> Self {
        Self {
            lambda: 0.5,
            lambda_schedule: LambdaSchedule::default(),
            alpha: TokenWeights::default(),
            novelty: NoveltyForm::default(),
            incorrect: IncorrectSign::default(),
            clip: 3.0,
            shape_uniform_groups: true,
        }
    }
}

/// The loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// Surrogate and weights of tokens: `Grpo`, `DrGrpo`, `Dapo`, `Bnpo`, `Gspo` or `Cispo`. [`crate::objective`] has the table.
    pub loss: Loss,
    /// The ratio is clipped below 1 - `clip_low`. No effect on `Cispo`.
    pub clip_low: f64,
    /// The ratio is clipped above 1 + `clip_high`. For `Gspo` both are usually about 3e-4.
    pub clip_high: f64,
    /// Whether the ratio is each token's own or the whole response's. Left out, the one that the loss is defined with: `Sequence`
    /// for `Gspo`, `Token` for the others. `Grpo` with `Sequence` is `Gspo`.
    pub ratio: Option<RatioLevel>,
    /// What becomes of responses that reach the token limit: `Keep`, `Mask` or `SoftPenalty(buffer: 32)`, which takes up to
    /// `strength` (1 if left out) from the reward over the last `buffer` tokens before the limit.
    pub truncated: Truncated,
    /// What centred rewards are divided by: the deviation of the `Group` or of the `Batch`, or nothing
    /// (`Unscaled`).
    pub advantage_scale: AdvantageScale,
    /// The penalty for leaving the reference policy.
    pub kl: KlConfig,
    /// Passes over each batch of rollouts.
    pub epochs: usize,
    /// Optimizer steps per pass.
    pub minibatches: usize,
    /// Most tokens, prompts included, of one forward and backward pass. Decides memory, and the results no further than the order of
    /// sums does. Left out, up to 4096 on a GPU and 2048 on the CPU as the memory allows; the number is written into the run folder.
    pub micro_batch_tokens: Option<usize>,
    /// Whether backward computes every layer again instead of keeping what is in it (gradient checkpointing): a third more work for a
    /// fraction of the memory. Left out, where the memory of the device asks for it.
    pub recompute_layers: Option<bool>,
    /// Whether the frozen base model, which the KL term and EVOL-RL's encoder `Policy` ask, waits in the machine's memory and is on the
    /// device only while they ask, each once a step. An adapter's base model is the policy's own and stays. Left out, where the memory of the device asks for it.
    pub offload_reference: Option<bool>,
}

/// Most tokens of a forward and backward pass where nobody says.
pub const MICRO_BATCH_TOKENS: usize = 4096;

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            loss: Loss::default(),
            clip_low: 0.2,
            clip_high: 0.2,
            ratio: None,
            truncated: Truncated::default(),
            advantage_scale: AdvantageScale::default(),
            kl: KlConfig::default(),
            epochs: 1,
            minibatches: 1,
            micro_batch_tokens: None,
            recompute_layers: None,
            offload_reference: None,
        }
    }
}

impl ObjectiveConfig {
    /// The settings of the loss, with the KL coefficient in force and the entropy bonus that a method asks for.
    pub fn settings(&self, kl_coefficient: f64, entropy_coefficient: f64) -> Objective {
        Objective {
            loss: self.loss,
            ratio: self.ratio.unwrap_or(self.loss.ratio()),
            clip_low: self.clip_low,
            clip_high: self.clip_high,
            kl: self.kl.estimator,
            kl_coefficient,
            entropy_coefficient,
        }
    }

    /// Most tokens of one forward and backward pass.
    pub fn micro_batch_tokens(&self) -> usize {
        self.micro_batch_tokens.unwrap_or(MICRO_BATCH_TOKENS)
    }

    fn validate(&self, rollout: &RolloutConfig) -> Result<()> {
        match (self.loss, self.ratio) {
            (Loss::Gspo, Some(RatioLevel::Token)) => {
                let problem = "is Token, but the loss Gspo is defined by the ratio of a whole response; \
                               leave `ratio` out or set it to Sequence, or choose the loss Grpo";
                return Err(Error::field("objective.ratio", problem));
            }
            (Loss::DrGrpo | Loss::Dapo | Loss::Bnpo | Loss::Cispo, Some(RatioLevel::Sequence)) => {
                let problem = format!(
                    "is Sequence, but the loss {:?} sums over tokens and would count a response's one ratio once per token; \
                     leave `ratio` out or set it to Token, or choose the loss Gspo",
                    self.loss
                );
                return Err(Error::field("objective.ratio", problem));
            }
            _ => {}
        }
        within("objective.clip_low", self.clip_low, 0.0, 1.0)?;
        within("objective.clip_high", self.clip_high, 0.0, 100.0)?;
        self.kl.validate()?;
        if let Truncated::SoftPenalty { buffer, strength } = self.truncated {
            count_up_to("objective.truncated.buffer", buffer, 1, ("rollout.max_new_tokens", rollout.max_new_tokens))?;
            within("objective.truncated.strength", strength, f64::MIN_POSITIVE, 100.0)?;
        }
        count("objective.epochs", self.epochs, 1, 100)?;
        let responses = rollout.prompts_per_step * rollout.group_size;
        let bound = "rollout.prompts_per_step` times `rollout.group_size";
        count_up_to("objective.minibatches", self.minibatches, 1, (bound, responses))?;
        count("objective.micro_batch_tokens", self.micro_batch_tokens(), 1, usize::MAX)
    }
}

/// The penalty for leaving the reference policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KlConfig {
    /// Weight of the KL term; 0 leaves it and the reference's forward pass out. With a `target`, the weight in the first step.
    pub coefficient: f64,
    /// Per-token estimator.
    pub estimator: KlEstimator,
    /// The mean KL per token, nats, that the weight is adapted to from step to step; left out, the weight stays.
    /// [`crate::objective::adapted_kl_coefficient`] has the rule.
    pub target: Option<f64>,
    /// 1 / K of that rule: in so many steps a KL 10 % above its target raises the weight by about 10 %. The paper's K is 0.1.
    pub horizon: u64,
}

impl KlConfig {
    fn validate(&self) -> Result<()> {
        within("objective.kl.coefficient", self.coefficient, 0.0, MAX_KL_COEFFICIENT)?;
        count("objective.kl.horizon", self.horizon as usize, 1, usize::MAX)?;
        let Some(target) = self.target else { return Ok(()) };
        within("objective.kl.target", target, f64::MIN_POSITIVE, f64::MAX)?;
        if self.coefficient == 0.0 {
            let problem =
                "is 0, which no adaptation changes; with a `target` give the weight to begin with, such as 0.001";
            return Err(Error::field("objective.kl.coefficient", problem));
        }
        if self.estimator == KlEstimator::K1 {
            let problem = "is K1, whose expected gradient is zero, so that no weight brings the KL to its `target`; \
                           choose K2 or K3, or leave `target` out";
            return Err(Error::field("objective.kl.estimator", problem));
        }
        Ok(())
    }
}

impl Default for KlConfig {
    fn default() -> Self {
        Self { coefficient: 0.001, estimator: KlEstimator::default(), target: None, horizon: 10 }
    }
}

/// How the loss moves the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OptimizerConfig {
    /// Adam with decoupled weight decay.
    AdamW(AdamWConfig),
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::AdamW(AdamWConfig::default())
    }
}

/// Settings of [`OptimizerConfig::AdamW`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWConfig {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Steps over which it rises from 0 to its peak.
    pub warmup_steps: u64,
    /// How it goes on afterwards.
    pub schedule: Schedule,
    /// Longest global gradient norm; longer gradients are scaled down.
    pub max_grad_norm: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled decay of matrices.
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-5,
            warmup_steps: 10,
            schedule: Schedule::Constant,
            max_grad_norm: 1.0,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
        }
    }
}

impl AdamWConfig {
    /// The constants of the update rule.
    pub fn settings(&self) -> AdamWSettings {
        AdamWSettings {
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.eps,
            weight_decay: self.weight_decay,
            max_grad_norm: self.max_grad_norm,
        }
    }

    fn validate(&self) -> Result<()> {
        within("optimizer.learning_rate", self.learning_rate, f64::MIN_POSITIVE, 1.0)?;
        within("optimizer.max_grad_norm", self.max_grad_norm, f64::MIN_POSITIVE, f64::MAX)?;
        within("optimizer.beta1", self.beta1, 0.0, 0.9999)?;
        within("optimizer.beta2", self.beta2, 0.0, 0.999_999)?;
        within("optimizer.eps", self.eps, f64::MIN_POSITIVE, 1.0)?;
        within("optimizer.weight_decay", self.weight_decay, 0.0, 1.0)
    }
}

/// One suite that is measured during training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationConfig {
    /// What is measured.
    pub suite: SuiteConfig,
    /// Steps between measurements; the base model and the last step are always measured.
    #[serde(default = "defaults::every")]
    pub every: Every,
    /// Completions per problem.
    #[serde(default = "defaults::samples")]
    pub samples: usize,
    /// pass@k for these k, each at most `samples`.
    #[serde(default = "defaults::k")]
    pub k: Vec<usize>,
    /// Sampling temperature.
    #[serde(default = "defaults::temperature")]
    pub temperature: f64,
}

mod defaults {
    use super::Every;

    pub(super) fn revision() -> String {
        "main".to_string()
    }
    pub(super) fn every() -> Every {
        Every(25)
    }
    pub(super) fn samples() -> usize {
        16
    }
    pub(super) fn k() -> Vec<usize> {
        vec![1, 4, 16]
    }
    pub(super) fn temperature() -> f64 {
        0.8
    }
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
    /// As [`DatasetConfig::template`].
    #[serde(default)]
    pub template: Option<String>,
    /// As [`DatasetConfig::template_variables`].
    #[serde(default)]
    pub template_variables: TemplateVariables,
    /// As [`DatasetConfig::max_prompt_tokens`].
    #[serde(default)]
    pub max_prompt_tokens: Option<usize>,
    /// The first so many problems only.
    #[serde(default)]
    pub problems: Option<usize>,
    /// Branch, tag or commit of the repository on the hub, in place of the newest. The run folder names the commit.
    #[serde(default)]
    pub revision: Option<String>,
}

/// Settings of [`SuiteConfig::File`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSuite {
    /// JSON, JSON Lines, CSV or Parquet.
    pub path: PathBuf,
    /// As [`DatasetConfig::template`].
    #[serde(default)]
    pub template: Option<String>,
    /// As [`DatasetConfig::template_variables`].
    #[serde(default)]
    pub template_variables: TemplateVariables,
    /// As [`DatasetConfig::max_prompt_tokens`].
    #[serde(default)]
    pub max_prompt_tokens: Option<usize>,
    /// What an answer is. Left out, `Choice` where every answer is one letter from A to J, and `Math` where not.
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

/// When real parameter gradients are compared with the features that stand in for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FidelityConfig {
    /// Steps between comparisons.
    pub every: Every,
    /// How many of the step's groups are compared; each of their responses costs a backward pass.
    pub groups: usize,
    /// Projects gradients to this many numbers per tensor, for models whose gradients do not fit into memory a few at a time. The
    /// standard error of a cosine is then at most sqrt(2 / projection).
    pub projection: Option<usize>,
}

impl Default for FidelityConfig {
    fn default() -> Self {
        Self { every: Every(25), groups: 2, projection: None }
    }
}

/// When to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StopConfig {
    /// Optimizer steps.
    pub steps: u64,
}

impl Default for StopConfig {
    fn default() -> Self {
        Self { steps: 200 }
    }
}

/// What is kept in the run folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordConfig {
    /// Steps between checkpoints; 0 writes one at the end only.
    pub checkpoint_every: Every,
    /// Steps between records of all completions; 0 for none.
    pub rollouts_every: Every,
    /// Steps between records of cosine matrices; 0 for none. A method that does not act on features measures them in these
    /// steps only.
    pub geometry_every: Every,
    /// Whether geometry records hold the sequence features too.
    pub features: bool,
    /// Steps between records of what each token adds to the direction of its response; 0 for none. Costs a forward pass.
    pub tokens_every: Every,
    /// Measures semantic cosines beside gradient cosines with this encoder. A method that has an encoder measures with its own.
    pub encoder: Option<EncoderSource>,
}

impl Default for RecordConfig {
    fn default() -> Self {
        Self {
            checkpoint_every: Every(50),
            rollouts_every: Every(1),
            geometry_every: Every(1),
            features: false,
            tokens_every: Every(25),
            encoder: None,
        }
    }
}

/// Refuses `value` outside `[low, high]`, naming the field.
fn within(field: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if value >= low && value <= high {
        return Ok(());
    }
    // The extremes stand for "no limit on this side".
    let bounds = match (low.total_cmp(&f64::MIN_POSITIVE).is_eq(), high.total_cmp(&f64::MAX).is_eq()) {
        (true, true) => "greater than 0".to_string(),
        (true, false) => format!("greater than 0 and at most {high}"),
        (false, true) => format!("at least {low}"),
        (false, false) => format!("between {low} and {high}"),
    };
    Err(Error::field(field, format!("is {value}; it must be {bounds}")))
}

/// Refuses `value` outside `low..=high`, naming the field.
fn count(field: &str, value: usize, low: usize, high: usize) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let bounds = if high == usize::MAX { format!("at least {low}") } else { format!("between {low} and {high}") };
    Err(Error::field(field, format!("is {value}; it must be {bounds}")))
}

/// Refuses `value` outside `low..=high`, naming the field and what its upper bound comes from.
fn count_up_to(field: &str, value: usize, low: usize, (bound, high): (&str, usize)) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::field(field, format!("is {value}; it must be between {low} and {high} (`{bound}`)")))
}

fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Error::field(
            "name",
            format!(
                "is {name:?}; it names a folder, so use letters, digits, `-`, `_` and `.`, not starting with a dot"
            ),
        ));
    }
    Ok(())
}

impl Experiment {
    /// The sentence encoder that the method or the record asks for.
    pub fn encoder(&self) -> Option<&EncoderSource> {
        match &self.method {
            MethodConfig::EvolRl(evol_rl) => Some(&evol_rl.encoder),
            _ => self.record.encoder.as_ref(),
        }
    }

    /// Every place in which it names a sentence encoder.
    pub fn encoders_mut(&mut self) -> impl Iterator<Item = &mut EncoderSource> {
        let own = if let MethodConfig::EvolRl(evol_rl) = &mut self.method { Some(&mut evol_rl.encoder) } else { None };
        own.into_iter().chain(self.record.encoder.as_mut())
    }

    /// Refuses values out of range, each by its field's name.
    pub fn validate(&self) -> Result<()> {
        check_name(&self.name)?;
        if let TaskConfig::Dataset(data) = &self.task {
            data.source.validate("task.source")?;
            count("task.max_prompt_tokens", data.max_prompt_tokens.unwrap_or(1), 1, 1 << 24)?;
            match &data.held_out {
                HeldOutSource::Share(share) => within("task.held_out", *share, 0.0001, 0.9999)?,
                HeldOutSource::Other(other) => other.validate("task.held_out")?,
            }
        }
        if let Adapter::Lora(lora) = &self.adapter {
            lora.validate()?;
        }
        count("rollout.prompts_per_step", self.rollout.prompts_per_step, 1, 4096)?;
        count("rollout.group_size", self.rollout.group_size, 2, 1024)?;
        within("rollout.temperature", self.rollout.temperature, 0.01, 100.0)?;
        count("rollout.max_new_tokens", self.rollout.max_new_tokens, 1, 1 << 20)?;
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
        match &self.method {
            MethodConfig::EntropyBonus(bonus) => within("method.coefficient", bonus.coefficient, 0.0, 10.0)?,
            MethodConfig::EvolRl(evol_rl) => {
                within("method.entropy_coefficient", evol_rl.entropy_coefficient, 0.0, 10.0)?;
                if let Some(other) = self.record.encoder.as_ref().filter(|encoder| **encoder != evol_rl.encoder) {
                    let own = &evol_rl.encoder;
                    return Err(Error::field(
                        "record.encoder",
                        format!("is {other}, but the method measures with its own, {own}; leave this field out"),
                    ));
                }
            }
            MethodConfig::G2rl(g2rl) => {
                within("method.lambda", g2rl.lambda, 0.0, 2.0)?;
                if let LambdaSchedule::Linear { to, over_steps } = g2rl.lambda_schedule {
                    within("method.lambda_schedule.to", to, 0.0, 2.0)?;
                    count("method.lambda_schedule.over_steps", over_steps as usize, 1, usize::MAX)?;
                }
                within("method.clip", g2rl.clip, f64::MIN_POSITIVE, f64::MAX)?;
            }
            MethodConfig::Grpo | MethodConfig::Custom(_) => {}
        }
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

fn check_evaluations(evaluations: &[EvaluationConfig]) -> Result<()> {
    for (index, evaluation) in evaluations.iter().enumerate() {
        let field = |name: &str| format!("evaluations.{index}.{name}");
        let problems = match &evaluation.suite {
            SuiteConfig::HeldOut(held_out) => held_out.problems,
            SuiteConfig::Named(NamedSuite { problems, .. }) | SuiteConfig::File(FileSuite { problems, .. }) => {
                problems.unwrap_or(1)
            }
        };
        count(&field("suite.problems"), problems, 1, 1_000_000)?;
        if let SuiteConfig::Named(NamedSuite { max_prompt_tokens, .. })
        | SuiteConfig::File(FileSuite { max_prompt_tokens, .. }) = &evaluation.suite
        {
            count(&field("suite.max_prompt_tokens"), max_prompt_tokens.unwrap_or(1), 1, 1 << 24)?;
        }
        count(&field("every"), evaluation.every.0 as usize, 1, usize::MAX)?;
        count(&field("samples"), evaluation.samples, 1, 4096)?;
        within(&field("temperature"), evaluation.temperature, 0.0, 100.0)?;
        for (place, &k) in evaluation.k.iter().enumerate() {
            count_up_to(&field(&format!("k.{place}")), k, 1, (&field("samples"), evaluation.samples))?;
        }
    }
    Ok(())
}

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

fn default_micro_batch_tokens() -> usize {
    4096
}

/// Shape of a network to be trained from nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShapeConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Longest sequence.
    pub positions: usize,
}

impl Pretrain {
    /// Refuses values out of range, each by its field's name.
    pub fn validate(&self) -> Result<()> {
        check_name(&self.name)?;
        count("batch", self.batch, 1, 1 << 20)?;
        count("steps", self.steps as usize, 1, usize::MAX)?;
        count("micro_batch_tokens", self.micro_batch_tokens, 1, usize::MAX)?;
        if self.words.iter().any(String::is_empty) {
            return Err(Error::field("words", "holds an empty text; every entry must have at least one character"));
        }
        let OptimizerConfig::AdamW(adamw) = &self.optimizer;
        adamw.validate()?;
        check_evaluations(&self.evaluations)
    }
}
