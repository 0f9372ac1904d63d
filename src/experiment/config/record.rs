//! What is kept in the run folder, when parameter gradients are measured, and when a run ends.

use super::encoder::EncoderSource;
use crate::experiment::Every;
use serde::{Deserialize, Serialize};

/// When real parameter gradients are compared with the features that stand in for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FidelityConfig {
    /// Steps between comparisons.
    pub every: Every,
    /// How many of the step's groups are compared; each of their responses costs a backward pass.
    pub groups: usize,
    /// Projects gradients to this many numbers per tensor, for models whose gradients do not fit
    /// into memory a few at a time. The standard error of a cosine is then at most sqrt(2 /
    /// projection).
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
    /// Training steps.
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
    /// Steps between records of cosine matrices; 0 for none. A method that does not act on features
    /// measures them in these steps only.
    pub geometry_every: Every,
    /// Whether geometry records hold the sequence features too.
    pub features: bool,
    /// Steps between records of what each token adds to the direction of its response; 0 for none.
    /// Costs a forward pass.
    pub tokens_every: Every,
    /// Measures semantic cosines beside gradient cosines with this encoder. A method that has an
    /// encoder measures with its own.
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
