//! RepExp (representation-based exploration, arXiv 2510.11686). Differs from GRPO in:
//!
//! 1. the reward has a bonus for representations unlike those of the group: r~ = r + beta b, with
//!    `b_i = z_i^T (ridge I + sum over j of z_j z_j^T)^-1 z_i`, where z are the unit vectors of the
//!    responses, projected to a few dimensions by a sparse random matrix that each step draws anew,
//!    less their mean ([`leverage`]);
//! 2. groups without a correct answer have no bonus.
//!
//! The published recipe takes hidden states as they are; here they have unit length, as all vectors
//! that methods compare, so that the ridge means the same for each kind. It also leaves i out of its
//! own sum, which `leave_out` does.

use super::shaping::{Features, ShapedGroup, ShapesGroups, base};
use crate::error::{Error, Result};
use crate::experiment::{Experiment, Method, MethodColor, MethodKind, within};
use crate::geometry::{leverage, sparse_projection};
use bevy_app::{App, Plugin};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// RepExp.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RepExp {
    /// The vectors that are compared.
    pub features: Features,
    /// Weight of the bonus.
    pub beta: f64,
    /// What is added to the diagonal of the covariance.
    pub ridge: f64,
    /// Dimensions that vectors are projected to; left out, they are compared as they are.
    pub dimensions: Option<usize>,
    /// Whether a response is left out of the covariance that it is measured by.
    pub leave_out: bool,
}

impl Default for RepExp {
    fn default() -> Self {
        let features = Features::Hidden;
        Self { features, beta: 0.01, ridge: 0.01, dimensions: Some(32), leave_out: false }
    }
}

inventory::submit! { MethodKind::built_in::<RepExp>() }

impl Method for RepExp {
    const NAME: &'static str = "RepExp";
    const LABEL: &'static str = "RepExp";
    const COLOR: Option<MethodColor> =
        Some(MethodColor { on_dark: [0x6c, 0xa6, 0xff], on_light: [0x1f, 0x5f, 0xc4] });

    fn validate(&self, _: &Experiment) -> Result<()> {
        within("method.beta", self.beta, 0.0, 100.0)?;
        within("method.ridge", self.ridge, 1e-9, 1e9)?;
        match self.dimensions {
            Some(0) => {
                Err(Error::field("method.dimensions", "is 0; it must be at least 1, or None"))
            }
            _ => Ok(()),
        }
    }

    fn needs_encoder(&self) -> bool {
        self.features.need_encoder()
    }
}

impl Plugin for RepExp {
    fn build(&self, app: &mut App) {
        self.add_shaping(app);
    }
}

impl ShapesGroups for RepExp {
    fn features(&self) -> Features {
        self.features
    }

    fn shape(&self, group: &ShapedGroup, mut stream: ChaCha8Rng) -> Vec<f64> {
        if !group.correct.contains(&true) {
            return base(group.rewards).collect();
        }
        let bonus = match self.dimensions {
            Some(dimensions) => {
                let rows = sparse_projection(group.rows, group.dim, dimensions, &mut stream);
                leverage(&rows, dimensions, self.ridge, self.leave_out)
            }
            None => leverage(group.rows, group.dim, self.ridge, self.leave_out),
        };
        base(group.rewards).zip(bonus).map(|(reward, bonus)| reward + self.beta * bonus).collect()
    }
}
