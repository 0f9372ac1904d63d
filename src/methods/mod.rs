//! Methods: each file holds what differs from GRPO, and nothing else.
//!
//! A method is a plugin. It shapes rewards by inserting `ShapedReward` in `StageSystems::Novelty` after `score_novelty`, or
//! sets resources that the stages read; one that reads features, cosines or novelty sets `FeatureDemand::EveryStep`. GRPO is
//! the pipeline as it is.

mod entropy_bonus;
mod evol_rl;
mod g2rl;
mod grpo;

pub use entropy_bonus::EntropyBonusPlugin;
pub use evol_rl::{EvolRlPlugin, shape_rewards_by_meaning};
pub use g2rl::{G2rlPlugin, G2rlSettings, shape_rewards_by_novelty};
pub use grpo::GrpoPlugin;

use crate::experiment::MethodConfig;
use bevy_app::App;

/// Adds the plugin of the experiment's method; a custom one is added by whoever brings it.
pub fn add_method(app: &mut App, method: &MethodConfig) {
    match method {
        MethodConfig::Custom(_) => {}
        MethodConfig::Grpo => {
            app.add_plugins(GrpoPlugin);
        }
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
