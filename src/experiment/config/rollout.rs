//! How completions are sampled.

use super::range::Bounds;
use serde::{Deserialize, Serialize};

/// Sampling in training. Tokens are drawn from the full distribution: the ratio and the KL term
/// need its log-probabilities.
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
    /// How many prompts' groups are sampled at a time. Decides memory, not results. Left out, as
    /// many as the device has memory for the keys and values of; the number is written into the run
    /// folder.
    pub groups_at_a_time: Option<usize>,
    /// Replaces groups whose base rewards are all equal, whatever the method makes of them, by
    /// groups of further problems; left out, the step takes them as they come.
    pub dynamic: Option<DynamicSampling>,
    /// Draws problems that the policy solves about half of the time more often, by the task's
    /// levels of difficulty; left out, problems come as they are dealt. Countdown has
    /// levels, and so has a data set with a column of them.
    pub curriculum: Option<CurriculumConfig>,
}

impl RolloutConfig {
    /// What [`Self::temperature`] can be.
    pub(crate) const TEMPERATURE: Bounds = Bounds::new(0.01, 100.0);
    /// The largest [`Self::max_new_tokens`].
    pub(crate) const MOST_NEW_TOKENS: usize = 1 << 20;
}

/// A curriculum by measured solve rate; `src/stages/curriculum.rs` has the formula.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CurriculumConfig {
    /// Least probability that a problem is taken, whatever the solve rate of its level.
    pub floor: f64,
    /// How much a group moves the solve rate of its level: about the last 1 / `rate` groups of a
    /// level count.
    pub rate: f64,
}

impl Default for CurriculumConfig {
    fn default() -> Self {
        Self { floor: 0.1, rate: 0.05 }
    }
}

/// Dynamic sampling (DAPO, arXiv 2503.14476). The step keeps `prompts_per_step` groups; where the
/// rounds do not bring enough that have a signal, uniform ones fill up.
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
