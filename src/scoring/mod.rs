//! Offline scoring: what a training step measures of its rollouts, for responses of any origin
//! under any model.
//!
//! For every response: its log-probability and entropy at temperature 1, its sensitivity feature at
//! the sampling temperature, and from these, within its group, cosines, novelty, shaped reward and
//! advantage (the formulas are those of [`crate::geometry`] and [`crate::objective`]). On request
//! also the cosines between the gradients over all parameters, which the features stand in for.

mod input;
mod measured;
mod output;

pub use input::{ScoreInput, read_inputs};
pub use output::{GroupScores, ResponseScore, ScoreFolder, Scores};

use crate::error::{Error, Result};
use crate::geometry::{
    CosineMatrix, NoveltyForm, Shaping, TokenWeights, normalize_novelty, novelty, shape_group,
};
use crate::kernels::token_statistics;
use crate::model::{
    GradientForm, LanguageModel, ParameterBlock, ResponseBatch, response_micro_batches,
};
use crate::objective::group_advantages;
use measured::Measured;
use std::collections::HashMap;

/// How responses are scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreSettings {
    /// The sampling temperature that features and gradients belong to.
    pub temperature: f64,
    /// Length of the unexplained part of a direction, or its square.
    pub novelty: NoveltyForm,
    /// How tokens are weighed in a feature; entropies are those at the sampling temperature.
    pub alpha: TokenWeights,
    /// How novelty shapes the reward.
    pub shaping: Shaping,
    /// Whether parameter gradients are computed, and in which form their products are taken.
    pub gradients: Option<GradientForm>,
    /// Most tokens, prompts included, of one forward pass. Decides memory, not results.
    pub micro_batch_tokens: usize,
}

/// What has just been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreProgress {
    /// So many more responses have gone through the forward pass.
    Responses(usize),
    /// One more gradient has been computed.
    Gradient,
}

/// Scores `inputs`. With gradients it recurses deeply: call it on a thread with a large stack.
///
/// Fails, naming the group, where the model's numbers are not finite.
pub fn score(
    model: &LanguageModel,
    inputs: &[ScoreInput],
    settings: &ScoreSettings,
    mut progress: impl FnMut(ScoreProgress),
) -> Result<Scores> {
    let measured =
        measure(model, inputs, settings, |done| progress(ScoreProgress::Responses(done)))?;
    let mut responses: Vec<ResponseScore> = inputs
        .iter()
        .zip(&measured)
        .map(|(input, measured)| ResponseScore::new(input, measured))
        .collect();
    let mut group_scores = Vec::new();
    for members in groups(inputs) {
        let name = inputs[members[0]].group.clone();
        let in_group =
            |error: Error| Error::failed(format!("group {name} cannot be scored: {error}"));
        let features =
            members.iter().map(|&i| measured[i].feature.as_slice()).collect::<Vec<_>>().concat();
        let cosines =
            CosineMatrix::from_features(&features, model.config.hidden_size).map_err(in_group)?;
        let rewards: Vec<f32> = members.iter().map(|&i| inputs[i].reward).collect();
        let nu = novelty(&cosines, &rewards, settings.novelty).map_err(in_group)?;
        let normalized = normalize_novelty(&nu, settings.novelty);
        let shaped = shape_group(&rewards, &normalized, &settings.shaping);
        let advantages = group_advantages(&shaped);
        for (place, &i) in members.iter().enumerate() {
            responses[i].novelty = nu[place];
            responses[i].novelty_normalized = normalized[place];
            responses[i].shaped_reward = shaped[place];
            responses[i].advantage = advantages[place];
        }
        let gradient_cosines = match settings.gradients {
            None => None,
            Some(form) => {
                let pairs: Vec<_> = members.iter().map(|&i| inputs[i].pair()).collect();
                let heard = || progress(ScoreProgress::Gradient);
                let products =
                    model.gradient_products(&pairs, settings.temperature, form, heard)?;
                Some(products.cosines(ParameterBlock::All).map_err(in_group)?)
            }
        };
        group_scores.push(GroupScores { name, members, cosines, gradient_cosines });
    }
    Ok(Scores {
        responses,
        groups: group_scores,
        features: measured.iter().flat_map(|m| m.feature.iter().copied()).collect(),
        feature_size: model.config.hidden_size,
        logprobs: measured.into_iter().map(|m| m.logprobs).collect(),
    })
}

/// The places of each group's members, groups in the order of their first members.
fn groups(inputs: &[ScoreInput]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known = HashMap::new();
    for (place, input) in inputs.iter().enumerate() {
        let group = *known.entry(&input.group).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Vec::new());
        }
        groups[group].push(place);
    }
    groups
}

/// Runs the forward passes.
fn measure(
    model: &LanguageModel,
    inputs: &[ScoreInput],
    settings: &ScoreSettings,
    mut progress: impl FnMut(usize),
) -> Result<Vec<Measured>> {
    let d = model.config.hidden_size;
    let mut measured = Vec::with_capacity(inputs.len());
    let pairs: Vec<_> = inputs.iter().map(ScoreInput::pair).collect();
    for run in response_micro_batches(&pairs, settings.micro_batch_tokens) {
        let inputs = &inputs[run.clone()];
        let batch = ResponseBatch::new(&pairs[run])?;
        let hidden = model.frozen.response_hidden(&batch)?; // (response tokens, d)
        let statistics = |temperature| {
            token_statistics(&hidden, model.frozen.head(), batch.targets(), temperature)
        };
        let plain = statistics(1.0)?;
        let is_plain = settings.temperature.to_bits() == 1f64.to_bits();
        let sampling = if is_plain { None } else { Some(statistics(settings.temperature)?) };
        let sampling = sampling.as_ref().unwrap_or(&plain);
        let mut at = 0;
        for input in inputs {
            let tokens = at..at + input.response.len();
            let entropy: f64 = plain.entropies[tokens.clone()].iter().copied().map(f64::from).sum();
            let entropies = &sampling.entropies[tokens.clone()];
            let mut sum = vec![0f32; d];
            let phi = sampling.phi[tokens.start * d..tokens.end * d].chunks_exact(d);
            for (phi, &entropy) in phi.zip(entropies) {
                let alpha = settings.alpha.alpha(entropy);
                for (sum, phi) in sum.iter_mut().zip(phi) {
                    *sum += alpha * phi;
                }
            }
            measured.push(Measured {
                logprobs: plain.logprobs[tokens.clone()].to_vec(),
                entropy: entropy / tokens.len() as f64,
                feature: settings.alpha.feature(&sum, entropies),
            });
            at = tokens.end;
        }
        progress(inputs.len());
    }
    Ok(measured)
}
