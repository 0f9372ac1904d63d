//! Draws the step's problems and samples a group of completions for each.
//!
//! Reads the policy, the task and the step; spawns a group entity per problem with its rollouts.
//! Problems are dealt in the order of their numbers in the training split, each once;
//! [`ProblemCursor`] counts them. A [`Curriculum`] passes some over. Every token is drawn by a
//! stream keyed by (seed, step, group, sample), so a step is a function of the seed, the step, the
//! cursor and the weights. Features are summed on the way in the steps that [`FeatureDemand`]
//! names. The first groups are traced ([`ForwardTrace`]), so that the update makes no forward pass
//! over them: as many as `objective.traced_groups` says.
//!
//! The systems belong to [`SampleRound`] too: where groups have been sampled already, they add as
//! many as lack a signal, and the metrics become those of all that was sampled.

use super::dynamic::SampledGroups;
use super::step_metrics::{DeclareMetrics, mean};
use super::{
    ActiveExperiment, ActiveTask, Curriculum, FeatureDemand, FeatureWeights, HiddenDemand, Monitor,
    Policy, SampleRound, StageSystems, StepCounter, StepMetrics, TrainStep,
};
use crate::metrics::metrics;
use crate::model::{PromptRequest, Recording, Sampling, SamplingMemory, StreamKey};
use crate::register_live_setting;
use crate::rollout::{
    CompletionText, ForwardTrace, GroupProblem, Groups, InGroup, PromptGroup, PromptTokens,
    Response, Rollouts,
};
use crate::run::{LiveSettingKind, Stage};
use crate::tasks::Split;
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use rayon::prelude::*;

metrics! {
    COMPLETION_LENGTH_MEAN: "completion/length_mean", "tokens", Neither, Always("Length"),
        at_least(0.0), finite(),
        "Mean response length, the end-of-sequence token included.";
    COMPLETION_TRUNCATED_RATIO: "completion/truncated_ratio", "", Lower, Asked, range(0.0, 1.0),
        "Share of responses cut off at the token limit.";
    POLICY_ENTROPY: "policy/entropy", "nats", Neither, Always("Entropy"),
        at_least(0.0), rounding(1e-6), finite(),
        "Mean entropy per response token of the sampling distribution. A fast fall means that \
         diversity collapses.";
}

register_live_setting!(LiveSettingKind::new(
    "rollout.temperature",
    "Temperature",
    "Temperature of sampling, and of the log-probabilities that are trained on.",
    |experiment| Some(experiment.rollout.temperature),
));

/// The sample stage.
pub struct SamplePlugin;

impl Plugin for SamplePlugin {
    fn build(&self, app: &mut App) {
        let round = || (spawn_groups, sample_completions).chain().in_set(StageSystems::Sample);
        app.declare_metrics(METRICS)
            .init_resource::<FeatureWeights>()
            .init_resource::<ProblemCursor>()
            .init_resource::<SampledIn>()
            .add_systems(
                TrainStep,
                (
                    despawn_previous_groups.before(spawn_groups).in_set(StageSystems::Sample),
                    round(),
                ),
            )
            .add_systems(SampleRound, round());
    }
}

/// How many problems of the training split have been dealt: the number of the next one. Belongs to
/// a checkpoint.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProblemCursor(pub u64);

/// What steps sample in, one after another.
#[derive(Resource, Clone, Debug, Default)]
pub struct SampledIn(pub SamplingMemory);

fn despawn_previous_groups(mut commands: Commands, groups: Query<Entity, With<PromptGroup>>) {
    for group in groups {
        commands.entity(group).despawn();
    }
}

fn spawn_groups(
    mut commands: Commands,
    experiment: Res<ActiveExperiment>,
    task: Res<ActiveTask>,
    policy: Res<Policy>,
    sampled: SampledGroups,
    curriculum: Option<Res<Curriculum>>,
    mut cursor: ResMut<ProblemCursor>,
) -> Result {
    let experiment = &experiment.0;
    let sampled = sampled.with_signal()?;
    let missing =
        experiment.rollout.prompts_per_step - sampled.iter().filter(|(_, signal)| *signal).count();
    for number in sampled.len()..sampled.len() + missing {
        let problem = loop {
            let problem = task.0.problem(Split::Train, experiment.seed, cursor.0);
            let takes =
                |c: &Res<Curriculum>| c.takes(experiment.seed, cursor.0, task.0.level(&problem));
            let taken = curriculum.as_ref().is_none_or(takes);
            cursor.0 += 1;
            if taken {
                break problem;
            }
        };
        let tokens = policy.0.tokenizer.encode(&problem.prompt)?;
        commands.spawn((PromptGroup(number as u32), GroupProblem(problem), PromptTokens(tokens)));
    }
    Ok(())
}

/// Samples the completions of every group that has none and spawns them as rollouts.
pub fn sample_completions(
    mut commands: Commands,
    groups: Groups<(Entity, &PromptGroup, &PromptTokens), Without<Rollouts>>,
    earlier: Groups<&Rollouts>,
    responses: Query<&Response>,
    experiment: Res<ActiveExperiment>,
    policy: Res<Policy>,
    weights: Res<FeatureWeights>,
    step: Res<StepCounter>,
    demand: Res<FeatureDemand>,
    hidden: Res<HiddenDemand>,
    memory: Res<SampledIn>,
    monitor: Res<Monitor>,
    mut metrics: ResMut<StepMetrics>,
) -> Result {
    let rollout = &experiment.0.rollout;
    let groups: Vec<_> = groups.iter().collect();
    let requests: Vec<PromptRequest> = groups
        .iter()
        .map(|(_, group, tokens)| PromptRequest {
            ids: tokens.0.clone(),
            key: StreamKey { seed: experiment.0.seed, step: step.0, prompt: u64::from(group.0) },
        })
        .collect();
    let sampling = Sampling {
        temperature: rollout.temperature,
        top_k: None,
        top_p: None,
        max_new_tokens: rollout.max_new_tokens,
    };
    let features = demand.holds(*step, &experiment.0).then_some(weights.0);
    let mut last = 0.0;
    let at_a_time = rollout.groups_at_a_time.unwrap_or(requests.len()).max(1);
    // Groups that take the place of others have higher numbers, and are not traced.
    let traced = experiment.0.traced_groups();
    let mut sampled = Vec::with_capacity(requests.len() * rollout.group_size);
    let by_wave = groups.chunks(at_a_time).zip(requests.chunks(at_a_time));
    for (wave, (of_wave, requests)) in by_wave.enumerate() {
        let recording = Recording {
            features,
            hidden: hidden.0,
            traced: of_wave.iter().take_while(|(_, group, _)| (group.0 as usize) < traced).count(),
            memory: &memory.0,
        };
        let waves = groups.len().div_ceil(at_a_time) as f32;
        sampled.extend(policy.0.frozen.sample_recorded(
            requests,
            rollout.group_size,
            &sampling,
            &recording,
            |done| {
                monitor.report(Stage::Sample, &mut last, (wave as f32 + done) / waves);
            },
        )?);
    }
    let (completions, traces): (Vec<_>, Vec<_>) = sampled.into_iter().unzip();
    let texts = completions
        .par_iter()
        .map(|completion| policy.0.tokenizer.decode(&completion.ids))
        .collect::<crate::error::Result<Vec<_>>>()?;

    let mut all = Vec::new();
    for members in earlier.iter() {
        for member in members.iter() {
            all.push(&responses.get(member)?.0);
        }
    }
    all.extend(&completions);
    let tokens: usize = all.iter().map(|completion| completion.ids.len()).sum();
    let entropy: f64 =
        all.iter().flat_map(|completion| &completion.entropies).map(|&h| f64::from(h)).sum();
    metrics.set(&COMPLETION_LENGTH_MEAN, tokens as f64 / all.len() as f64);
    metrics.set(
        &COMPLETION_TRUNCATED_RATIO,
        mean(all.iter().map(|completion| f64::from(u8::from(completion.truncated)))),
    );
    metrics.set(&POLICY_ENTROPY, entropy / tokens.max(1) as f64);

    let rollouts = completions.into_iter().zip(texts).zip(traces).enumerate();
    for (index, ((completion, text), trace)) in rollouts {
        let (group, _, _) = groups[index / rollout.group_size];
        let mut rollout =
            commands.spawn((InGroup(group), Response(completion), CompletionText(text)));
        if let Some(trace) = trace {
            rollout.insert(ForwardTrace(trace));
        }
    }
    Ok(())
}
