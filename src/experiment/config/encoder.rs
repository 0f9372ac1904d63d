//! What differs from GRPO.

use super::model::HubRepository;
use crate::geometry::{IncorrectSign, LambdaSchedule, NoveltyForm, TokenWeights};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

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
