//! Moves the policy: forward, loss, backward and optimizer, over minibatches and micro-batches.
//!
//! The loss is [`Objective::loss`]; [`crate::objective`] has its formula. The log-probabilities of
//! the sampling policy are those recorded while sampling, at the sampling temperature. Which method
//! is running does not matter here: methods have spoken through [`Advantage`] and
//! [`EntropyCoefficient`].
//!
//! Traced rollouts ([`ForwardTrace`]) go backward from what sampling has left; their
//! log-probabilities are the recorded ones. All others are run forward first, and one of the traced
//! ones is too, so that each step shows whether sampler and update agree.
//!
//! Nothing that is not finite gets into the weights: the weights at the start, each mini-batch's
//! loss and gradient, and what the optimizer would store are looked at, and the step ends with an
//! error that names the tensor or the rollout.

use super::resources::warn;
use super::step_metrics::{DeclareMetrics, mean};
use super::{
    ActiveExperiment, Monitor, Policy, PolicyOptimizer, RunRecorder, StageSystems, StepCounter,
    StepMetrics, TrainStep,
};
use crate::error::Error;
use crate::experiment::{OptimizerConfig, Precision};
use crate::kernels::Buffers;
use crate::metrics::metrics;
use crate::model::{
    Completion, Decoder, ForwardPass, FrozenNetwork, GradientSum, LanguageModel, ResponseBatch,
    Trace, response_micro_batches,
};
use crate::objective::{BatchTotals, MicroBatch, MicroLoss, Objective, adapted_kl_coefficient};
use crate::optim::Gradients;
use crate::register_live_setting;
use crate::rng::{self, Domain};
use crate::rollout::{
    Advantage, ForwardTrace, Groups, PromptGroup, PromptTokens, Response, Rollouts, TokenUpdate,
};
use crate::run::{LiveSettingKind, Stage};
use crate::weights::{Weights, first_not_finite};
use bevy_app::{App, Plugin};
use bevy_ecs::entity::EntityHashMap;
use bevy_ecs::prelude::*;
use candle_core::Tensor;
use std::collections::BTreeSet;
use std::ops::Range;

metrics! {
    POLICY_KL: "policy/kl", "nats", Lower, Always("KL to reference"), finite(),
        "Mean KL divergence from the reference policy per token trained on, by the estimator of \
         the objective.";
    POLICY_KL_COEFFICIENT: "policy/kl_coefficient", "", Neither, Asked,
        "Weight of the KL term in the step; moves where objective.kl has a target.";
    POLICY_CLIP_RATIO: "policy/clip_ratio", "", Neither, Asked, range(0.0, 1.0),
        "Share of the tokens trained on whose probability ratio was clipped with effect.";
    POLICY_LOSS: "policy/loss", "", Neither, Asked, finite(),
        "The objective that was minimised, KL term and entropy bonus included.";
    POLICY_GRAD_NORM: "policy/grad_norm", "", Neither, Asked, at_least(0.0), finite(),
        "Global L2 norm of the gradient before clipping.";
    POLICY_LEARNING_RATE: "policy/learning_rate", "", Neither, Asked, at_least(0.0), finite(),
        "Learning rate of the step, after warm-up.";
    POLICY_SAMPLER_LOGPROB_GAP: "policy/sampler_logprob_gap", "nats", Lower, Asked, at_least(0.0),
        "Largest |difference| between a log-probability recorded while sampling and the one \
         recomputed in the update, which is done for one of the responses whose forward pass is \
         kept from sampling, and for all others.";
    POLICY_SAMPLER_LOGPROB_GAP_MEAN: "policy/sampler_logprob_gap_mean", "nats", Lower, Asked,
        at_least(0.0),
        "Mean of the same |differences|, over their tokens.";
}

register_live_setting!(LiveSettingKind::new(
    "optimizer.learning_rate",
    "Learning rate",
    "The rate after warm-up; the schedule continues from it.",
    |experiment| {
        let OptimizerConfig::AdamW(adamw) = &experiment.optimizer;
        Some(adamw.learning_rate)
    },
));

register_live_setting!(
    LiveSettingKind::new(
        "objective.kl.coefficient",
        "KL coefficient",
        "Weight of the KL divergence from the reference policy in the loss.",
        |experiment| Some(experiment.objective.kl.coefficient),
    )
    // Without a KL term at the start there is no reference model.
    .offered_if(|experiment| experiment.objective.kl.coefficient > 0.0)
    .apply(|world, value| world.resource_mut::<KlCoefficient>().0 = value)
);

/// The update stage.
pub struct UpdatePlugin;

impl Plugin for UpdatePlugin {
    fn build(&self, app: &mut App) {
        app.declare_metrics(METRICS)
            .init_resource::<EntropyCoefficient>()
            .add_systems(TrainStep, update_policy.in_set(StageSystems::Update));
    }
}

/// The frozen policy that the KL term compares with; absent where its coefficient is 0.
#[derive(Resource)]
pub struct Reference(pub FrozenNetwork);

/// Weight beta of the KL term in the next step. Moves after each step where the experiment has a
/// target for the KL, and belongs to a checkpoint then.
#[derive(Resource, Clone, Copy, Debug, PartialEq)]
pub struct KlCoefficient(pub f64);

/// Weight c of the mean token entropy in the objective.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq)]
pub struct EntropyCoefficient(pub f64);

/// Differences between the log-probabilities of sampler and update, nats.
#[derive(Clone, Copy, Debug, Default)]
struct Gap {
    largest: f64,
    sum: f64,
    tokens: usize,
}

impl Gap {
    fn add(&mut self, differences: &[f32]) {
        for difference in differences {
            let difference = f64::from(difference.abs());
            // A difference that is not a number is not to be lost.
            self.largest = if difference <= self.largest { self.largest } else { difference };
            self.sum += difference;
        }
        self.tokens += differences.len();
    }

    fn mean(self) -> f64 {
        self.sum / self.tokens.max(1) as f64
    }

    /// What is wrong where it is more than rounding.
    fn complaint(self, precision: Precision) -> Option<String> {
        let (of_mean, of_largest) = rounding(precision);
        let (mean, largest) = (self.mean(), self.largest);
        (!(mean <= of_mean && largest <= of_largest)).then(|| {
            format!(
                "sampling and update disagree by {mean:.2e} nats on a token's log-probability, and \
                 by up to {largest:.2e}; by rounding it would be {of_mean} and {of_largest} at most"
            )
        })
    }
}

/// What sampler and update can differ by where nothing but rounding is between them, as a mean over
/// tokens and at most, nats.
///
/// A logit is a sum of `hidden` products: its error is about the unit of rounding times its size,
/// some 10, grown by the layers before it. In f32 (2^-24) that is 1e-6 to 1e-5 and in bf16 (2^-9)
/// 0.02; the bounds of the mean are three to ten times that. One token in ten thousand that is very
/// unlikely can be off by far more than the mean, and the bounds of the largest leave room for it;
/// a wrong position, mask or weight moves the mean past its bound.
fn rounding(precision: Precision) -> (f64, f64) {
    match precision {
        Precision::F32 => (1e-4, 1e-2),
        Precision::Bf16 => (0.05, 2.0),
    }
}

/// One rollout as the update sees it.
struct Sample<'a> {
    prompt: &'a [u32],
    response: &'a [u32],
    old_logprobs: &'a [f32],
    /// Under the reference, where there is one and the rollout is trained on.
    reference: Option<Vec<f32>>,
    /// Where another forward pass is not needed.
    trace: Option<&'a Trace>,
    advantage: f32,
    /// Whether its tokens are trained on.
    trained: bool,
    /// Group and number within it, for error messages.
    place: (u32, usize),
    /// The rollout.
    rollout: Entity,
}

impl<'a> Sample<'a> {
    fn new(
        prompt: &'a [u32],
        response: &'a Response,
        trace: Option<&'a ForwardTrace>,
        advantage: f32,
        trained: bool,
        place: (u32, usize),
        rollout: Entity,
    ) -> Self {
        let Completion { ids, logprobs, .. } = &response.0;
        Self {
            prompt,
            response: ids,
            old_logprobs: logprobs,
            reference: None,
            // Whatever has changed a response since has taken its trace's meaning.
            trace: trace.map(|trace| &trace.0).filter(|trace| trace.is_of(prompt, ids)),
            advantage,
            trained,
            place,
            rollout,
        }
    }
}

/// Number of response tokens that are trained on.
fn trained_tokens<'a>(samples: impl IntoIterator<Item = &'a Sample<'a>>) -> usize {
    samples.into_iter().filter(|sample| sample.trained).map(|sample| sample.response.len()).sum()
}

/// Leaves no trace in a step in which no response is better than another and no entropy is asked
/// for. Only the KL term has a gradient then, and as long as the policy is its reference that one is
/// zero: both make the same forward pass. Next to what the sampler found, rounding would be all that
/// the optimizer sees, and AdamW makes whole steps of it.
fn forget_useless_traces(samples: &mut [Sample], entropy_coefficient: f64) {
    let has_signal = |sample: &Sample| sample.trained && sample.advantage != 0.0;
    if entropy_coefficient == 0.0 && !samples.iter().any(has_signal) {
        for sample in samples {
            sample.trace = None;
        }
    }
}

/// Sums over the tokens of a step, for metrics.
#[derive(Default)]
struct Totals {
    loss: f64,
    tokens: usize,
    kl: f64,
    clipped: usize,
    gap: Gap,
    /// By rollout, in steps whose tokens are recorded.
    tokens_of: Option<EntityHashMap<TokenUpdate>>,
}

/// Refuses to go further with a weight that is not finite.
fn check_finite(weights: &Weights) -> crate::error::Result<()> {
    let tensors = weights.variables().map(|(name, variable)| (name, variable.as_tensor()));
    match first_not_finite(tensors)? {
        Some(name) => {
            Err(Error::failed(format!("the weight `{name}` is not finite before the update")))
        }
        None => Ok(()),
    }
}

/// One update of the policy from the step's rollouts.
pub fn update_policy(
    mut commands: Commands,
    experiment: Res<ActiveExperiment>,
    step: Res<StepCounter>,
    policy: Res<Policy>,
    reference: Option<Res<Reference>>,
    entropy: Res<EntropyCoefficient>,
    mut kl_coefficient: ResMut<KlCoefficient>,
    mut optimizer: ResMut<PolicyOptimizer>,
    groups: Groups<(&PromptGroup, &PromptTokens, &Rollouts)>,
    rollouts: Query<(&Response, &Advantage, Option<&ForwardTrace>)>,
    recorder: Res<RunRecorder>,
    monitor: Res<Monitor>,
    mut metrics: ResMut<StepMetrics>,
    mut buffers: Local<Buffers>,
) -> Result {
    let experiment = &experiment.0;
    let objective = &experiment.objective;
    let weights = policy.0.trained();
    check_finite(weights)?;
    let passes = objective.passes();
    let mut samples = Vec::new();
    for (group, prompt, members) in groups.iter() {
        for (index, rollout) in members.iter().enumerate() {
            let (response, advantage, trace) = rollouts.get(rollout)?;
            let trace = trace.filter(|_| experiment.resumes());
            let trained = objective.truncated.trains(response.0.truncated);
            let place = (group.0, index);
            let advantage = advantage.0;
            samples
                .push(Sample::new(&prompt.0, response, trace, advantage, trained, place, rollout));
        }
    }
    forget_useless_traces(&mut samples, entropy.0);
    let OptimizerConfig::AdamW(adamw) = &experiment.optimizer;
    let rate =
        adamw.schedule.rate(adamw.learning_rate, step.0, adamw.warmup_steps, experiment.stop.steps);
    let policy_loss = PolicyLoss {
        policy: &policy.0,
        objective: objective.settings(kl_coefficient.0, entropy.0),
        temperature: experiment.rollout.temperature,
        micro_batch_tokens: objective.micro_batch_tokens(),
        recompute: objective.recompute_layers.unwrap_or(false),
    };
    let mean_tokens = trained_tokens(&samples) as f64 / objective.minibatches as f64;
    // A forward pass is a third of the work of a forward and a backward pass.
    let (ahead, mut last) = (if reference.is_some() { 1.0 / 3.0 } else { 0.0 }, 0.0);
    let mut report =
        |done: f32| monitor.report(Stage::Update, &mut last, done / (ahead + passes as f32));
    if let Some(reference) = &reference {
        let report = |share: f32| report(ahead * share);
        reference.0.with(|network| {
            policy_loss.ask_reference(network, &mut samples, &mut buffers, report)
        })?;
    }
    let tokens_of = experiment.record.tokens_every.is_due(step.0).then(EntityHashMap::default);
    let gap = policy_loss.gap_of_traced(&samples, step.0, &mut buffers)?;
    let mut totals = Totals { gap, tokens_of, ..Totals::default() };
    let mut norms = Vec::new();
    for epoch in 0..objective.epochs {
        let mut order: Vec<usize> = (0..samples.len()).collect();
        if passes > 1 {
            let key = [step.0, epoch as u64, 0];
            let mut stream = rng::stream(experiment.seed, Domain::Minibatches, key);
            rng::shuffle(&mut stream, &mut order);
        }
        for index in 0..objective.minibatches {
            let bound = |index: usize| index * samples.len() / objective.minibatches;
            let chosen = &order[bound(index)..bound(index + 1)];
            let mut minibatch: Vec<&Sample> = chosen.iter().map(|&i| &samples[i]).collect();
            let of_minibatch = BatchTotals {
                responses: minibatch.len(),
                tokens: trained_tokens(minibatch.iter().copied()),
                mean_tokens,
                response_limit: experiment.rollout.max_new_tokens,
            };
            minibatch.retain(|sample| sample.trained);
            // Responses to one prompt side by side share its tokens.
            minibatch.sort_by_key(|sample| sample.place);
            let done = ahead + (epoch * objective.minibatches + index) as f32;
            // Differences to the sampler are only meaningful before the weights have moved.
            let measure_gap = norms.is_empty();
            let (gradients, norm) = policy_loss.gradients(
                &minibatch,
                &of_minibatch,
                measure_gap,
                &mut buffers,
                &mut totals,
                |share| report(done + share),
            )?;
            optimizer.0.step(&gradients, norm, rate)?;
            gradients.free(&mut buffers);
            norms.push(norm);
        }
    }
    for (rollout, update) in totals.tokens_of.into_iter().flatten() {
        commands.entity(rollout).insert(update);
    }
    let tokens = totals.tokens.max(1) as f64;
    metrics.set(&POLICY_LOSS, totals.loss / passes as f64);
    metrics.set(&POLICY_GRAD_NORM, mean(norms));
    metrics.set(&POLICY_LEARNING_RATE, rate);
    metrics.set(&POLICY_CLIP_RATIO, totals.clipped as f64 / tokens);
    metrics.set(&POLICY_SAMPLER_LOGPROB_GAP, totals.gap.largest);
    metrics.set(&POLICY_SAMPLER_LOGPROB_GAP_MEAN, totals.gap.mean());
    if let Some(text) = totals.gap.complaint(experiment.precision) {
        warn(&recorder, &monitor, step.0, text)?;
    }
    if reference.is_some() {
        let kl = totals.kl / tokens;
        metrics.set(&POLICY_KL, kl);
        metrics.set(&POLICY_KL_COEFFICIENT, kl_coefficient.0);
        // Where every response is masked nothing was measured.
        if let (Some(target), 1..) = (objective.kl.target, totals.tokens) {
            kl_coefficient.0 =
                adapted_kl_coefficient(kl_coefficient.0, kl, target, objective.kl.horizon);
        }
    }
    Ok(())
}

/// The loss as a function of rollouts: models and settings.
struct PolicyLoss<'a> {
    policy: &'a LanguageModel,
    objective: Objective,
    temperature: f64,
    micro_batch_tokens: usize,
    /// Whether backward computes layers again.
    recompute: bool,
}

/// The loss of some rollouts.
struct Evaluated {
    loss: MicroLoss,
    /// The loss as a number.
    value: f64,
    /// Under the policy: (tokens).
    logprobs: Tensor,
    /// Under the policy that sampled: (tokens).
    old: Tensor,
    /// What backward needs.
    pass: ForwardPass,
}

impl PolicyLoss<'_> {
    /// Gives every sample that is trained on its tokens' log-probabilities under the reference.
    fn ask_reference(
        &self,
        reference: &Decoder,
        samples: &mut [Sample],
        buffers: &mut Buffers,
        mut report: impl FnMut(f32),
    ) -> crate::error::Result<()> {
        let mut trained: Vec<&mut Sample> =
            samples.iter_mut().filter(|sample| sample.trained).collect();
        let pairs: Vec<(&[u32], &[u32])> = trained.iter().map(|s| (s.prompt, s.response)).collect();
        let runs = response_micro_batches(&pairs, self.micro_batch_tokens);
        for (index, run) in runs.iter().enumerate() {
            let batch = ResponseBatch::new(&pairs[run.clone()])?;
            let statistics = reference.response_statistics(&batch, self.temperature, buffers)?; // (tokens, 2)
            let logprobs: Vec<f32> = statistics.narrow(1, 0, 1)?.flatten_all()?.to_vec1()?;
            let mut rest = logprobs.as_slice();
            for sample in &mut trained[run.clone()] {
                let (own, others) = rest.split_at(sample.response.len());
                (sample.reference, rest) = (Some(own.to_vec()), others);
            }
            report((index + 1) as f32 / runs.len() as f32);
        }
        Ok(())
    }

    /// The gap at one response of those that are traced and trained on, which `step` chooses.
    fn gap_of_traced(
        &self,
        samples: &[Sample],
        step: u64,
        buffers: &mut Buffers,
    ) -> crate::error::Result<Gap> {
        let mut gap = Gap::default();
        let is_traced = |sample: &&Sample| sample.trained && sample.trace.is_some();
        let traced: Vec<&Sample> = samples.iter().filter(is_traced).collect();
        if let Some(sample) = traced.get(step as usize % traced.len().max(1)) {
            let batch = ResponseBatch::new(&[(sample.prompt, sample.response)])?;
            let network = &self.policy.frozen;
            let statistics = network.response_statistics(&batch, self.temperature, buffers)?; // (tokens, 2)
            let logprobs: Vec<f32> = statistics.narrow(1, 0, 1)?.flatten_all()?.to_vec1()?;
            let differences = logprobs.iter().zip(sample.old_logprobs).map(|(new, old)| new - old);
            gap.add(&differences.collect::<Vec<_>>());
        }
        Ok(gap)
    }

    /// The gradient of the loss of a mini-batch, summed over micro-batches, and its global norm.
    /// Fails where loss or gradient are not finite, naming the rollout to blame.
    fn gradients(
        &self,
        minibatch: &[&Sample],
        of_minibatch: &BatchTotals,
        measure_gap: bool,
        buffers: &mut Buffers,
        totals: &mut Totals,
        mut report: impl FnMut(f32),
    ) -> crate::error::Result<(Gradients, f64)> {
        let pairs: Vec<(&[u32], &[u32])> =
            minibatch.iter().map(|s| (s.prompt, s.response)).collect();
        let runs = self.runs(minibatch, &pairs);
        let mut sum = GradientSum::new(
            &self.policy.trainable,
            self.policy.trained(),
            self.recompute,
            buffers,
        )?;
        for (index, run) in runs.iter().enumerate() {
            let samples = &minibatch[run.clone()];
            let Evaluated { loss, value, logprobs, old, pass } =
                self.evaluate(&mut sum, samples, of_minibatch)?;
            if !value.is_finite() {
                return Err(self.blame("the loss is not finite", samples, of_minibatch));
            }
            totals.loss += value;
            totals.kl += loss.kl;
            totals.clipped += loss.clipped.iter().filter(|&&clipped| clipped).count();
            if let Some(tokens_of) = &mut totals.tokens_of {
                let log_ratios: Vec<f32> = (logprobs.detach() - &old)?.to_vec1()?;
                let mut at = 0;
                for sample in samples {
                    let range = at..at + sample.response.len();
                    at = range.end;
                    let ratios =
                        log_ratios[range.clone()].iter().map(|log_ratio| log_ratio.exp()).collect();
                    tokens_of.insert(
                        sample.rollout,
                        TokenUpdate { ratios, clipped: loss.clipped[range].to_vec() },
                    );
                }
            }
            if measure_gap && samples.iter().all(|sample| sample.trace.is_none()) {
                totals.gap.add(&(logprobs.detach() - &old)?.to_vec1()?);
            }
            sum.backward(pass, &loss.loss)?;
            report((index + 1) as f32 / runs.len() as f32);
        }
        totals.tokens += of_minibatch.tokens;
        let gradients = sum.finish()?;
        match gradients.norm() {
            Ok(norm) => Ok((gradients, norm)),
            Err(error) => Err(self.blame(&error.to_string(), minibatch, of_minibatch)),
        }
    }

    /// Rollouts that go through the network together: side by side, and with a trace or without.
    fn runs(&self, samples: &[&Sample], pairs: &[(&[u32], &[u32])]) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        for alike in samples.chunk_by(|a, b| a.trace.is_some() == b.trace.is_some()) {
            let start = runs.last().map_or(0, |run: &Range<usize>| run.end);
            let pairs = &pairs[start..start + alike.len()];
            runs.extend(
                response_micro_batches(pairs, self.micro_batch_tokens)
                    .into_iter()
                    .map(|run| start + run.start..start + run.end),
            );
        }
        runs
    }

    /// Forward pass and loss of rollouts that fit into memory.
    fn evaluate(
        &self,
        sum: &mut GradientSum,
        samples: &[&Sample],
        of_minibatch: &BatchTotals,
    ) -> crate::error::Result<Evaluated> {
        let pairs: Vec<(&[u32], &[u32])> = samples.iter().map(|s| (s.prompt, s.response)).collect();
        let batch = ResponseBatch::new(&pairs)?;
        let old: Vec<f32> = samples.iter().flat_map(|s| s.old_logprobs.iter().copied()).collect();
        let old = Tensor::from_vec(old, batch.response_tokens(), self.policy.trainable.device())?; // (tokens)
        let column = |statistics: &Tensor, index| statistics.narrow(1, index, 1)?.squeeze(1);
        let reference: Option<Vec<&[f32]>> =
            samples.iter().map(|s| s.reference.as_deref()).collect();
        let tensor = |logprobs: Vec<&[f32]>| {
            Tensor::from_vec(logprobs.concat(), batch.response_tokens(), old.device())
        };
        let reference = reference.map(tensor).transpose()?; // (tokens)
        let traces: Option<Vec<&Trace>> = samples.iter().map(|s| s.trace).collect();
        let pass = match traces {
            Some(traces) => sum.resume(batch, &traces, self.temperature)?,
            None => sum.forward(batch, self.temperature)?,
        };
        let statistics = pass.statistics(); // (tokens, 2)
        let logprobs = column(statistics, 0)?; // (tokens)
        let micro_batch = MicroBatch {
            logprobs: &logprobs,
            entropies: &column(statistics, 1)?,
            old_logprobs: &old,
            reference: reference.as_ref(),
            advantages: &samples.iter().map(|s| s.advantage).collect::<Vec<_>>(),
            lengths: &samples.iter().map(|s| s.response.len()).collect::<Vec<_>>(),
        };
        let loss = self.objective.loss(&micro_batch, of_minibatch)?;
        let value = f64::from(loss.loss.to_scalar::<f32>()?);
        Ok(Evaluated { loss, value, logprobs, old, pass })
    }

    /// The error that `problem` is, with the first rollout that has it alone. Runs the rollouts one
    /// by one, which only a run that is over has to pay for.
    fn blame(&self, problem: &str, samples: &[&Sample], of_minibatch: &BatchTotals) -> Error {
        for sample in samples {
            let (group, rollout) = sample.place;
            match self.fault(sample, of_minibatch) {
                Ok(None) => {}
                Ok(Some(what)) => {
                    return Error::failed(format!(
                        "{problem}; group {group}, rollout {rollout} is to blame: its {what} not \
                         finite"
                    ));
                }
                Err(error) => return error,
            }
        }
        let groups: BTreeSet<u32> = samples.iter().map(|sample| sample.place.0).collect();
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        Error::failed(format!(
            "{problem}, though each of the {} rollouts alone is fine (groups {})",
            samples.len(),
            groups.join(", ")
        ))
    }

    /// What is not finite when a rollout is alone.
    fn fault(
        &self,
        sample: &Sample,
        of_minibatch: &BatchTotals,
    ) -> crate::error::Result<Option<&'static str>> {
        let mut buffers = Buffers::default();
        let mut sum = GradientSum::new(
            &self.policy.trainable,
            self.policy.trained(),
            self.recompute,
            &mut buffers,
        )?;
        let Evaluated { loss, value, logprobs, old, pass } =
            self.evaluate(&mut sum, &[sample], of_minibatch)?;
        if let Some(name) = first_not_finite([
            ("log-probabilities are", &logprobs),
            ("sampled log-probabilities are", &old),
        ])? {
            return Ok(Some(name));
        }
        if !sample.advantage.is_finite() {
            return Ok(Some("advantage is"));
        }
        if !value.is_finite() {
            return Ok(Some("loss is"));
        }
        sum.backward(pass, &loss.loss)?;
        Ok(sum.finish()?.norm().is_err().then_some("gradient is"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_beyond_rounding_is_told_by_mean_or_largest() {
        let complaint = |differences: &[f32], precision| {
            let mut gap = Gap::default();
            // As over micro-batches.
            differences.chunks(3).for_each(|part| gap.add(part));
            gap.complaint(precision)
        };
        for precision in [Precision::F32, Precision::Bf16] {
            let (mean, largest) = rounding(precision);
            let (mean, largest) = (mean as f32, largest as f32);
            assert_eq!(complaint(&[], precision), None);
            let mut differences = vec![0.5 * mean; 1000];
            differences[7] = -0.9 * largest.min(100.0 * mean);
            assert_eq!(complaint(&differences, precision), None, "{precision:?}");
            differences[7] = -1.1 * largest;
            assert!(complaint(&differences, precision).is_some(), "{precision:?}, largest");
            assert!(complaint(&[1.1 * mean; 10], precision).is_some(), "{precision:?}, mean");
            for bad in [f32::NAN, f32::INFINITY] {
                differences[7] = bad;
                assert!(complaint(&differences, precision).is_some(), "{precision:?}, {bad}");
            }
        }
    }
}
