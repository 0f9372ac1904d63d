//! What responses say, beside where they push: sentence embeddings and their cosines within each
//! group.
//!
//! Runs in the features stage where an encoder is configured, by the method or by `record.encoder`,
//! whatever the method is. The encoder does not change during a run, so the numbers of different
//! steps can be compared.

use super::step_metrics::{DeclareMetrics, mean};
use super::{StageSystems, StepMetrics, TrainStep, measure_fidelity};
use crate::error::Error;
use crate::geometry::CosineMatrix;
use crate::metrics::metrics;
use crate::model::{Passage, SentenceEncoder};
use crate::rollout::{
    CompletionText, Embedding, Groups, PromptGroup, PromptTokens, Response, Rollouts,
    SemanticCosines,
};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

metrics! {
    SEMANTIC_COSINE_MEAN: "semantic/cosine_mean", "", Neither, WhereMeasured("Semantic cosine"),
        range(-1.0, 1.0), rounding(1e-3),
        "Mean cosine between the sentence embeddings of two responses of a group.";
}

/// Embeddings and their cosines.
pub struct SemanticPlugin;

impl Plugin for SemanticPlugin {
    fn build(&self, app: &mut App) {
        app.declare_metrics(METRICS).add_systems(
            TrainStep,
            (embed_responses, measure_semantics.after(measure_fidelity))
                .chain()
                .run_if(resource_exists::<Encoder>)
                .in_set(StageSystems::Features),
        );
    }
}

/// The sentence encoder; absent where none is configured.
#[derive(Resource)]
pub struct Encoder(pub SentenceEncoder);

/// Adds [`Embedding`] to every rollout and [`SemanticCosines`] to every group.
///
/// An encoder that fails ends the step: there is nothing that could stand for an embedding.
pub fn embed_responses(
    mut commands: Commands,
    encoder: Res<Encoder>,
    groups: Groups<(Entity, &PromptGroup, &PromptTokens, &Rollouts)>,
    responses: Query<(&Response, &CompletionText)>,
) -> Result {
    let groups: Vec<_> = groups.iter().collect();
    let mut passages_of = Vec::new();
    for (_, _, prompt, rollouts) in &groups {
        let mut passages = Vec::new();
        for rollout in rollouts.iter() {
            let (response, text) = responses.get(rollout)?;
            passages.push(Passage { prompt: &prompt.0, response: &response.0.ids, text: &text.0 });
        }
        passages_of.push(passages);
    }
    let embeddings_of = encoder.0.with(|embed| {
        let mut embeddings = Vec::new();
        for ((_, group, ..), passages) in groups.iter().zip(&passages_of) {
            embeddings.push(embed(passages).map_err(|e| {
                Error::failed(format!("cannot embed the responses of group {}: {e}", group.0))
            })?);
        }
        Ok(embeddings)
    })?;
    for ((entity, _, _, rollouts), embeddings) in groups.into_iter().zip(embeddings_of) {
        let dim = embeddings.first().map_or(0, Vec::len);
        let cosines = CosineMatrix::from_unit_vectors(&embeddings.concat(), dim)?;
        commands.entity(entity).insert(SemanticCosines(cosines));
        for (rollout, embedding) in rollouts.iter().zip(embeddings) {
            commands.entity(rollout).insert(Embedding(embedding));
        }
    }
    Ok(())
}

fn measure_semantics(groups: Groups<&SemanticCosines>, mut metrics: ResMut<StepMetrics>) {
    let cosines = groups.iter().flat_map(|cosines| cosines.0.pairs().map(f64::from));
    metrics.set(&SEMANTIC_COSINE_MEAN, mean(cosines));
}
