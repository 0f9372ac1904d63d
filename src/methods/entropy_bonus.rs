//! Entropy bonus. Differs from GRPO in:
//!
//! 1. the objective has the term c H, with H the mean token entropy of the policy.

use crate::experiment::EntropyBonusConfig;
use crate::stages::EntropyCoefficient;
use bevy_app::{App, Plugin};

/// The entropy bonus.
pub struct EntropyBonusPlugin(pub EntropyBonusConfig);

impl Plugin for EntropyBonusPlugin {
    fn build(&self, app: &mut App) {
        app.insert_resource(EntropyCoefficient(self.0.coefficient));
    }
}
