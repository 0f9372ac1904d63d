//! Methods: each file holds what differs from GRPO, and nothing else. No other file has to name a
//! method. That of GRPO says that it is the method of an experiment that names none.
//!
//! A method is a plugin whose fields are its settings. It shapes rewards by inserting
//! `ShapedReward` in `StageSystems::Novelty` after `score_novelty`, or sets resources that the
//! stages read; one that reads features, cosines or novelty sets `FeatureDemand::EveryStep`. GRPO
//! is the pipeline as it is.
//!
//! What is a function of a group's rewards and vectors, whichever these are, is a [`ShapesGroups`].

mod darling;
mod dqo;
mod dra;
mod entropy_bonus;
mod evol_rl;
mod g2rl;
mod grpo;
mod mmr;
mod rare;
mod rep_exp;
mod shaping;

pub use darling::Darling;
pub use dqo::Dqo;
pub use dra::Dra;
pub use entropy_bonus::EntropyBonus;
pub use evol_rl::{EvolRl, Labels, shape_rewards_by_meaning};
pub use g2rl::{G2rl, shape_rewards_by_novelty};
pub use grpo::Grpo;
pub use mmr::Mmr;
pub use rare::{Rare, favour_rare_strategies};
pub use rep_exp::RepExp;
pub use shaping::{Features, GroupVectors, ShapedGroup, ShapesGroups};
