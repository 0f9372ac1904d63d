//! Entropy bonus. Differs from GRPO in:
//!
//! 1. the objective has the term c H, with H the mean token entropy of the policy.

use crate::error::Result;
use crate::experiment::{Experiment, Method, MethodColor, MethodKind, within};
use crate::stages::EntropyCoefficient;
use bevy_app::{App, Plugin};
use serde::{Deserialize, Serialize};

/// The entropy bonus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EntropyBonus {
    /// Weight of the mean entropy over the tokens of a mini-batch, nats, whatever the loss.
    pub coefficient: f64,
}

impl Default for EntropyBonus {
    fn default() -> Self {
        Self { coefficient: 0.001 }
    }
}

inventory::submit! { MethodKind::built_in::<EntropyBonus>() }

impl Method for EntropyBonus {
    const NAME: &'static str = "EntropyBonus";
    const LABEL: &'static str = "Entropy bonus";
    const COLOR: Option<MethodColor> =
        Some(MethodColor { on_dark: [0xf0, 0xb4, 0x29], on_light: [0x8a, 0x5b, 0x00] });

    fn validate(&self, _: &Experiment) -> Result<()> {
        within("method.coefficient", self.coefficient, 0.0, 10.0)
    }
}

impl Plugin for EntropyBonus {
    fn build(&self, app: &mut App) {
        app.insert_resource(EntropyCoefficient(self.coefficient));
    }
}
