//! Writes the run folder and publishes the snapshot of the finished step.

use super::clock::time_metrics;
use super::step_metrics::{DeclareMetrics, DeclaredMetrics};
use super::{
    ActiveExperiment, Curriculum, KlCoefficient, Monitor, Policy, PolicyOptimizer, ProblemCursor,
    RunRecorder, StageClock, StageSystems, StepCounter, StepMetrics, TrainStep,
};
use crate::geometry::{CosineMatrix, GroupGeometry, TokenAttribution};
use crate::kernels::peak_gpu_memory;
use crate::machine::{GpuBusy, ProcessLoad};
use crate::metrics::{MetricRow, metrics};
use crate::model::TextTokenizer;
use crate::rollout::{
    Advantage, CompletionText, Cosines, Feature, Geometry, GradientCosines, GroupProblem, Groups,
    HiddenCosines, Judged, Novelty, PromptGroup, Response, Reward, RewardParts, Rollouts,
    SemanticCosines, ShapedReward, TokenParts, TokenUpdate,
};
use crate::run::{
    CosineKind, Event, EventKind, GroupCosines, GroupTokens, GroupView, RolloutRecord, RolloutView,
    SettingEdit, StepView, TrainerState,
};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use bevy_ecs::query::QueryData;
use candle_core::Device;
use std::sync::Arc;
use std::time::Instant;

metrics! {
    TIME_CPU_S: "time/cpu_s", "s", Neither, Asked, at_least(0.0),
        "Processor time of the whole process since the step before, all cores together.";
    THROUGHPUT_TOKENS_PER_S: "throughput/tokens_per_s", "tokens/s", Higher, Asked, at_least(0.0),
        "Response tokens sampled in the step divided by the time of the step.";
    MEMORY_PEAK_MIB: "memory/peak_mib", "MiB", Lower, Asked, at_least(0.0),
        "Largest resident memory of the process so far.";
    MEMORY_RESIDENT_MIB: "memory/resident_mib", "MiB", Lower, Asked, at_least(0.0),
        "Resident memory of the process at the end of the step.";
    MEMORY_GPU_PEAK_MIB: "memory/gpu_peak_mib", "MiB", Lower, Asked, at_least(0.0),
        "Most memory that tensors on the GPU took at one time in the step.";
    GPU_BUSY_RATIO: "gpu/busy_ratio", "", Higher, Asked, range(0.0, 1.0),
        "Share of the step's time in which the GPU computed, by the driver's samples; what is \
         missing waits for the processor.";
}

/// The record stage.
pub struct RecordPlugin;

impl Plugin for RecordPlugin {
    fn build(&self, app: &mut App) {
        app.declare_metrics(METRICS)
            .init_resource::<Checkpoints>()
            .init_resource::<CheckpointRequested>()
            .init_resource::<LiveEdits>()
            .init_resource::<MachineLoad>()
            .add_systems(
                TrainStep,
                // A line of metrics says that the step's record is there.
                (record_step, record_metrics, record_checkpoint.run_if(checkpoint_is_due))
                    .chain()
                    .in_set(StageSystems::Record),
            );
    }
}

/// Settings that were changed during the run, as they are now: what a checkpoint carries over.
#[derive(Resource, Default)]
pub struct LiveEdits(pub Vec<SettingEdit>);

/// What the run uses of the machine.
#[derive(Resource, Default)]
struct MachineLoad {
    process: ProcessLoad,
    /// Watched from the end of the first step on.
    gpu: Option<GpuBusy>,
}

impl MachineLoad {
    fn record(&mut self, metrics: &mut StepMetrics, device: &Device) {
        if let Some(share) = self.gpu.get_or_insert_with(|| GpuBusy::new(device)).since_last() {
            metrics.set(&GPU_BUSY_RATIO, share);
        }
        let Some(used) = self.process.look() else { return };
        metrics.set(&MEMORY_RESIDENT_MIB, used.resident_mib);
        metrics.set(&MEMORY_PEAK_MIB, used.peak_mib);
        if let Some(cpu_s) = used.cpu_s {
            metrics.set(&TIME_CPU_S, cpu_s);
        }
    }
}

/// When the run started, for wall times.
#[derive(Resource)]
pub struct StartInfo {
    /// The moment at which it was started or resumed.
    pub started: Instant,
    /// Seconds that it had run before it was resumed.
    pub earlier_s: f64,
}

/// Steps at which checkpoints were written.
#[derive(Resource, Default)]
pub struct Checkpoints(pub Arc<Vec<u64>>);

/// Somebody asked for a checkpoint after this step.
#[derive(Resource, Default)]
pub struct CheckpointRequested(pub bool);

fn checkpoint_is_due(
    step: Res<StepCounter>,
    experiment: Res<ActiveExperiment>,
    requested: Res<CheckpointRequested>,
) -> bool {
    requested.0
        || step.0 == experiment.0.stop.steps
        || experiment.0.record.checkpoint_every.is_due(step.0)
}

fn record_metrics(
    mut step_metrics: ResMut<StepMetrics>,
    clock: Res<StageClock>,
    start: Res<StartInfo>,
    recorder: Res<RunRecorder>,
    monitor: Res<Monitor>,
    experiment: Res<ActiveExperiment>,
    policy: Res<Policy>,
    declared: Res<DeclaredMetrics>,
    mut load: ResMut<MachineLoad>,
) -> Result {
    time_metrics(&clock, &mut step_metrics);
    load.record(&mut step_metrics, policy.0.trainable.device());
    let rollouts = experiment.0.rollout.prompts_per_step * experiment.0.rollout.group_size;
    let sampled = rollouts as f64
        * (1.0 + step_metrics.0.get(&super::metrics::GROUP_RESAMPLED_RATIO).unwrap_or(0.0));
    let tokens =
        step_metrics.0.get(&super::metrics::COMPLETION_LENGTH_MEAN).unwrap_or(0.0) * sampled;
    step_metrics.set(&THROUGHPUT_TOKENS_PER_S, tokens / clock.step_seconds().max(1e-9));
    if let Some(peak) = peak_gpu_memory(policy.0.trainable.device())? {
        step_metrics.set(&MEMORY_GPU_PEAK_MIB, peak as f64 / (1 << 20) as f64);
    }
    step_metrics.0.wall_s = start.earlier_s + start.started.elapsed().as_secs_f64();
    let row = step_metrics.0.clone();
    recorder.0.append_metrics(&metrics_line(&row, &declared))?;
    monitor.0.update(|snapshot| {
        snapshot.step = row.step;
        let remaining = experiment.0.stop.steps.saturating_sub(row.step) as f64;
        let recent = row.get(&super::metrics::TIME_STEP_S).unwrap_or(0.0);
        // A slow exponential mean: steps get shorter and longer as responses do.
        let pace =
            snapshot.eta_s.map_or(recent, |eta| 0.8 * eta / (remaining + 1.0) + 0.2 * recent);
        snapshot.eta_s = Some(pace * remaining);
        snapshot.history.push(row);
    });
    Ok(())
}

/// A flat object: `step`, `wall_s`, then the metrics in the order of their declaration, then those
/// that nobody has declared.
fn metrics_line(
    row: &MetricRow,
    declared: &DeclaredMetrics,
) -> serde_json::Map<String, serde_json::Value> {
    let mut line = serde_json::Map::new();
    line.insert("step".to_string(), row.step.into());
    line.insert("wall_s".to_string(), row.wall_s.into());
    for metric in &declared.0 {
        if let Some(value) = row.get(metric) {
            line.insert(metric.name.to_string(), value.into());
        }
    }
    for (metric, value) in &row.values {
        line.entry(metric.name).or_insert_with(|| (*value).into());
    }
    line
}

/// A line of `geometry/step_NNNNNN.jsonl`.
#[derive(serde::Serialize)]
struct GeometryLine<'a> {
    group: u32,
    #[serde(flatten)]
    geometry: &'a GroupGeometry,
}

/// What the later stages made of a group.
type GroupOutcome<'a> = (
    &'a PromptGroup,
    &'a GroupProblem,
    &'a Rollouts,
    Option<&'a Cosines>,
    Option<&'a SemanticCosines>,
    Option<&'a GradientCosines>,
    Option<&'a HiddenCosines>,
    Option<&'a Geometry>,
    Option<&'a TokenParts>,
);

/// What the stages made of a rollout.
#[derive(QueryData)]
struct Outcome {
    response: &'static Response,
    text: &'static CompletionText,
    judged: &'static Judged,
    reward: &'static Reward,
    parts: Option<&'static RewardParts>,
    shaped: &'static ShapedReward,
    advantage: &'static Advantage,
    novelty: Option<&'static Novelty>,
    feature: Option<&'static Feature>,
    update: Option<&'static TokenUpdate>,
}

fn record_step(
    step: Res<StepCounter>,
    experiment: Res<ActiveExperiment>,
    policy: Res<Policy>,
    recorder: Res<RunRecorder>,
    monitor: Res<Monitor>,
    groups: Groups<GroupOutcome>,
    rollouts: Query<Outcome>,
) -> Result {
    let record = &experiment.0.record;
    let mut view = StepView { step: step.0, groups: Vec::new() };
    let mut response_ids = Vec::new();
    let mut tensors = Vec::new();
    let mut features: Vec<f32> = Vec::new();
    let mut geometries = Vec::new();
    for (group, problem, members, cosines, semantic, gradients, hidden, geometry, parts) in
        groups.iter()
    {
        let mut views = Vec::with_capacity(members.len());
        for member in members.iter() {
            let outcome = rollouts.get(member)?;
            response_ids.push(outcome.response.0.ids.as_slice());
            if let (true, Some(feature)) = (record.features, outcome.feature) {
                features.extend_from_slice(&feature.0);
            }
            views.push(rollout_view(&outcome));
        }
        let tokens = match parts {
            Some(parts) => {
                let members: Vec<OutcomeItem> =
                    members.iter().map(|member| rollouts.get(member)).collect::<Result<_, _>>()?;
                Some(Arc::new(group_tokens(&policy.0.tokenizer, &parts.0, &members)?))
            }
            None => None,
        };
        let values = |matrix: Option<&CosineMatrix>| {
            matrix.map_or_else(Vec::new, |matrix| matrix.values().to_vec())
        };
        let mut recorded = GroupCosines::default();
        recorded[CosineKind::Feature] = values(cosines.map(|cosines| &cosines.0));
        recorded[CosineKind::Semantic] = values(semantic.map(|cosines| &cosines.0));
        recorded[CosineKind::Parameter] = values(gradients.map(|cosines| &cosines.0));
        recorded[CosineKind::Hidden] = values(hidden.map(|cosines| &cosines.0));
        for kind in CosineKind::ALL.into_iter().filter(|&kind| !recorded[kind].is_empty()) {
            let name = format!("{}.{}", kind.tensor(), group.0);
            tensors.push((name, vec![members.len(); 2], recorded[kind].clone()));
        }
        view.groups.push(GroupView {
            group: group.0,
            problem_id: problem.0.id.clone(),
            prompt: problem.0.prompt.clone(),
            answer: problem.0.answer.clone(),
            rollouts: views,
            cosines: recorded,
            tokens,
        });
        geometries.extend(
            geometry.map(|geometry| GeometryLine { group: group.0, geometry: &geometry.0 }),
        );
    }
    if record.geometry_every.is_due(step.0) {
        if record.features {
            let count = response_ids.len().max(1);
            tensors.push(("features".to_string(), vec![count, features.len() / count], features));
        }
        recorder.0.write_geometry(step.0, tensors)?;
        recorder.0.write_group_geometry(step.0, &geometries)?;
    }
    if record.tokens_every.is_due(step.0) {
        recorder.0.write_tokens(step.0, &view.groups)?;
    }
    // After the geometry and the tokens: whoever finds a step's rollouts finds these too.
    if record.rollouts_every.is_due(step.0) {
        recorder.0.write_rollouts(step.0, &rollout_records(&view, &response_ids))?;
    }
    monitor.0.update(|snapshot| snapshot.latest = Some(Arc::new(view)));
    Ok(())
}

/// What is known of the tokens of a group.
fn group_tokens(
    tokenizer: &TextTokenizer,
    parts: &TokenAttribution,
    members: &[OutcomeItem],
) -> crate::error::Result<GroupTokens> {
    let lengths: Vec<usize> = members.iter().map(|member| member.response.0.ids.len()).collect();
    let mut tokens = GroupTokens {
        offsets: GroupTokens::offsets_of(&lengths),
        norms: parts.norms.clone(),
        shares: parts.shares.clone(),
        ends: Vec::new(),
        logprobs: Vec::new(),
        entropies: Vec::new(),
        ratios: Vec::new(),
        clipped: Vec::new(),
    };
    for member in members {
        let response = &member.response.0;
        let count = response.ids.len();
        tokens.ends.extend(tokenizer.text_ends(&response.ids)?);
        tokens.logprobs.extend_from_slice(&response.logprobs);
        tokens.entropies.extend_from_slice(&response.entropies);
        if let Some(update) = member.update {
            tokens.ratios.extend_from_slice(&update.ratios);
            tokens.clipped.extend_from_slice(&update.clipped);
        } else {
            tokens.ratios.extend(std::iter::repeat_n(f32::NAN, count));
            tokens.clipped.extend(std::iter::repeat_n(false, count));
        }
    }
    Ok(tokens)
}

fn rollout_view(outcome: &OutcomeItem) -> RolloutView {
    let response = &outcome.response.0;
    let entropy = response.entropies.iter().sum::<f32>() / response.entropies.len().max(1) as f32;
    let parts = outcome.parts.map_or(&[][..], |parts| &parts.0);
    RolloutView {
        completion: outcome.text.0.clone(),
        verdict: outcome.judged.0.verdict,
        extracted: outcome.judged.0.extracted.clone(),
        reward: outcome.reward.0,
        reward_parts: parts.iter().map(|&(name, value)| (name.to_string(), value)).collect(),
        shaped_reward: outcome.shaped.0,
        novelty: outcome.novelty.map_or(f32::NAN, |novelty| novelty.score),
        novelty_normalized: outcome.novelty.map_or(f32::NAN, |novelty| novelty.normalized),
        advantage: outcome.advantage.0,
        length: response.ids.len() as u32,
        truncated: response.truncated,
        logprob: response.logprobs.iter().sum(),
        entropy,
    }
}

fn rollout_records(view: &StepView, response_ids: &[&[u32]]) -> Vec<RolloutRecord> {
    let members = view
        .groups
        .iter()
        .flat_map(|group| group.rollouts.iter().enumerate().map(move |(i, r)| (group, i, r)));
    members
        .zip(response_ids)
        .map(|((group, sample, rollout), response_ids)| RolloutRecord {
            group: group.group,
            sample,
            problem: group.problem_id.clone(),
            prompt: group.prompt.clone(),
            answer: group.answer.clone(),
            rollout: rollout.clone(),
            response_ids: response_ids.to_vec(),
        })
        .collect()
}

/// Writes a checkpoint of the current step: a Hugging Face folder, and what is needed to continue
/// from it.
pub fn record_checkpoint(
    step: Res<StepCounter>,
    experiment: Res<ActiveExperiment>,
    policy: Res<Policy>,
    optimizer: Res<PolicyOptimizer>,
    problems: Res<ProblemCursor>,
    curriculum: Option<Res<Curriculum>>,
    kl_coefficient: Res<KlCoefficient>,
    edits: Res<LiveEdits>,
    recorder: Res<RunRecorder>,
    monitor: Res<Monitor>,
    mut checkpoints: ResMut<Checkpoints>,
    mut requested: ResMut<CheckpointRequested>,
) -> Result {
    requested.0 = false;
    if checkpoints.0.last() == Some(&step.0) {
        return Ok(());
    }
    let path = recorder.0.write_checkpoint(step.0, &experiment.0, |folder| {
        policy.0.write(folder)?;
        optimizer.0.write(&folder.join("trainer.safetensors"))?;
        let state = TrainerState {
            step: step.0,
            seed: experiment.0.seed,
            optimizer_steps: optimizer.0.steps(),
            problems: Some(problems.0),
            solve_rates: curriculum.as_ref().map(|curriculum| curriculum.solve_rates().to_vec()),
            kl_coefficient: experiment.0.objective.kl.target.map(|_| kl_coefficient.0),
            edits: edits.0.clone(),
            version: env!("CARGO_PKG_VERSION").to_string(),
        };
        state.write(folder)
    })?;
    let written = Event::now(step.0, EventKind::Checkpoint, path.display().to_string());
    recorder.0.append_event(&written)?;
    Arc::make_mut(&mut checkpoints.0).push(step.0);
    let all = checkpoints.0.clone();
    monitor.0.update(|snapshot| {
        snapshot.checkpoints = all;
        snapshot.take_in(written);
    });
    Ok(())
}
