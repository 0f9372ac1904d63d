//! DQO (diversity quality optimization, arXiv 2509.04784). Differs from GRPO in:
//!
//! 1. the reward has a bonus for what a response adds to the volume that its group spans: r~ = r +
//!    alpha log(det(S + I) / det(S' + I)), with S the cosines between the unit vectors of the
//!    group's responses and S' those without the response ([`determinant_gains`]).
//!
//! The paper embeds texts with a sentence encoder; its variant whose matrix is weighed by quality is
//! not here.

use super::shaping::{Features, ShapedGroup, ShapesGroups, base};
use crate::error::Result;
use crate::experiment::{Experiment, Method, MethodColor, MethodKind, within};
use crate::geometry::determinant_gains;
use bevy_app::{App, Plugin};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// DQO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dqo {
    /// The vectors that are compared.
    pub features: Features,
    /// Weight of the bonus.
    pub alpha: f64,
}

impl Default for Dqo {
    fn default() -> Self {
        Self { features: Features::Semantic, alpha: 0.5 }
    }
}

inventory::submit! { MethodKind::built_in::<Dqo>() }

impl Method for Dqo {
    const NAME: &'static str = "Dqo";
    const LABEL: &'static str = "DQO";
    const COLOR: Option<MethodColor> =
        Some(MethodColor { on_dark: [0xff, 0x8a, 0x65], on_light: [0xb3, 0x45, 0x1e] });

    fn validate(&self, _: &Experiment) -> Result<()> {
        within("method.alpha", self.alpha, 0.0, 100.0)
    }

    fn needs_encoder(&self) -> bool {
        self.features.need_encoder()
    }
}

impl Plugin for Dqo {
    fn build(&self, app: &mut App) {
        self.add_shaping(app);
    }
}

impl ShapesGroups for Dqo {
    fn features(&self) -> Features {
        self.features
    }

    fn shape(&self, group: &ShapedGroup, _: ChaCha8Rng) -> Vec<f64> {
        let gains = determinant_gains(group.cosines);
        base(group.rewards).zip(gains).map(|(reward, gain)| reward + self.alpha * gain).collect()
    }
}
