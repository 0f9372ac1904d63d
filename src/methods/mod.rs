//! Methods: each file holds what differs from GRPO, and nothing else. No other file has to name a
//! method. That of GRPO says that it is the method of an experiment that names none.
//!
//! A method is a plugin whose fields are its settings. It shapes rewards by inserting
//! `ShapedReward` in `StageSystems::Novelty` after `score_novelty`, or sets resources that the
//! stages read; one that reads features, cosines or novelty sets `FeatureDemand::EveryStep`. GRPO
//! is the pipeline as it is.

mod entropy_bonus;
mod evol_rl;
mod g2rl;
mod grpo;

pub use entropy_bonus::EntropyBonus;
pub use evol_rl::{EvolRl, Labels, shape_rewards_by_meaning};
pub use g2rl::{G2rl, shape_rewards_by_novelty};
pub use grpo::Grpo;
