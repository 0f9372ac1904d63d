//! What the outside sees of a run: immutable snapshots one way, commands the other.
//!
//! The dashboard draws a [`RunSnapshot`] and never touches the `World` or a tensor. The same [`StepView`] is built by the
//! trainer for the newest step and by the run folder for older ones, so every panel works live and later alike.

use crate::evaluation::EvaluationRecord;
use crate::experiment::{Event, Experiment, FidelityRecord, MethodConfig, OptimizerConfig};
use crate::metrics::History;
use crate::verify::Verdict;
use bevy_ecs::schedule::SystemSet;
use crossbeam_channel::{Receiver, Sender};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// The stages of a training step, in pipeline order; also the system sets of the schedule (as `stages::StageSystems`).
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    /// Drawing problems and sampling completions.
    Sample,
    /// Judging completions.
    Verify,
    /// Unit features and cosine matrices.
    Features,
    /// The method's exploration score and reward shaping.
    Novelty,
    /// Group-standardised advantages.
    Advantage,
    /// Forward, loss, backward, optimizer.
    Update,
    /// Held-out evaluation, on steps where one is due.
    Evaluate,
    /// Writing the run folder.
    Record,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Self; 8] = [
        Self::Sample,
        Self::Verify,
        Self::Features,
        Self::Novelty,
        Self::Advantage,
        Self::Update,
        Self::Evaluate,
        Self::Record,
    ];

    /// The stage's name as shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sample => "Sample",
            Self::Verify => "Verify",
            Self::Features => "Features",
            Self::Novelty => "Novelty",
            Self::Advantage => "Advantage",
            Self::Update => "Update",
            Self::Evaluate => "Evaluate",
            Self::Record => "Record",
        }
    }
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Loading the model; no step yet.
    Starting,
    /// Steps are running.
    Training,
    /// Waiting for [`TrainerCommand::Resume`] or [`TrainerCommand::StepOnce`].
    Paused,
    /// All steps done.
    Finished,
    /// Ended early on request, with a checkpoint.
    Stopped,
    /// Ended by an error.
    Failed {
        /// The error in full.
        message: String,
    },
    /// Its process is gone without having said so.
    Interrupted,
}

impl RunState {
    /// Whether no further step will come.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Finished | Self::Stopped | Self::Failed { .. } | Self::Interrupted)
    }
}

/// What does not change during a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunInfo {
    /// The experiment's name.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// Its method's name: `GRPO`, `Entropy bonus`, `EVOL-RL`, `G2RL` or a plugin's own.
    pub method: String,
    /// Its task's name.
    pub task: String,
    /// The model in words, such as `countdown, 0.8M parameters`.
    pub model: String,
    /// The device in words, such as `cpu`.
    pub device: String,
    /// Sampling temperature.
    pub temperature: f64,
    /// Steps to run.
    pub stop_step: u64,
    /// The run folder.
    pub directory: PathBuf,
    /// The resolved experiment as RON.
    pub experiment_ron: String,
}

/// Progress within the running step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageProgress {
    /// The stage that is running, if a step is.
    pub stage: Option<Stage>,
    /// Share of it that is done, from 0 to 1, where the stage reports it.
    pub done: Option<f32>,
}

/// Time that each stage of the last finished step took, seconds, by [`Stage::ALL`].
pub type StageTimes = [f64; Stage::ALL.len()];

/// One rollout as the dashboard shows it and as the run folder holds it. Numbers are NaN where they do not apply, which JSON
/// writes as null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutView {
    /// The completion's text without special tokens.
    pub completion: String,
    /// The verifier's judgement.
    pub verdict: Verdict,
    /// The answer that it judged.
    pub extracted: Option<String>,
    /// Base reward.
    #[serde(deserialize_with = "number_or_nan")]
    pub reward: f32,
    /// Reward after shaping.
    #[serde(deserialize_with = "number_or_nan")]
    pub shaped_reward: f32,
    /// Exploration score nu, in [0, 1].
    #[serde(deserialize_with = "number_or_nan")]
    pub novelty: f32,
    /// nu normalised within its group, in [0, 1].
    #[serde(deserialize_with = "number_or_nan")]
    pub novelty_normalized: f32,
    /// Advantage within the group.
    #[serde(deserialize_with = "number_or_nan")]
    pub advantage: f32,
    /// Response tokens, the end-of-sequence token included.
    pub length: u32,
    /// Whether the response was cut off at the token limit.
    pub truncated: bool,
    /// Sum of the response's token log-probabilities under the sampling distribution, nats.
    #[serde(deserialize_with = "number_or_nan")]
    pub logprob: f32,
    /// Mean entropy per response token, nats.
    #[serde(deserialize_with = "number_or_nan")]
    pub entropy: f32,
}

/// Reads a number; null is NaN.
fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f32::NAN))
}

/// One prompt with its rollouts and their geometry.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupView {
    /// The group's number within the step, from 0.
    pub group: u32,
    /// The problem's stable name.
    pub problem_id: String,
    /// The prompt's text.
    pub prompt: String,
    /// What would be right.
    pub answer: String,
    /// The group's rollouts, m of them.
    pub rollouts: Vec<RolloutView>,
    /// Cosines between gradient directions, row-major (m, m); empty where there are none.
    pub cosine: Vec<f32>,
    /// Cosines between sentence embeddings, row-major (m, m); empty without an encoder.
    pub semantic: Vec<f32>,
    /// Cosines between gradients over all parameters, row-major (m, m); empty where there are none.
    pub gradient: Vec<f32>,
    /// What is known of every token, in steps whose tokens are recorded.
    pub tokens: Option<Arc<GroupTokens>>,
}

/// The tokens of a group's m responses, response after response: (tokens).
#[derive(Clone, Debug, PartialEq)]
pub struct GroupTokens {
    /// Where each response begins and the last one ends: (m + 1).
    pub offsets: Vec<usize>,
    /// Where the token's text ends in its completion, bytes: (tokens). Tokens without text, such as the end of the sequence, end
    /// where the one before ends.
    pub ends: Vec<u32>,
    /// |phi|, the size of the token's feature: (tokens).
    pub norms: Vec<f32>,
    /// What the token adds to the cosine of its response with each member: row-major (tokens, m).
    pub shares: Vec<f32>,
    /// log p under the sampling distribution, nats: (tokens).
    pub logprobs: Vec<f32>,
    /// Entropy of the sampling distribution, nats: (tokens).
    pub entropies: Vec<f32>,
    /// Probability in the update's last pass divided by that while sampling: (tokens). NaN where the token was not trained on.
    pub ratios: Vec<f32>,
    /// Whether clipping took the token's gradient away: (tokens).
    pub clipped: Vec<bool>,
}

impl GroupTokens {
    /// Where responses of these lengths begin, one after another, and where the last one ends.
    pub fn offsets_of(lengths: &[usize]) -> Vec<usize> {
        let ends = lengths.iter().scan(0, |end, &length| {
            *end += length;
            Some(*end)
        });
        std::iter::once(0).chain(ends).collect()
    }

    /// The tokens of response `index`; empty where there is none.
    pub fn range(&self, index: usize) -> Range<usize> {
        match self.offsets.get(index..=index + 1) {
            Some(&[start, end]) => start..end,
            _ => 0..0,
        }
    }

    /// The texts of the tokens of response `index`, which join up to its `completion`.
    pub fn pieces<'a>(&self, index: usize, completion: &'a str) -> Vec<&'a str> {
        let mut start = 0;
        let ends = self.ends.get(self.range(index)).unwrap_or_default();
        let mut pieces: Vec<&str> = ends
            .iter()
            .map(|&end| {
                let end = completion.floor_char_boundary((end as usize).max(start));
                let piece = &completion[start..end];
                start = end;
                piece
            })
            .collect();
        // Bytes that never became a character belong to the last token.
        if let Some(last) = pieces.last_mut() {
            let begin = start - last.len();
            *last = &completion[begin..];
        }
        pieces
    }

    /// Bytes of memory that this takes, about.
    pub fn size(&self) -> usize {
        4 * self.shares.len() + 21 * self.norms.len()
    }
}

/// What of two rollouts is compared by a cosine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compared {
    /// Gradient directions Phi: where they push the policy.
    #[default]
    Directions,
    /// Sentence embeddings: what they say.
    Meanings,
    /// Gradients over all parameters: where they really push the policy.
    Parameters,
}

impl GroupView {
    /// All cosines of that kind, row-major (m, m); empty where there are none.
    pub fn cosines(&self, compared: Compared) -> &[f32] {
        match compared {
            Compared::Directions => &self.cosine,
            Compared::Meanings => &self.semantic,
            Compared::Parameters => &self.gradient,
        }
    }

    /// The cosine between rollouts `i` and `j`; NaN where there is none.
    pub fn cosine(&self, compared: Compared, i: usize, j: usize) -> f32 {
        self.cosines(compared).get(i * self.rollouts.len() + j).copied().unwrap_or(f32::NAN)
    }

    /// Cosines of all unordered pairs i < j.
    pub fn pair_cosines(&self, compared: Compared) -> impl Iterator<Item = f32> + '_ {
        let m = self.rollouts.len();
        (0..m).flat_map(move |i| (i + 1..m).map(move |j| self.cosine(compared, i, j)))
    }

    /// How many rollouts are correct.
    pub fn correct(&self) -> usize {
        self.rollouts.iter().filter(|rollout| rollout.verdict.is_correct()).count()
    }
}

/// Everything the dashboard shows of one step beyond its metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct StepView {
    /// The step, from 1.
    pub step: u64,
    /// Its groups in order.
    pub groups: Vec<GroupView>,
}

/// A run at one moment. Cloning is cheap: the bulk is shared.
#[derive(Clone, Debug)]
pub struct RunSnapshot {
    /// What does not change.
    pub info: Arc<RunInfo>,
    /// Where it stands.
    pub state: RunState,
    /// Steps finished so far.
    pub step: u64,
    /// Progress within the running step.
    pub progress: StageProgress,
    /// Stage times of the last finished step.
    pub stage_times: StageTimes,
    /// Metrics of every finished step.
    pub history: History,
    /// Evaluations so far, oldest first.
    pub evaluations: Arc<Vec<EvaluationRecord>>,
    /// The newest finished step, where this process made it; older ones are in the run folder.
    pub latest: Option<Arc<StepView>>,
    /// How well features stood in for parameter gradients, oldest first.
    pub fidelity: Arc<Vec<FidelityRecord>>,
    /// Steps at which checkpoints were written.
    pub checkpoints: Arc<Vec<u64>>,
    /// What happened beside training, oldest first: pauses, changed settings, checkpoints.
    pub events: Arc<Vec<Event>>,
    /// Seconds to the end at the recent pace, once known.
    pub eta_s: Option<f64>,
    /// Warnings so far, newest last: (step, text).
    pub warnings: Arc<Vec<(u64, String)>>,
    /// Changes of settings that were asked for and cannot be, newest last; of a run of this process.
    pub refusals: Arc<Vec<Refusal>>,
    /// Where the run is read from its folder: when that was last written to. `None` for a run of this process.
    pub last_written: Option<SystemTime>,
}

impl RunSnapshot {
    /// The first snapshot of a run.
    pub fn starting(info: RunInfo) -> Self {
        Self {
            info: Arc::new(info),
            state: RunState::Starting,
            step: 0,
            progress: StageProgress::default(),
            stage_times: [0.0; Stage::ALL.len()],
            history: History::default(),
            evaluations: Arc::default(),
            latest: None,
            fidelity: Arc::default(),
            checkpoints: Arc::default(),
            events: Arc::default(),
            eta_s: None,
            warnings: Arc::default(),
            refusals: Arc::default(),
            last_written: None,
        }
    }

    /// What a setting was changed to last; `None` where it was not changed.
    pub fn value_of(&self, setting: LiveSetting) -> Option<f64> {
        let edits = self.events.iter().rev().filter_map(|event| event.edit.as_ref());
        edits.into_iter().find(|edit| edit.path == setting.path()).and_then(|edit| edit.to.as_f64())
    }
}

/// A setting that may be changed while the run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LiveSetting {
    /// The optimizer's learning rate after warm-up.
    LearningRate,
    /// G2RL's strength of shaping.
    Lambda,
    /// Temperature of sampling.
    Temperature,
    /// Weight of the KL term.
    KlCoefficient,
}

impl LiveSetting {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::LearningRate, Self::Lambda, Self::Temperature, Self::KlCoefficient];

    /// Its path in the experiment.
    pub fn path(self) -> &'static str {
        match self {
            Self::LearningRate => "optimizer.learning_rate",
            Self::Lambda => "method.lambda",
            Self::Temperature => "rollout.temperature",
            Self::KlCoefficient => "objective.kl.coefficient",
        }
    }

    /// The experiment's value; `None` where it has no such setting or where it cannot be changed during a run.
    pub fn of(self, experiment: &Experiment) -> Option<f64> {
        let OptimizerConfig::AdamW(adamw) = &experiment.optimizer;
        match self {
            Self::LearningRate => Some(adamw.learning_rate),
            Self::Lambda => match &experiment.method {
                MethodConfig::G2rl(config) => Some(config.lambda),
                _ => None,
            },
            Self::Temperature => Some(experiment.rollout.temperature),
            // Without a KL term at the start there is no reference model.
            Self::KlCoefficient => Some(experiment.objective.kl.coefficient).filter(|&weight| weight > 0.0),
        }
    }
}

/// A change of a setting that was asked for and cannot be.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The setting, which stays as it is.
    pub setting: LiveSetting,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stays as it is: {}", self.setting.path(), self.reason)
    }
}

/// What a person may ask of the trainer. Carried out between steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TrainerCommand {
    /// Wait after the current step.
    Pause,
    /// Go on.
    Resume,
    /// While paused: run one step and pause again.
    StepOnce,
    /// Write a checkpoint after the current step.
    Checkpoint,
    /// Change a setting from the next step on.
    Set(LiveSetting, f64),
    /// Finish the current step, write a checkpoint, end.
    Stop,
    /// Note that the window is gone without having been closed. A running trainer goes on; a paused one, whom nobody could tell to go
    /// on, stops.
    WindowLost,
}

/// What an update of the snapshot changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only how far the running step has come.
    Progress,
    /// Something that stays: a finished step, the state, an evaluation.
    Lasting,
}

/// Called after each new snapshot, for example to ask for a repaint.
type Waker = Box<dyn Fn(Change) + Send + Sync>;

/// The shared place of the newest snapshot. The trainer replaces it; readers clone it. Neither waits for the other for longer
/// than a pointer takes to copy.
#[derive(Clone)]
pub struct SnapshotCell {
    newest: Arc<Mutex<RunSnapshot>>,
    waker: Arc<Mutex<Option<Waker>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A reader that panicked cannot have left a half-written snapshot: writers only assign whole values.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SnapshotCell {
    /// A cell that holds `first`.
    pub fn new(first: RunSnapshot) -> Self {
        Self { newest: Arc::new(Mutex::new(first)), waker: Arc::default() }
    }

    /// The newest snapshot.
    pub fn load(&self) -> RunSnapshot {
        lock(&self.newest).clone()
    }

    /// Changes the newest snapshot in place and wakes the reader.
    pub fn update(&self, change: impl FnOnce(&mut RunSnapshot)) {
        change(&mut lock(&self.newest));
        self.wake(Change::Lasting);
    }

    /// Says how far the running step has come and wakes the reader.
    pub fn progress(&self, progress: StageProgress) {
        lock(&self.newest).progress = progress;
        self.wake(Change::Progress);
    }

    fn wake(&self, change: Change) {
        if let Some(wake) = lock(&self.waker).as_ref() {
            wake(change);
        }
    }

    /// Sets what to call after each change.
    pub fn on_change(&self, wake: impl Fn(Change) + Send + Sync + 'static) {
        *lock(&self.waker) = Some(Box::new(wake));
    }
}

/// Whether a person is at the window of a run, who can be asked to do something.
#[derive(Clone, Debug, Default)]
pub struct Attendance(Arc<AtomicBool>);

impl Attendance {
    /// Says so.
    pub fn set(&self, given: bool) {
        self.0.store(given, Ordering::SeqCst);
    }

    /// Whether somebody is.
    pub fn is_given(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// The outside's end of a run: the newest snapshot and a way to send commands.
#[derive(Clone)]
pub struct RunHandle {
    /// Newest snapshot.
    pub snapshots: SnapshotCell,
    /// Whether somebody is at its window.
    pub attendance: Attendance,
    /// Commands to the trainer; bounded, so use [`RunHandle::send`].
    commands: Sender<TrainerCommand>,
}

impl RunHandle {
    /// A handle and the trainer's end of its command channel.
    pub fn new(first: RunSnapshot) -> (Self, Receiver<TrainerCommand>) {
        let (commands, receiver) = crossbeam_channel::bounded(16);
        (Self { snapshots: SnapshotCell::new(first), attendance: Attendance::default(), commands }, receiver)
    }

    /// Sends a command without waiting. Returns false where the trainer is gone or swamped.
    pub fn send(&self, command: TrainerCommand) -> bool {
        self.commands.try_send(command).is_ok()
    }
}
