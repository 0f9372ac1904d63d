//! How gradients move the weights.

use super::range::within;
use crate::error::Result;
use crate::optim::{AdamWSettings, Schedule};
use serde::{Deserialize, Serialize};

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
    /// How it changes afterwards.
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

    pub(super) fn validate(&self) -> Result<()> {
        within("optimizer.learning_rate", self.learning_rate, f64::MIN_POSITIVE, 1.0)?;
        within("optimizer.max_grad_norm", self.max_grad_norm, f64::MIN_POSITIVE, f64::MAX)?;
        within("optimizer.beta1", self.beta1, 0.0, 0.9999)?;
        within("optimizer.beta2", self.beta2, 0.0, 0.999_999)?;
        within("optimizer.eps", self.eps, f64::MIN_POSITIVE, 1.0)?;
        within("optimizer.weight_decay", self.weight_decay, 0.0, 1.0)
    }
}
