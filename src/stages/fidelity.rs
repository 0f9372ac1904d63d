//! Proxy fidelity: how well the cosines of features predict the cosines of real parameter
//! gradients, which the paper asserts and does not measure.
//!
//! On its schedule (`fidelity: (every: 25, groups: 2)`), for the step's first groups and before the
//! update, the gradient of every response's mean token log-likelihood at the sampling temperature
//! is computed over all parameters. Reads [`Cosines`] and [`Response`]; adds [`GradientCosines`] to
//! those groups, and over their pairs correlates the cosines of gradients, of the whole network and
//! of its parts, with those of features.

use super::step_metrics::{DeclareMetrics, mean};
use super::{
    ActiveExperiment, Monitor, Policy, RunRecorder, StageSystems, StepCounter, StepMetrics,
    TrainStep, compute_features,
};
use crate::geometry::{CosineMatrix, pearson, spearman};
use crate::metrics::{Metric, metrics};
use crate::model::{GRADIENT_MEMORY, GradientForm, ParameterBlock};
use crate::rollout::{Cosines, GradientCosines, Groups, PromptTokens, Response, Rollouts};
use crate::run::{BlockFidelity, FidelityRecord, Stage};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use std::sync::Arc;

metrics! {
    FIDELITY_PEARSON: "fidelity/pearson", "", Higher, WhereMeasured("Proxy fidelity"),
        range(-1.0, 1.0), rounding(1e-3),
        "Pearson correlation, over pairs within groups, of the cosines of features with the \
         cosines of gradients over all parameters: 1 means that the cheap proxy tells the truth.";
    FIDELITY_SPEARMAN: "fidelity/spearman", "", Higher, Asked, range(-1.0, 1.0), rounding(1e-3),
        "The same as fidelity/pearson for ranks: whether the proxy puts pairs in the right order.";
    FIDELITY_EMBEDDINGS_PEARSON: "fidelity/embeddings_pearson", "", Higher, Asked,
        range(-1.0, 1.0), rounding(1e-3),
        "fidelity/pearson for the gradients of the embeddings, which are the head too where they \
         are tied.";
    FIDELITY_ATTENTION_PEARSON: "fidelity/attention_pearson", "", Higher, Asked,
        range(-1.0, 1.0), rounding(1e-3),
        "fidelity/pearson for the gradients of the attention's projections.";
    FIDELITY_MLP_PEARSON: "fidelity/mlp_pearson", "", Higher, Asked,
        range(-1.0, 1.0), rounding(1e-3),
        "fidelity/pearson for the gradients of the MLPs.";
    FIDELITY_NORMS_PEARSON: "fidelity/norms_pearson", "", Higher, Asked,
        range(-1.0, 1.0), rounding(1e-3),
        "fidelity/pearson for the gradients of the norms' weights.";
}

/// Fidelity, in the features stage.
pub struct FidelityPlugin;

impl Plugin for FidelityPlugin {
    fn build(&self, app: &mut App) {
        app.declare_metrics(METRICS).add_systems(
            TrainStep,
            measure_fidelity
                .run_if(fidelity_is_due)
                .after(compute_features)
                .in_set(StageSystems::Features),
        );
    }
}

fn fidelity_is_due(experiment: Res<ActiveExperiment>, step: Res<StepCounter>) -> bool {
    experiment.0.fidelity.is_some_and(|fidelity| fidelity.every.is_due(step.0))
}

/// Adds [`GradientCosines`] to the step's first groups and records the correlations.
pub fn measure_fidelity(
    mut commands: Commands,
    experiment: Res<ActiveExperiment>,
    step: Res<StepCounter>,
    policy: Res<Policy>,
    groups: Groups<(Entity, &PromptTokens, &Rollouts, &Cosines)>,
    responses: Query<&Response>,
    recorder: Res<RunRecorder>,
    monitor: Res<Monitor>,
    mut metrics: ResMut<StepMetrics>,
) -> Result {
    let Some(config) = experiment.0.fidelity else { return Ok(()) };
    let model = &policy.0;
    let form = match config.projection {
        None => GradientForm::Exact { memory_bytes: GRADIENT_MEMORY },
        Some(dimension) => GradientForm::Sketch { dimension, seed: experiment.0.seed },
    };
    let blocks = ParameterBlock::of_network(
        model.config.num_hidden_layers,
        model.config.tie_word_embeddings,
    );
    let wide = |cosines: &CosineMatrix| cosines.pairs().map(f64::from).collect::<Vec<_>>();
    let mut features = Vec::new();
    let mut gradients = vec![Vec::new(); blocks.len()];
    let chosen: Vec<_> = groups.iter().take(config.groups).collect();
    let (mut last, mut done) = (0.0, 0);
    let all: usize = chosen.iter().map(|(_, _, members, _)| members.len()).sum();
    for (entity, prompt, members, cosines) in &chosen {
        let mut pairs: Vec<(&[u32], &[u32])> = Vec::with_capacity(members.len());
        for member in members.iter() {
            pairs.push((&prompt.0, &responses.get(member)?.0.ids));
        }
        let products =
            model.gradient_products(&pairs, experiment.0.rollout.temperature, form, || {
                done += 1;
                monitor.report(Stage::Features, &mut last, done as f32 / all as f32);
            })?;
        features.extend(wide(&cosines.0));
        for (block, gradients) in blocks.iter().zip(&mut gradients) {
            gradients.extend(wide(&products.cosines(*block)?));
        }
        commands.entity(*entity).insert(GradientCosines(products.cosines(ParameterBlock::All)?));
    }
    let record = FidelityRecord {
        step: step.0,
        groups: chosen.len(),
        pairs: features.len(),
        blocks: blocks
            .iter()
            .zip(&gradients)
            .map(|(block, gradients)| BlockFidelity {
                block: block.to_string(),
                pearson: pearson(&features, gradients),
                spearman: spearman(&features, gradients),
                cosine_mean: (!gradients.is_empty()).then(|| mean(gradients.iter().copied())),
            })
            .collect(),
    };
    for (block, fidelity) in blocks.iter().zip(&record.blocks) {
        if let (Some(metric), Some(value)) = (pearson_metric(*block), fidelity.pearson) {
            metrics.set(metric, value);
        }
    }
    if let Some(value) = record.blocks[0].spearman {
        metrics.set(&FIDELITY_SPEARMAN, value);
    }
    recorder.0.append_fidelity(&record)?;
    monitor.0.update(|snapshot| Arc::make_mut(&mut snapshot.fidelity).push(record));
    Ok(())
}

fn pearson_metric(block: ParameterBlock) -> Option<&'static Metric> {
    match block {
        ParameterBlock::All => Some(&FIDELITY_PEARSON),
        ParameterBlock::Embeddings => Some(&FIDELITY_EMBEDDINGS_PEARSON),
        ParameterBlock::Attention => Some(&FIDELITY_ATTENTION_PEARSON),
        ParameterBlock::Mlp => Some(&FIDELITY_MLP_PEARSON),
        ParameterBlock::Norms => Some(&FIDELITY_NORMS_PEARSON),
        ParameterBlock::Head | ParameterBlock::Layer(_) => None,
    }
}
