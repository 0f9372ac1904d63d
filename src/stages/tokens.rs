//! The token view: what each token adds to the direction of its response.
//!
//! Every `record.tokens_every` steps, before the update, one forward pass over the step's rollouts gives phi of every token. Reads
//! [`Feature`] and [`Response`]; writes `tokens/step_NNNNNN.safetensors` with, for every group g of m responses,
//! `offsets.g` i64 (m + 1), `norm.g` (tokens): |phi|, `share.g` (tokens, m): the token's part in the cosine with each member
//! ([`attribute_tokens`]), `logprob.g` and `entropy.g` (tokens) as recorded while sampling.

use super::{
    ActiveExperiment, FeatureWeights, Monitor, Policy, RunRecorder, StageSystems, StepCounter, TrainStep,
    compute_features,
};
use crate::experiment::GroupTokens;
use crate::geometry::attribute_tokens;
use crate::kernels::token_statistics;
use crate::model::{ResponseBatch, micro_batches};
use crate::rollout::{Feature, PromptGroup, PromptTokens, Response, Rollouts};
use crate::trainer::Stage;
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;

/// The token view, in the features stage.
pub struct TokensPlugin;

impl Plugin for TokensPlugin {
    fn build(&self, app: &mut App) {
        app.add_systems(
            TrainStep,
            record_tokens.run_if(tokens_are_due).after(compute_features).in_set(StageSystems::Features),
        );
    }
}

fn tokens_are_due(experiment: Res<ActiveExperiment>, step: Res<StepCounter>) -> bool {
    experiment.0.record.tokens_are_due(step.0)
}

/// Writes the step's token records.
pub fn record_tokens(
    experiment: Res<ActiveExperiment>,
    step: Res<StepCounter>,
    policy: Res<Policy>,
    weights: Res<FeatureWeights>,
    groups: Query<(&PromptGroup, &PromptTokens, &Rollouts)>,
    rollouts: Query<(&Response, &Feature)>,
    recorder: Res<RunRecorder>,
    monitor: Res<Monitor>,
) -> Result {
    let model = &policy.0.frozen;
    let temperature = experiment.0.rollout.temperature;
    let dim = model.config().hidden_size;
    let mut records = Vec::new();
    let mut last = 0.0;
    let count = groups.iter().count();
    for (done, (group, prompt, members)) in groups.iter().sort::<&PromptGroup>().enumerate() {
        let (mut pairs, mut features) = (Vec::with_capacity(members.len()), Vec::new());
        let (mut logprobs, mut entropies) = (Vec::new(), Vec::new());
        for member in members.iter() {
            let (response, feature) = rollouts.get(member)?;
            pairs.push((prompt.0.as_slice(), response.0.ids.as_slice()));
            features.extend_from_slice(&feature.0);
            logprobs.extend_from_slice(&response.0.logprobs);
            entropies.extend_from_slice(&response.0.entropies);
        }
        let lengths: Vec<usize> = pairs.iter().map(|(prompt, response)| prompt.len() + response.len()).collect();
        let mut phi = Vec::with_capacity(logprobs.len() * dim);
        for run in micro_batches(&lengths, experiment.0.objective.micro_batch_tokens) {
            let batch = ResponseBatch::new(&pairs[run]);
            let hidden = model.response_hidden(&batch)?; // (response tokens, d)
            phi.extend(token_statistics(&hidden, model.head(), batch.targets(), temperature)?.phi);
        }
        let alpha: Vec<f32> = entropies.iter().map(|&entropy| weights.0.alpha(entropy)).collect();
        let lengths: Vec<usize> = pairs.iter().map(|(_, response)| response.len()).collect();
        let attribution = attribute_tokens(&phi, &alpha, &lengths, &features, dim)?;
        records.push(GroupTokens { group: group.0, lengths, attribution, logprobs, entropies });
        monitor.report(Stage::Features, &mut last, (done + 1) as f32 / count as f32);
    }
    Ok(recorder.0.write_tokens(step.0, &records)?)
}
