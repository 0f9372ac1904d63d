//! What the directions of each group look like: the distribution of cosines by kind of pair, spectrum and effective rank, norms,
//! and novelty against reward.
//!
//! Reads [`Cosines`], [`Feature`], [`Novelty`] and [`Judged`]; adds [`Geometry`] to every group that has cosines, and the step's
//! `geometry/*` metrics, which pool the pairs of all groups.

use super::{StageSystems, StepMetrics, TrainStep, mean, score_novelty};
use crate::geometry::{GroupGeometry, PairKind, PairStatistics};
use crate::metrics;
use crate::rollout::{Cosines, Feature, Geometry, Judged, Novelty, PromptGroup, Rollouts};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

/// Geometry statistics, in the novelty stage.
pub struct GeometryPlugin;

impl Plugin for GeometryPlugin {
    fn build(&self, app: &mut App) {
        app.add_systems(TrainStep, measure_geometry.after(score_novelty).in_set(StageSystems::Novelty));
    }
}

/// Adds [`Geometry`] to the groups and sets the metrics.
pub fn measure_geometry(
    mut commands: Commands,
    groups: Query<(Entity, &PromptGroup, &Rollouts, &Cosines)>,
    rollouts: Query<(&Judged, &Feature, &Novelty)>,
    mut metrics: ResMut<StepMetrics>,
) -> Result {
    let (mut pairs, mut ranks, mut norms) = (Vec::new(), Vec::new(), Vec::new());
    let (mut novelty_correct, mut novelty_incorrect) = (Vec::new(), Vec::new());
    for (entity, _, members, cosines) in groups.iter().sort::<&PromptGroup>() {
        let mut correct = Vec::with_capacity(members.len());
        for member in members.iter() {
            let (judged, feature, novelty) = rollouts.get(member)?;
            let is_correct = judged.0.verdict.is_correct();
            correct.push(is_correct);
            norms.push(feature.0.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt());
            if is_correct { &mut novelty_correct } else { &mut novelty_incorrect }.push(f64::from(novelty.score));
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
    let of_kind =
        |kind: PairKind| PairStatistics::of(pairs.iter().filter(|(k, _)| *k == kind).map(|(_, cosine)| *cosine));
    let all = PairStatistics::of(pairs.iter().map(|(_, cosine)| *cosine));
    for (metric, value) in [
        (&metrics::GEOMETRY_COSINE_MEAN, all.mean),
        (&metrics::GEOMETRY_COSINE_Q05, all.quantiles[0]),
        (&metrics::GEOMETRY_COSINE_MEDIAN, all.quantiles[2]),
        (&metrics::GEOMETRY_COSINE_Q95, all.quantiles[4]),
        (&metrics::GEOMETRY_NEGATIVE_RATIO, all.negative_ratio),
        (&metrics::GEOMETRY_ORTHOGONAL_RATIO, all.orthogonal_ratio),
        (&metrics::GEOMETRY_CORRECT_COSINE_MEAN, of_kind(PairKind::Correct).mean),
        (&metrics::GEOMETRY_MIXED_COSINE_MEAN, of_kind(PairKind::Mixed).mean),
        (&metrics::GEOMETRY_INCORRECT_COSINE_MEAN, of_kind(PairKind::Incorrect).mean),
        (&metrics::GEOMETRY_EFFECTIVE_RANK, mean(ranks)),
        (&metrics::GEOMETRY_FEATURE_NORM_MEAN, mean(norms)),
    ] {
        metrics.set(metric, value);
    }
    for (metric, values) in [
        (&metrics::GEOMETRY_CORRECT_NOVELTY_MEAN, novelty_correct),
        (&metrics::GEOMETRY_INCORRECT_NOVELTY_MEAN, novelty_incorrect),
    ] {
        if !values.is_empty() {
            metrics.set(metric, mean(values));
        }
    }
    Ok(())
}
