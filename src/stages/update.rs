//! Moves the policy: forward, loss, backward and optimizer, over minibatches and micro-batches.
//!
//! ```text
//! loss = - sum over tokens of w_t (min(rho_t A, clip(rho_t) A) - beta kl_t + c H_t)
//! ```
//!
//! with rho the ratio to the sampling policy, kl the estimator against the frozen reference, H the token entropy, and w the
//! weights of the reduction. The log-probabilities of the sampling policy are those recorded while sampling, at the sampling
//! temperature. Which method is running does not matter here: methods have spoken through [`Advantage`] and
//! [`EntropyCoefficient`].

use super::{
    ActiveExperiment, Monitor, Policy, PolicyOptimizer, RunRecorder, StageSystems, StepCounter, StepMetrics, TrainStep,
    warn,
};
use crate::error::Error;
use crate::experiment::{Experiment, OptimizerConfig};
use crate::metrics;
use crate::model::{LanguageModel, Qwen3, ResponseBatch, micro_batches};
use crate::objective::{BatchTotals, ClippedObjective, expand_to_tokens};
use crate::optim::Gradients;
use crate::rng;
use crate::rollout::{Advantage, PromptGroup, PromptTokens, Response, Rollouts};
use crate::trainer::Stage;
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use candle_core::Tensor;

/// The update stage.
pub struct UpdatePlugin;

impl Plugin for UpdatePlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<EntropyCoefficient>().add_systems(TrainStep, update_policy.in_set(StageSystems::Update));
    }
}

/// The frozen policy that the KL term compares with; absent where its coefficient is 0.
#[derive(Resource)]
pub struct Reference(pub Qwen3);

/// Weight c of the mean token entropy in the objective.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq)]
pub struct EntropyCoefficient(pub f64);

/// Sampler and update compute the same log-probabilities up to rounding; a larger difference, nats, means that they do not.
const GAP_WARNING: f64 = 1e-2;

/// One rollout as the update sees it.
struct Sample<'a> {
    prompt: &'a [u32],
    response: &'a [u32],
    old_logprobs: &'a [f32],
    advantage: f32,
    /// Where it stands, for error messages.
    place: (u32, usize),
}

/// Sums over the tokens of a step, for metrics.
#[derive(Default)]
struct Totals {
    loss: f64,
    tokens: usize,
    kl: f64,
    clipped: usize,
    gap: f64,
}

/// One update of the policy from the step's rollouts.
pub fn update_policy(
    experiment: Res<ActiveExperiment>,
    step: Res<StepCounter>,
    policy: Res<Policy>,
    reference: Option<Res<Reference>>,
    entropy: Res<EntropyCoefficient>,
    mut optimizer: ResMut<PolicyOptimizer>,
    groups: Query<(&PromptGroup, &PromptTokens, &Rollouts)>,
    rollouts: Query<(&Response, &Advantage)>,
    recorder: Res<RunRecorder>,
    monitor: Res<Monitor>,
    mut metrics: ResMut<StepMetrics>,
) -> Result {
    let experiment = &experiment.0;
    let mut samples = Vec::new();
    for (group, prompt, members) in groups.iter().sort::<&PromptGroup>() {
        for (index, rollout) in members.iter().enumerate() {
            let (response, advantage) = rollouts.get(rollout)?;
            samples.push(Sample {
                prompt: &prompt.0,
                response: &response.0.ids,
                old_logprobs: &response.0.logprobs,
                advantage: advantage.0,
                place: (group.0, index),
            });
        }
    }
    let OptimizerConfig::AdamW(adamw) = &experiment.optimizer;
    let rate = adamw.schedule.rate(adamw.learning_rate, step.0, adamw.warmup_steps, experiment.stop.steps);
    let passes = experiment.objective.epochs * experiment.objective.minibatches;
    let (mut totals, mut norms, mut last) = (Totals::default(), Vec::new(), 0.0);
    let mut done = 0;
    for epoch in 0..experiment.objective.epochs {
        let mut order: Vec<usize> = (0..samples.len()).collect();
        if passes > 1 {
            rng::shuffle(&mut rng::stream([experiment.seed, rng::MINIBATCHES | step.0, epoch as u64, 0]), &mut order);
        }
        for chunk in order.chunks(samples.len().div_ceil(experiment.objective.minibatches)) {
            let minibatch: Vec<&Sample> = chunk.iter().map(|&index| &samples[index]).collect();
            let report = |share: f32| monitor.report(Stage::Update, &mut last, (done as f32 + share) / passes as f32);
            let gradients = backward(
                experiment,
                &policy.0,
                reference.as_deref().map(|r| &r.0),
                entropy.0,
                &minibatch,
                &mut totals,
                report,
            )?;
            norms.push(optimizer.0.step(&gradients, rate)?);
            done += 1;
        }
    }
    let tokens = totals.tokens.max(1) as f64;
    metrics.set(&metrics::POLICY_LOSS, totals.loss / passes as f64);
    metrics.set(&metrics::POLICY_GRAD_NORM, super::mean(norms));
    metrics.set(&metrics::POLICY_LEARNING_RATE, rate);
    metrics.set(&metrics::POLICY_CLIP_RATIO, totals.clipped as f64 / tokens);
    metrics.set(&metrics::POLICY_SAMPLER_LOGPROB_GAP, totals.gap);
    if totals.gap > GAP_WARNING {
        let text = format!("sampling and update disagree by {:.2e} nats on a token's log-probability", totals.gap);
        warn(&recorder, &monitor, step.0, text)?;
    }
    if reference.is_some() {
        metrics.set(&metrics::POLICY_KL, totals.kl / tokens);
    }
    Ok(())
}

/// The gradient of one minibatch, summed over micro-batches.
fn backward(
    experiment: &Experiment,
    policy: &LanguageModel,
    reference: Option<&Qwen3>,
    entropy_coefficient: f64,
    minibatch: &[&Sample],
    totals: &mut Totals,
    mut report: impl FnMut(f32),
) -> crate::error::Result<Gradients> {
    let objective = &experiment.objective;
    let temperature = experiment.rollout.temperature;
    let clipping =
        ClippedObjective { clip_low: objective.clip_low, clip_high: objective.clip_high, ratio: objective.ratio };
    let batch_totals = BatchTotals {
        responses: minibatch.len(),
        tokens: minibatch.iter().map(|sample| sample.response.len()).sum(),
        response_limit: experiment.rollout.max_new_tokens,
    };
    let lengths: Vec<usize> = minibatch.iter().map(|s| s.prompt.len() + s.response.len()).collect();
    let runs = micro_batches(&lengths, objective.micro_batch_tokens);
    let mut gradients = Gradients::default();
    // Differences to the sampler are only meaningful before the weights have moved.
    let measure_gap = totals.tokens == 0;
    for (index, run) in runs.iter().enumerate() {
        let samples = &minibatch[run.clone()];
        let pairs: Vec<(&[u32], &[u32])> = samples.iter().map(|s| (s.prompt, s.response)).collect();
        let lengths: Vec<usize> = samples.iter().map(|s| s.response.len()).collect();
        let batch = ResponseBatch::new(&pairs);
        let device = policy.trainable.device();
        let vector = |values: Vec<f32>| {
            let count = values.len();
            Tensor::from_vec(values, count, device)
        };
        let old = vector(samples.iter().flat_map(|s| s.old_logprobs.iter().copied()).collect())?;
        let advantages = vector(expand_to_tokens(&samples.iter().map(|s| s.advantage).collect::<Vec<_>>(), &lengths)?)?;
        let weights = vector(objective.loss.token_weights(&lengths, &batch_totals))?;

        let statistics = policy.trainable.response_logprobs(&batch, temperature)?; // (tokens, 2)
        let logprobs = statistics.narrow(1, 0, 1)?.squeeze(1)?; // (tokens)
        let surrogate = clipping.per_token(&logprobs, &old, &advantages, &lengths)?;
        let mut terms = surrogate.objective.clone(); // (tokens), to be maximised
        if let Some(reference) = reference {
            let anchor = reference.response_logprobs(&batch, temperature)?.narrow(1, 0, 1)?.squeeze(1)?;
            let kl = objective.kl.estimator.per_token(&logprobs, &anchor)?;
            totals.kl += f64::from(kl.sum_all()?.to_scalar::<f32>()?);
            terms = (terms - (kl * objective.kl.coefficient)?)?;
        }
        if entropy_coefficient != 0.0 {
            let entropy = statistics.narrow(1, 1, 1)?.squeeze(1)?;
            terms = (terms + (entropy * entropy_coefficient)?)?;
        }
        let loss = (terms * weights)?.sum_all()?.neg()?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            let (group, rollout) = first_not_finite(samples, &logprobs)?;
            return Err(Error::failed(format!(
                "the loss is not finite; first seen in group {group}, rollout {rollout}"
            )));
        }
        totals.loss += value;
        totals.tokens += batch.response_tokens();
        totals.clipped += surrogate.clipped_tokens()?;
        if measure_gap {
            let gap = (logprobs.detach() - &old)?.abs()?.max_all()?.to_scalar::<f32>()?;
            totals.gap = totals.gap.max(f64::from(gap));
        }
        gradients.accumulate(&policy.weights, &loss.backward()?)?;
        report((index + 1) as f32 / runs.len() as f32);
    }
    Ok(gradients)
}

/// The place of the first rollout with a log-probability that is not finite, or of the first rollout at all.
fn first_not_finite(samples: &[&Sample], logprobs: &Tensor) -> crate::error::Result<(u32, usize)> {
    let logprobs = logprobs.to_vec1::<f32>()?;
    let mut rest = logprobs.as_slice();
    for sample in samples {
        let (own, after) = rest.split_at(sample.response.len());
        if own.iter().any(|value| !value.is_finite()) {
            return Ok(sample.place);
        }
        rest = after;
    }
    Ok(samples.first().map_or((0, 0), |sample| sample.place))
}
