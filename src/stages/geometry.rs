//! What the directions of each group look like: the distribution of cosines by kind of pair,
//! spectrum and effective rank, norms, and novelty against reward.
//!
//! Reads [`Cosines`], [`Feature`], [`Novelty`] and [`Judged`]; adds [`Geometry`] to every group
//! that has cosines, and the step's `geometry/*` metrics, which pool the pairs of all groups.

use super::step_metrics::{DeclareMetrics, mean};
use super::{StageSystems, StepMetrics, TrainStep, score_novelty};
use crate::geometry::{GroupGeometry, PairKind, PairStatistics};
use crate::metrics::metrics;
use crate::rollout::{Cosines, Feature, Geometry, Groups, Judged, Novelty, Rollouts};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

metrics! {
    GEOMETRY_COSINE_MEAN: "geometry/cosine_mean", "", Neither, Always("Mean cosine"),
        range(-1.0, 1.0), rounding(1e-3),
        "Mean cosine between the gradient directions (Phi) of two responses of a group, over all \
         pairs.";
    GEOMETRY_COSINE_Q05: "geometry/cosine_q05", "", Neither, Asked,
        range(-1.0, 1.0), rounding(1e-3),
        "The cosine that 5 % of the pairs within groups lie below.";
    GEOMETRY_COSINE_MEDIAN: "geometry/cosine_median", "", Neither, Asked,
        range(-1.0, 1.0), rounding(1e-3),
        "Median cosine over all pairs within groups.";
    GEOMETRY_COSINE_Q95: "geometry/cosine_q95", "", Neither, Asked,
        range(-1.0, 1.0), rounding(1e-3),
        "The cosine that 95 % of the pairs within groups lie below.";
    GEOMETRY_CORRECT_COSINE_MEAN: "geometry/correct_cosine_mean", "", Neither, Asked,
        range(-1.0, 1.0), rounding(1e-3),
        "Mean cosine over pairs of correct responses: high where correct answers all push the \
         policy the same way.";
    GEOMETRY_MIXED_COSINE_MEAN: "geometry/mixed_cosine_mean", "", Lower, Asked,
        range(-1.0, 1.0), rounding(1e-3),
        "Mean cosine over pairs of a correct and an incorrect response: where it is high, \
         reinforcing one reinforces the other.";
    GEOMETRY_INCORRECT_COSINE_MEAN: "geometry/incorrect_cosine_mean", "", Neither, Asked,
        range(-1.0, 1.0), rounding(1e-3),
        "Mean cosine over pairs of incorrect responses.";
    GEOMETRY_NEGATIVE_RATIO: "geometry/negative_ratio", "", Higher, Always("Negative pairs"),
        range(0.0, 1.0),
        "Share of pairs within groups with a negative cosine: responses that pull the policy in \
         opposing directions.";
    GEOMETRY_ORTHOGONAL_RATIO: "geometry/orthogonal_ratio", "", Higher,
        Always("Near-orthogonal pairs"), range(0.0, 1.0),
        "Share of pairs within groups with |cosine| < 0.1: responses that teach independent \
         things.";
    GEOMETRY_EFFECTIVE_RANK: "geometry/effective_rank", "", Higher, Always("Effective rank"),
        at_least(0.0),
        "Mean over groups of exp(entropy of the normalised eigenvalues of the cosine matrix): how \
         many directions a group spans.";
    GEOMETRY_CORRECT_NOVELTY_MEAN: "geometry/correct_novelty_mean", "", Neither, Asked,
        range(0.0, 1.0), rounding(1e-3),
        "Mean exploration score nu of correct responses.";
    GEOMETRY_INCORRECT_NOVELTY_MEAN: "geometry/incorrect_novelty_mean", "", Neither, Asked,
        range(0.0, 1.0), rounding(1e-3),
        "Mean exploration score nu of incorrect responses.";
    GEOMETRY_FEATURE_NORM_MEAN: "geometry/feature_norm_mean", "", Neither, Asked, at_least(0.0),
        "Mean L2 norm of the sequence features Phi: how hard a response pulls at the last layer, \
         per token.";
}

/// Geometry statistics, in the novelty stage.
pub struct GeometryPlugin;

impl Plugin for GeometryPlugin {
    fn build(&self, app: &mut App) {
        app.declare_metrics(METRICS).add_systems(
            TrainStep,
            measure_geometry.after(score_novelty).in_set(StageSystems::Novelty),
        );
    }
}

/// Adds [`Geometry`] to the groups and sets the metrics.
pub fn measure_geometry(
    mut commands: Commands,
    groups: Groups<(Entity, &Rollouts, &Cosines)>,
    rollouts: Query<(&Judged, &Feature, &Novelty)>,
    mut metrics: ResMut<StepMetrics>,
) -> Result {
    let (mut pairs, mut ranks, mut norms) = (Vec::new(), Vec::new(), Vec::new());
    let (mut novelty_correct, mut novelty_incorrect) = (Vec::new(), Vec::new());
    for (entity, members, cosines) in groups.iter() {
        let mut correct = Vec::with_capacity(members.len());
        for member in members.iter() {
            let (judged, feature, novelty) = rollouts.get(member)?;
            let is_correct = judged.0.verdict.is_correct();
            correct.push(is_correct);
            norms.push(feature.0.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt());
            if is_correct { &mut novelty_correct } else { &mut novelty_incorrect }
                .push(f64::from(novelty.score));
        }
        let indexed = cosines.0.indexed_pairs();
        pairs.extend(indexed.map(|(i, j, cosine)| (PairKind::of(correct[i], correct[j]), cosine)));
        let geometry = GroupGeometry::new(&cosines.0, &correct);
        ranks.push(geometry.effective_rank);
        commands.entity(entity).insert(Geometry(geometry));
    }
    if ranks.is_empty() {
        return Ok(());
    }
    let of_kind = |kind: PairKind| {
        PairStatistics::of(pairs.iter().filter(|(k, _)| *k == kind).map(|(_, cosine)| *cosine))
    };
    let all = PairStatistics::of(pairs.iter().map(|(_, cosine)| *cosine));
    for (metric, value) in [
        (&GEOMETRY_COSINE_MEAN, all.mean),
        (&GEOMETRY_COSINE_Q05, all.quantiles[0]),
        (&GEOMETRY_COSINE_MEDIAN, all.quantiles[2]),
        (&GEOMETRY_COSINE_Q95, all.quantiles[4]),
        (&GEOMETRY_NEGATIVE_RATIO, all.negative_ratio),
        (&GEOMETRY_ORTHOGONAL_RATIO, all.orthogonal_ratio),
        (&GEOMETRY_CORRECT_COSINE_MEAN, of_kind(PairKind::Correct).mean),
        (&GEOMETRY_MIXED_COSINE_MEAN, of_kind(PairKind::Mixed).mean),
        (&GEOMETRY_INCORRECT_COSINE_MEAN, of_kind(PairKind::Incorrect).mean),
        (&GEOMETRY_EFFECTIVE_RANK, mean(ranks)),
        (&GEOMETRY_FEATURE_NORM_MEAN, mean(norms)),
    ] {
        metrics.set(metric, value);
    }
    for (metric, values) in [
        (&GEOMETRY_CORRECT_NOVELTY_MEAN, novelty_correct),
        (&GEOMETRY_INCORRECT_NOVELTY_MEAN, novelty_incorrect),
    ] {
        if !values.is_empty() {
            metrics.set(metric, mean(values));
        }
    }
    Ok(())
}
