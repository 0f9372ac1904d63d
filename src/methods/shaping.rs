//! What methods have in common that shape the rewards of a group by its vectors, whichever these
//! are: gradient directions, hidden states or sentence embeddings.

use crate::error::{Error, Result};
use crate::experiment::Method;
use crate::geometry::{CosineMatrix, unit_features};
use crate::rng::{self, Domain};
use crate::rollout::{
    Cosines, Embedding, Feature, HiddenCosines, HiddenMean, Judged, PromptGroup, Reward, Rollouts,
    SemanticCosines, ShapedReward,
};
use crate::stages::{
    ActiveExperiment, FeatureDemand, HiddenDemand, Settings, StageSystems, StepCounter, TrainStep,
    score_novelty,
};
use bevy_app::App;
use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemParam;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The vectors of responses that a method compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Features {
    /// Gradient directions Phi ([`Feature`]): where a response would push the policy.
    Gradient,
    /// Means over the response of the policy's final hidden states ([`HiddenMean`]).
    Hidden,
    /// Sentence embeddings ([`Embedding`]), of `record.encoder`, and where that is left out of the
    /// frozen base model.
    Semantic,
}

impl Features {
    /// Has them in every step.
    pub fn demand(self, app: &mut App) {
        match self {
            Self::Gradient => app.insert_resource(FeatureDemand::EveryStep),
            Self::Hidden => app.insert_resource(HiddenDemand(true)),
            Self::Semantic => app,
        };
    }

    /// Whether there must be a sentence encoder.
    pub fn need_encoder(self) -> bool {
        self == Self::Semantic
    }
}

/// The vectors and cosines of groups, by kind.
#[derive(SystemParam)]
pub struct GroupVectors<'w, 's> {
    groups: Query<
        'w,
        's,
        (
            Option<&'static Cosines>,
            Option<&'static HiddenCosines>,
            Option<&'static SemanticCosines>,
        ),
    >,
    rollouts: Query<
        'w,
        's,
        (Option<&'static Feature>, Option<&'static HiddenMean>, Option<&'static Embedding>),
    >,
}

impl GroupVectors<'_, '_> {
    /// The cosines between the vectors of a group (m, m).
    pub fn cosines(
        &self,
        group: Entity,
        features: Features,
    ) -> bevy_ecs::error::Result<&CosineMatrix> {
        let (gradient, hidden, semantic) = self.groups.get(group)?;
        let found = match features {
            Features::Gradient => gradient.map(|cosines| &cosines.0),
            Features::Hidden => hidden.map(|cosines| &cosines.0),
            Features::Semantic => semantic.map(|cosines| &cosines.0),
        };
        Ok(found.ok_or_else(|| missing(features))?)
    }

    /// The vectors of a group's responses at unit length, (m, dim) row-major, and `dim`.
    pub fn unit_rows(
        &self,
        members: &Rollouts,
        features: Features,
    ) -> bevy_ecs::error::Result<(Vec<f64>, usize)> {
        let (mut rows, mut dim) = (Vec::new(), 0);
        for member in members.iter() {
            let (gradient, hidden, semantic) = self.rollouts.get(member)?;
            let row = match features {
                Features::Gradient => gradient.map(|feature| &feature.0),
                Features::Hidden => hidden.map(|mean| &mean.0),
                Features::Semantic => semantic.map(|embedding| &embedding.0),
            };
            let row = row.ok_or_else(|| missing(features))?;
            dim = row.len();
            rows.extend_from_slice(row);
        }
        let rows = unit_features(&rows, dim)?.into_iter().map(f64::from).collect();
        Ok((rows, dim))
    }
}

fn missing(features: Features) -> Error {
    Error::failed(format!("the step has no vectors of kind {features:?}"))
}

/// A group of m responses as a method sees it.
#[derive(Debug)]
pub struct ShapedGroup<'a> {
    /// Base rewards r (m).
    pub rewards: &'a [f32],
    /// Whether each response is correct (m).
    pub correct: &'a [bool],
    /// Cosines between the vectors (m, m).
    pub cosines: &'a CosineMatrix,
    /// The vectors at unit length (m, dim), row-major.
    pub rows: &'a [f64],
    /// Elements of a vector.
    pub dim: usize,
}

/// A method that replaces the rewards of each group by a function of the rewards and the vectors.
pub trait ShapesGroups: Method {
    /// The vectors that it compares.
    fn features(&self) -> Features;

    /// The shaped rewards r~ (m). The stream is that of the step, the same for each of its groups.
    fn shape(&self, group: &ShapedGroup, stream: ChaCha8Rng) -> Vec<f64>;

    /// Adds the shaping to the novelty stage.
    fn add_shaping(&self, app: &mut App) {
        self.features().demand(app);
        app.add_systems(
            TrainStep,
            shape_groups::<Self>.after(score_novelty).in_set(StageSystems::Novelty),
        );
    }
}

/// Adds [`ShapedReward`] to every rollout.
fn shape_groups<M: ShapesGroups>(
    mut commands: Commands,
    settings: Settings<M>,
    experiment: Res<ActiveExperiment>,
    step: Res<StepCounter>,
    groups: Query<(Entity, &Rollouts), With<PromptGroup>>,
    rollouts: Query<(&Reward, &Judged)>,
    vectors: GroupVectors,
) -> bevy_ecs::error::Result {
    let method = settings.get()?;
    let stream = rng::stream(experiment.0.seed, Domain::Projections, [step.0, 0, 0]);
    for (group, members) in groups {
        let (mut rewards, mut correct) = (Vec::new(), Vec::new());
        for member in members.iter() {
            let (reward, judged) = rollouts.get(member)?;
            rewards.push(reward.0);
            correct.push(judged.0.verdict.is_correct());
        }
        let cosines = vectors.cosines(group, method.features())?;
        let (rows, dim) = vectors.unit_rows(members, method.features())?;
        let (rewards, correct, rows) = (&rewards[..], &correct[..], &rows[..]);
        let seen = ShapedGroup { rewards, correct, cosines, rows, dim };
        for (member, shaped) in members.iter().zip(method.shape(&seen, stream.clone())) {
            commands.entity(member).insert(ShapedReward(shaped as f32));
        }
    }
    Ok(())
}

/// Base rewards as `f64`.
pub(super) fn base(rewards: &[f32]) -> impl Iterator<Item = f64> {
    rewards.iter().map(|&reward| f64::from(reward))
}

/// Refuses a threshold that is no cosine.
pub(super) fn check_threshold(threshold: f64) -> Result<()> {
    crate::experiment::within("method.threshold", threshold, -1.0, 1.0)
}
