//! Methods: each file holds what differs from GRPO, and nothing else.
//!
//! A method is a plugin. It shapes rewards by inserting `ShapedReward` in `StageSystems::Novelty` after `score_novelty`, or
//! sets resources that the stages read; one that reads features, cosines or novelty sets `FeatureDemand::EveryStep`. GRPO itself is the pipeline without any method plugin.

mod entropy_bonus;
mod evol_rl;
mod g2rl;

pub use entropy_bonus::EntropyBonusPlugin;
pub use evol_rl::{EvolRlPlugin, shape_rewards_by_meaning};
pub use g2rl::{G2rlPlugin, shape_rewards_by_novelty};

use crate::experiment::MethodConfig;
use bevy_app::App;

/// Adds the plugin of the experiment's method, if it needs one.
pub fn add_method(app: &mut App, method: &MethodConfig) {
    match method {
        MethodConfig::Grpo | MethodConfig::Custom(_) => {}
        MethodConfig::EntropyBonus(config) => {
            app.add_plugins(EntropyBonusPlugin(config.clone()));
        }
        MethodConfig::EvolRl(config) => {
            app.add_plugins(EvolRlPlugin(config.clone()));
        }
        MethodConfig::G2rl(config) => {
            app.add_plugins(G2rlPlugin(config.clone()));
        }
    }
}
