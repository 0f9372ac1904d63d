//! The entities of a training step.
//!
//! A *prompt group* is an entity with its problem; its *rollouts* are entities tied to it by the
//! [`InGroup`] relationship. Each stage adds its component, so what an entity has says how far it
//! has come. The groups of a step live until the next step begins; despawning a group despawns its
//! rollouts.

mod groups;

pub use groups::Groups;

use crate::geometry::{CosineMatrix, GroupGeometry, TokenAttribution};
use crate::model::{Completion, Trace};
use crate::tasks::Problem;
use crate::verify::Verification;
use bevy_ecs::prelude::*;

/// A prompt group, numbered from 0 within its step. Groups are put in order by this number.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PromptGroup(pub u32);

/// The group's problem.
#[derive(Component, Clone, Debug)]
pub struct GroupProblem(pub Problem);

/// The prompt's token ids.
#[derive(Component, Clone, Debug)]
pub struct PromptTokens(pub Vec<u32>);

/// The group's rollouts, in the order in which they were sampled.
#[derive(Component, Debug)]
#[relationship_target(relationship = InGroup, linked_spawn)]
pub struct Rollouts(Vec<Entity>);

/// Ties a rollout to its group.
#[derive(Component, Clone, Copy, Debug)]
#[relationship(relationship_target = Rollouts)]
pub struct InGroup(pub Entity);

/// A sampled completion with what was recorded while sampling. Added by the sample stage.
#[derive(Component, Clone, Debug)]
pub struct Response(pub Completion);

/// What the forward pass of sampling has left for the update's backward pass. Added by the sample
/// stage to the rollouts of the first groups, [`crate::experiment::ObjectiveConfig::traced_groups`].
#[derive(Component, Clone, Debug)]
pub struct ForwardTrace(pub Trace);

/// The completion's text without special tokens. Added by the sample stage.
#[derive(Component, Clone, Debug)]
pub struct CompletionText(pub String);

/// The verifier's judgement. Added by the verify stage.
#[derive(Component, Clone, Debug)]
pub struct Judged(pub Verification);

/// Base reward r, as the task gives it: by default +1 for a correct answer, -1 otherwise. Added by
/// the verify stage.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
pub struct Reward(pub f32);

/// The named parts of the base reward, where the task gives some. Added by the verify stage.
#[derive(Component, Clone, Debug, PartialEq)]
pub struct RewardParts(pub Vec<(&'static str, f32)>);

/// Sequence feature Phi, length d. Added by the features stage, in steps with features.
#[derive(Component, Clone, Debug)]
pub struct Feature(pub Vec<f32>);

/// Cosines between the group's unit features (m, m). Added to the group by the features stage, in
/// steps with features.
#[derive(Component, Clone, Debug)]
pub struct Cosines(pub CosineMatrix);

/// Mean over the response of the final hidden states that its tokens were drawn from, length d.
/// Added by the features stage where a method asks for it ([`crate::stages::HiddenDemand`]).
#[derive(Component, Clone, Debug)]
pub struct HiddenMean(pub Vec<f32>);

/// Cosines between the group's [`HiddenMean`]s (m, m). Added to the group beside these.
#[derive(Component, Clone, Debug)]
pub struct HiddenCosines(pub CosineMatrix);

/// Cosines between the gradients over all parameters (m, m). Added to some groups by the features
/// stage, on the schedule of [`crate::experiment::FidelityConfig`].
#[derive(Component, Clone, Debug)]
pub struct GradientCosines(pub CosineMatrix);

/// Statistics of the group's directions. Added to the group by the novelty stage, in steps with
/// features.
#[derive(Component, Clone, Debug)]
pub struct Geometry(pub GroupGeometry);

/// What the tokens of the group add to its cosines. Added to the group by the features stage, in
/// steps whose tokens are recorded.
#[derive(Component, Clone, Debug)]
pub struct TokenParts(pub TokenAttribution);

/// What the update made of the rollout's tokens, in the last pass over them: (tokens). Added by the
/// update stage, in steps whose tokens are recorded, to rollouts that are trained on.
#[derive(Component, Clone, Debug, PartialEq)]
pub struct TokenUpdate {
    /// Probability under the policy divided by that under the policy that sampled.
    pub ratios: Vec<f32>,
    /// Whether clipping took the token's gradient away.
    pub clipped: Vec<bool>,
}

/// Sentence embedding of the response, of unit length. Added by the features stage where an encoder
/// is configured.
#[derive(Component, Clone, Debug)]
pub struct Embedding(pub Vec<f32>);

/// Cosines between the group's embeddings (m, m). Added to the group by the features stage where an
/// encoder is configured.
#[derive(Component, Clone, Debug)]
pub struct SemanticCosines(pub CosineMatrix);

/// Exploration score. Added by the novelty stage, in steps with features.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
pub struct Novelty {
    /// nu, in [0, 1].
    pub score: f32,
    /// nu normalised within the group, in [0, 1].
    pub normalized: f32,
}

/// The reward that advantages are made of. Added by a method in the novelty stage, or equal to
/// [`Reward`]; the advantage stage takes the penalty for length from it.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
pub struct ShapedReward(pub f32);

/// Advantage A within the group. Added by the advantage stage.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
pub struct Advantage(pub f32);
