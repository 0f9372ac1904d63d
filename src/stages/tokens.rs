//! The token view: what each token adds to the direction of its response.
//!
//! Every `record.tokens_every` steps, before the update, one forward pass over the step's rollouts
//! gives phi of every token. Reads [`Feature`] and [`Response`]; writes [`TokenParts`], which the
//! record stage puts into `tokens/step_NNNNNN.safetensors`
//! ([`RunDir::write_tokens`](crate::run::RunDir::write_tokens)).

use super::{
    ActiveExperiment, FeatureWeights, Monitor, Policy, StageSystems, StepCounter, TrainStep,
    compute_features,
};
use crate::geometry::attribute_tokens;
use crate::kernels::token_statistics;
use crate::model::{ResponseBatch, response_micro_batches};
use crate::rollout::{Feature, Groups, PromptTokens, Response, Rollouts, TokenParts};
use crate::run::Stage;
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

/// The token view, in the features stage.
pub struct TokensPlugin;

impl Plugin for TokensPlugin {
    fn build(&self, app: &mut App) {
        app.add_systems(
            TrainStep,
            attribute_step_tokens
                .run_if(tokens_are_due)
                .after(compute_features)
                .in_set(StageSystems::Features),
        );
    }
}

fn tokens_are_due(experiment: Res<ActiveExperiment>, step: Res<StepCounter>) -> bool {
    experiment.0.record.tokens_every.is_due(step.0)
}

/// Attributes the step's cosines to tokens.
pub fn attribute_step_tokens(
    mut commands: Commands,
    experiment: Res<ActiveExperiment>,
    policy: Res<Policy>,
    weights: Res<FeatureWeights>,
    groups: Groups<(Entity, &PromptTokens, &Rollouts)>,
    rollouts: Query<(&Response, &Feature)>,
    monitor: Res<Monitor>,
) -> Result {
    let model = &policy.0.frozen;
    let temperature = experiment.0.rollout.temperature;
    let dim = model.spec().hidden_size;
    let mut last = 0.0;
    let count = groups.iter().count();
    for (done, (group, prompt, members)) in groups.iter().enumerate() {
        let (mut pairs, mut features) = (Vec::with_capacity(members.len()), Vec::new());
        let mut alpha = Vec::new();
        for member in members.iter() {
            let (response, feature) = rollouts.get(member)?;
            pairs.push((prompt.0.as_slice(), response.0.ids.as_slice()));
            features.extend_from_slice(&feature.0);
            alpha.extend(response.0.entropies.iter().map(|&entropy| weights.0.alpha(entropy)));
        }
        let mut phi = Vec::with_capacity(alpha.len() * dim);
        for run in response_micro_batches(&pairs, experiment.0.objective.micro_batch_tokens()) {
            let batch = ResponseBatch::new(&pairs[run])?;
            let hidden = model.response_hidden(&batch)?; // (response tokens, d)
            phi.extend(token_statistics(&hidden, model.head(), batch.targets(), temperature)?.phi);
        }
        let lengths: Vec<usize> = pairs.iter().map(|(_, response)| response.len()).collect();
        let attribution = attribute_tokens(&phi, &alpha, &lengths, &features, dim)?;
        commands.entity(group).insert(TokenParts(attribution));
        monitor.report(Stage::Features, &mut last, (done + 1) as f32 / count as f32);
    }
    Ok(())
}
