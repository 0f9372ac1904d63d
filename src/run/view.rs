//! A step as it is shown: its groups, their rollouts, and the cosines between these.
//!
//! The trainer makes it for the newest step and the run folder for older ones, so every panel works
//! live and later alike.

use super::tokens::GroupTokens;
use crate::verify::Verdict;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// One rollout as the dashboard shows it and as the run folder holds it. Numbers are NaN where they
/// do not apply, which JSON writes as null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutView {
    /// The completion's text without special tokens.
    pub completion: String,
    /// The verifier's judgement.
    pub verdict: Verdict,
    /// The answer that it judged.
    pub extracted: Option<String>,
    /// Base reward.
    #[serde(deserialize_with = "number_or_nan")]
    pub reward: f32,
    /// Its named parts, where the task gives some.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reward_parts: BTreeMap<String, f32>,
    /// Reward after shaping.
    #[serde(deserialize_with = "number_or_nan")]
    pub shaped_reward: f32,
    /// Exploration score nu, in [0, 1].
    #[serde(deserialize_with = "number_or_nan")]
    pub novelty: f32,
    /// nu normalised within its group, in [0, 1].
    #[serde(deserialize_with = "number_or_nan")]
    pub novelty_normalized: f32,
    /// Advantage within the group.
    #[serde(deserialize_with = "number_or_nan")]
    pub advantage: f32,
    /// Response tokens, the end-of-sequence token included.
    pub length: u32,
    /// Whether the response was cut off at the token limit.
    pub truncated: bool,
    /// Sum of the response's token log-probabilities under the sampling distribution, nats.
    #[serde(deserialize_with = "number_or_nan")]
    pub logprob: f32,
    /// Mean entropy per response token, nats.
    #[serde(deserialize_with = "number_or_nan")]
    pub entropy: f32,
}

/// Reads a number; null is NaN.
fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f32::NAN))
}

/// One prompt with its rollouts and their geometry.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupView {
    /// The group's number within the step, from 0.
    pub group: u32,
    /// The problem's stable name.
    pub problem_id: String,
    /// The prompt's text.
    pub prompt: String,
    /// What would be right.
    pub answer: String,
    /// The group's rollouts, m of them.
    pub rollouts: Vec<RolloutView>,
    /// Cosines between the rollouts.
    pub cosines: GroupCosines,
    /// What is known of every token, in steps whose tokens are recorded.
    pub tokens: Option<Arc<GroupTokens>>,
}

/// What of two rollouts a cosine compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CosineKind {
    /// Sequence features Phi: the gradient directions at the last layer.
    #[default]
    Feature,
    /// Sentence embeddings: what the responses say.
    Semantic,
    /// Gradients with respect to all parameters.
    Parameter,
    /// Means over the response of the policy's final hidden states.
    Hidden,
}

impl CosineKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Feature, Self::Semantic, Self::Parameter, Self::Hidden];

    /// Its name in the window.
    pub fn name(self) -> &'static str {
        match self {
            Self::Feature => "feature",
            Self::Semantic => "semantic",
            Self::Parameter => "parameter",
            Self::Hidden => "hidden",
        }
    }

    /// What its tensors in `geometry/step_NNNNNN.safetensors` are called, before the group's number.
    pub fn tensor(self) -> &'static str {
        match self {
            Self::Feature => "cosine",
            Self::Semantic => "semantic",
            Self::Parameter => "gradient",
            Self::Hidden => "hidden",
        }
    }
}

/// The cosines of a group by their kind, each row-major (m, m); empty where there are none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupCosines([Vec<f32>; 4]);

impl Index<CosineKind> for GroupCosines {
    type Output = Vec<f32>;

    fn index(&self, kind: CosineKind) -> &Vec<f32> {
        &self.0[kind as usize]
    }
}

impl IndexMut<CosineKind> for GroupCosines {
    fn index_mut(&mut self, kind: CosineKind) -> &mut Vec<f32> {
        &mut self.0[kind as usize]
    }
}

impl GroupView {
    /// The cosine between rollouts `i` and `j`; NaN where there is none.
    pub fn cosine(&self, kind: CosineKind, i: usize, j: usize) -> f32 {
        self.cosines[kind].get(i * self.rollouts.len() + j).copied().unwrap_or(f32::NAN)
    }

    /// Cosines of all unordered pairs i < j.
    pub fn pair_cosines(&self, kind: CosineKind) -> impl Iterator<Item = f32> + '_ {
        let m = self.rollouts.len();
        (0..m).flat_map(move |i| (i + 1..m).map(move |j| self.cosine(kind, i, j)))
    }

    /// How many rollouts are correct.
    pub fn correct(&self) -> usize {
        self.rollouts.iter().filter(|rollout| rollout.verdict.is_correct()).count()
    }
}

/// Everything the dashboard shows of one step beyond its metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct StepView {
    /// The step, from 1.
    pub step: u64,
    /// Its groups in order.
    pub groups: Vec<GroupView>,
}
