//! A step as it is shown: its groups, their rollouts, and the cosines between these.
//!
//! The trainer makes it for the newest step and the run folder for older ones, so every panel works live and later alike.

use super::tokens::GroupTokens;
use crate::verify::Verdict;
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;

/// One rollout as the dashboard shows it and as the run folder holds it. Numbers are NaN where they do not apply, which JSON
/// writes as null.
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
    /// Cosines between gradient directions, row-major (m, m); empty where there are none.
    pub cosine: Vec<f32>,
    /// Cosines between sentence embeddings, row-major (m, m); empty without an encoder.
    pub semantic: Vec<f32>,
    /// Cosines between gradients over all parameters, row-major (m, m); empty where there are none.
    pub gradient: Vec<f32>,
    /// What is known of every token, in steps whose tokens are recorded.
    pub tokens: Option<Arc<GroupTokens>>,
}

/// What of two rollouts is compared by a cosine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compared {
    /// Gradient directions Phi: where they push the policy.
    #[default]
    Directions,
    /// Sentence embeddings: what they say.
    Meanings,
    /// Gradients over all parameters: where they really push the policy.
    Parameters,
}

impl GroupView {
    /// All cosines of that kind, row-major (m, m); empty where there are none.
    pub fn cosines(&self, compared: Compared) -> &[f32] {
        match compared {
            Compared::Directions => &self.cosine,
            Compared::Meanings => &self.semantic,
            Compared::Parameters => &self.gradient,
        }
    }

    /// The cosine between rollouts `i` and `j`; NaN where there is none.
    pub fn cosine(&self, compared: Compared, i: usize, j: usize) -> f32 {
        self.cosines(compared).get(i * self.rollouts.len() + j).copied().unwrap_or(f32::NAN)
    }

    /// Cosines of all unordered pairs i < j.
    pub fn pair_cosines(&self, compared: Compared) -> impl Iterator<Item = f32> + '_ {
        let m = self.rollouts.len();
        (0..m).flat_map(move |i| (i + 1..m).map(move |j| self.cosine(compared, i, j)))
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
