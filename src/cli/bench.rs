//! `orthant bench`: times whole training steps on random weights of a given shape.
//!
//! Two runs take steps in turn, GRPO without features and G2RL with them, both with a KL
//! coefficient of 0.001, so that whatever slows the machine down meets both. They are runs like any
//! other, with the stages of training and the trainer's own clock; only their prompts are random,
//! their verifier flips a coin, and their model never ends a response.
//!
//! What G2RL adds to a step is the second product of the head (`kernels::one_pass_head`), 2 V d
//! operations per new token, and in comparison nothing: no forward pass, cosines of a few vectors.
//! With N parameters outside of the embeddings, prompts of p and responses of n tokens, a GRPO step
//! with a reference needs per sequence about
//!
//! ```text
//! sampling            2 N n + 2 V d n
//! reference           2 N (p + n) + 2 V d n
//! forward, backward   6 N (p + n) + 6 V d n (and 2 V d n for the logits that backward recomputes)
//! ```
//!
//! operations, attention aside. At the default shape (N = 4.7M, V d = 0.13M, p = 32, n = 128) the
//! second product is 0.034 of 7.5 Gflop, 0.5 % of the step; at the shape of Qwen3-1.7B (N = 1.41G,
//! V d = 0.31G, the same lengths) it is 0.08 of 2.64 Tflop, 3.0 %.

use super::arguments::{parse_device, whole};
use super::terminal::{note, say};
use crate::error::{Error, Result};
use crate::experiment::{
    self, Adapter, DeviceChoice, Experiment, LoraConfig, MethodConfig, Precision,
};
use crate::machine::{self, ProcessLoad};
use crate::memory::Plan;
use crate::methods::{G2rl, Grpo};
use crate::metrics::{Metric, MetricRow};
use crate::model::{DecoderSpec, LanguageModel, TextTokenizer, data_type, open_device};
use crate::rng::{self, Domain};
use crate::run::{RunSnapshot, RunState, TrainerCommand};
use crate::stages::metrics;
use crate::tasks::{Problem, Split, Task};
use crate::trainer::{Run, RunBuilder};
use crate::verify::{Verdict, Verification};
use crate::weights::Weights;
use candle_core::Device;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::Digest;
use std::path::PathBuf;
use std::time::Duration;

/// Times the stages of training on random weights.
#[derive(Args)]
#[command(after_help = "Example: orthant bench --hidden 128 --layers 4 --heads 4 --kv-heads 2 \
                  --intermediate 384 --json")]
pub(super) struct BenchArguments {
    /// Width of the residual stream.
    #[arg(long, value_name = "N", default_value = "256", value_parser = whole::<usize>(1, 1 << 16))]
    hidden: usize,
    /// Decoder layers.
    #[arg(long, value_name = "N", default_value = "6", value_parser = whole::<usize>(1, 1024))]
    layers: usize,
    /// Query heads.
    #[arg(long, value_name = "N", default_value = "8", value_parser = whole::<usize>(1, 1024))]
    heads: usize,
    /// Key/value heads; they divide the query heads.
    #[arg(long, value_name = "N", default_value = "4", value_parser = whole::<usize>(1, 1024))]
    kv_heads: usize,
    /// Elements of a head; an even number.
    #[arg(long, value_name = "N", default_value = "32", value_parser = whole::<usize>(2, 1024))]
    head_dim: usize,
    /// Width of the MLP.
    #[arg(long, value_name = "N", default_value = "768", value_parser = whole::<usize>(1, 1 << 20))]
    intermediate: usize,
    /// Tokens of the vocabulary.
    #[arg(long, value_name = "N", default_value = "512", value_parser = whole::<usize>(2, 1 << 22))]
    vocab: usize,
    /// Prompts of a step.
    #[arg(long, value_name = "N", default_value = "8", value_parser = whole::<usize>(1, 4096))]
    prompts: usize,
    /// Completions of a prompt.
    #[arg(long, value_name = "N", default_value = "16", value_parser = whole::<usize>(2, 1024))]
    group: usize,
    /// Tokens of a prompt.
    #[arg(long, value_name = "N", default_value = "32", value_parser = whole::<usize>(1, 1 << 20))]
    prompt_len: usize,
    /// Tokens of a completion.
    #[arg(long, value_name = "N", default_value = "128", value_parser = whole::<usize>(1, 1 << 20))]
    new_tokens: usize,
    /// Trains an adapter (LoRA) of this rank on all linear layers; all weights where it is left out.
    #[arg(long, value_name = "R", value_parser = whole::<usize>(1, 4096))]
    lora_rank: Option<usize>,
    /// Groups whose forward pass is kept from sampling; left out, as many as half of the free memory
    /// has room for.
    #[arg(long, value_name = "N", value_parser = whole::<usize>(0, 4096))]
    traced_groups: Option<usize>,
    /// Where tensors live: auto, cpu or cuda:0.
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = parse_device)]
    device: DeviceChoice,
    /// Type of weights and compute: f32 or bf16.
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = parse_precision)]
    dtype: Precision,
    /// Timed steps of each method, after one that is not timed.
    #[arg(long, value_name = "N", default_value = "3", value_parser = whole::<usize>(1, 1000))]
    repeat: usize,
    /// Prints one machine-readable line instead of a table.
    #[arg(long)]
    json: bool,
}

fn parse_precision(text: &str) -> Result<Precision, String> {
    match text {
        "f32" => Ok(Precision::F32),
        "bf16" => Ok(Precision::Bf16),
        _ => Err("write f32 or bf16".to_string()),
    }
}

impl BenchArguments {
    fn shape(&self) -> Result<DecoderSpec> {
        if !self.heads.is_multiple_of(self.kv_heads) {
            let (heads, kv_heads) = (self.heads, self.kv_heads);
            return Err(Error::input(format!(
                "--heads {heads} is not a multiple of --kv-heads {kv_heads}; make it one"
            )));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(Error::input(format!(
                "--head-dim {} is odd; rotary positions need an even number",
                self.head_dim
            )));
        }
        Ok(DecoderSpec {
            vocab_size: self.vocab,
            hidden_size: self.hidden,
            intermediate_size: self.intermediate,
            num_hidden_layers: self.layers,
            num_attention_heads: self.heads,
            num_key_value_heads: self.kv_heads,
            head_dim: self.head_dim,
            max_position_embeddings: self.prompt_len + self.new_tokens,
            tie_word_embeddings: true,
            // A token that the model does not have: no response ends before its last token.
            eos_token_ids: vec![self.vocab as u32],
            ..DecoderSpec::default()
        })
    }

    /// Refuses what cannot fit: weights, reference, gradients and moments of both runs, and one
    /// cache.
    fn check_memory(&self, shape: &DecoderSpec) -> Result<()> {
        let element = data_type(self.dtype).size_in_bytes();
        let weights = shape.parameter_count() as f64 * (2 * element + 12) as f64;
        let slots = (self.prompts * self.group) as f64 * (self.prompt_len + self.new_tokens) as f64;
        let cache = slots * (2 * self.layers * self.kv_heads * self.head_dim * element) as f64;
        let needed = 2.0 * weights + cache;
        match machine::available(&Device::Cpu) {
            Some(available) if self.device == DeviceChoice::Cpu && needed > available as f64 => {
                Err(Error::input(format!(
                    "this shape needs at least {}, but {} are free; choose smaller --hidden, \
                     --layers, --vocab or --prompts",
                    machine::in_gib(needed as u64),
                    machine::in_gib(available)
                )))
            }
            _ => Ok(()),
        }
    }

    /// What both runs have in common. They are there at the same time, so each is planned with half
    /// of the free memory.
    fn experiment(&self, shape: &DecoderSpec, device: &Device) -> Result<Experiment> {
        let mut experiment: Experiment = experiment::from_text(EXPERIMENT, "bench")?;
        experiment.device = self.device;
        experiment.precision = self.dtype;
        if let Some(rank) = self.lora_rank {
            experiment.adapter =
                Adapter::Lora(LoraConfig { rank, alpha: rank as f64, ..LoraConfig::default() });
        }
        experiment.objective.traced_groups = self.traced_groups;
        experiment.rollout.prompts_per_step = self.prompts;
        experiment.rollout.group_size = self.group;
        experiment.rollout.max_new_tokens = self.new_tokens;
        let half = machine::available(device).map(|free| free / 2);
        Plan::new(&experiment, shape, self.prompt_len, device.is_cpu(), half)
            .settle(&mut experiment);
        Ok(experiment)
    }

    fn start(
        &self,
        experiment: &Experiment,
        method: MethodConfig,
        shape: &DecoderSpec,
        device: &Device,
        folder: &TemporaryFolder,
    ) -> Result<Stepper> {
        let experiment = Experiment { method, ..experiment.clone() };
        let weights =
            Weights::random(shape, INIT_STD, experiment.seed, data_type(self.dtype), device)?;
        let model =
            LanguageModel::new(shape.clone(), TextTokenizer::numbers(self.vocab)?, weights)?;
        let task = CoinFlip { prompt_len: self.prompt_len, vocabulary: self.vocab as u32 };
        Stepper::new(RunBuilder::new(experiment).task(task).model(model).start(&folder.0)?)
    }
}

/// What both runs have in common.
const EXPERIMENT: &str = r#"Experiment(
    name: "bench",
    model: Local("random weights"),
    task: Custom("bench"),
    objective: (kl: (coefficient: 0.001)),
    record: (checkpoint_every: 0, rollouts_every: 0, geometry_every: 0, tokens_every: 0),
    stop: (steps: 1000000),
)"#;

/// Standard deviation of initial weights, as in Transformers.
const INIT_STD: f64 = 0.02;

/// Random prompts of one length; every response is right or wrong by the toss of a coin.
struct CoinFlip {
    prompt_len: usize,
    vocabulary: u32,
}

impl Task for CoinFlip {
    fn name(&self) -> &'static str {
        "bench"
    }

    fn problem(&self, split: Split, seed: u64, index: u64) -> Problem {
        let mut stream =
            rng::stream(seed, Domain::Problems, [0, index, u64::from(split == Split::HeldOut)]);
        let words: Vec<String> = (0..self.prompt_len)
            .map(|_| rng::below(&mut stream, self.vocabulary).to_string())
            .collect();
        Problem {
            id: format!("bench/{split:?}/{index}"),
            prompt: words.join(" "),
            answer: "heads".to_string(),
        }
    }

    fn verify(&self, problem: &Problem, completion: &str) -> Verification {
        // The problem alone would give all of a group one reward, and so no gradient to speak of.
        let hash =
            sha2::Sha256::new().chain_update(&problem.id).chain_update(completion).finalize();
        let verdict = if hash[0] % 2 == 0 { Verdict::Correct } else { Verdict::Incorrect };
        Verification { verdict, extracted: None }
    }
}

/// A run that takes a step when it is told to.
struct Stepper(Run);

impl Stepper {
    fn new(run: Run) -> Result<Self> {
        let stepper = Self(run);
        stepper.command(TrainerCommand::Pause, |snapshot| snapshot.state == RunState::Paused)?;
        Ok(stepper)
    }

    /// Runs one step; returns its metrics.
    fn step(&self) -> Result<MetricRow> {
        let before = self.0.handle.snapshots.load().step;
        let after = self.command(TrainerCommand::StepOnce, |snapshot| {
            snapshot.step > before && snapshot.progress.stage.is_none()
        })?;
        after.history.last().cloned().ok_or_else(|| Error::failed("a step left no metrics"))
    }

    fn command(
        &self,
        command: TrainerCommand,
        done: impl Fn(&RunSnapshot) -> bool,
    ) -> Result<RunSnapshot> {
        let handle = &self.0.handle;
        if !handle.send(command) {
            return Err(Error::failed("the trainer does not listen"));
        }
        loop {
            let snapshot = handle.snapshots.load();
            match &snapshot.state {
                RunState::Failed { message } => return Err(Error::failed(message)),
                _ if done(&snapshot) => return Ok(snapshot),
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

/// The folder of the run folders, gone at the end.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("orthant-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(Error::io("making a temporary folder", &path))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            note!("{} could not be removed: {error}", self.0.display());
        }
    }
}

pub(super) fn run(arguments: &BenchArguments) -> Result<u8> {
    let shape = arguments.shape()?;
    arguments.check_memory(&shape)?;
    let device = open_device(arguments.device, |warning| note!("warning: {warning}"))?;
    let experiment = arguments.experiment(&shape, &device)?;
    let start = |method, folder| arguments.start(&experiment, method, &shape, &device, folder);
    let folder = TemporaryFolder::new()?;
    let bar = ProgressBar::new(2 * (arguments.repeat as u64 + 1));
    if let Ok(style) = ProgressStyle::with_template("{bar:24} step {pos}/{len}") {
        bar.set_style(style);
    }
    let step = |stepper: &Stepper| {
        let row = stepper.step();
        bar.inc(1);
        row
    };
    let g2rl = start(G2rl::default().into(), &folder)?;
    // The peak of one run: the other is not there yet.
    let first = step(&g2rl)?;
    let peak =
        first.get(&metrics::MEMORY_GPU_PEAK_MIB).or_else(|| first.get(&metrics::MEMORY_PEAK_MIB));
    let grpo = start(Grpo.into(), &folder)?;
    step(&grpo)?;
    let mut load = ProcessLoad::default();
    let mut timed = |stepper: &Stepper| -> Result<TimedStep> {
        load.look();
        let row = step(stepper)?;
        Ok(TimedStep { row, cpu_s: load.look().and_then(|used| used.cpu_s) })
    };
    let mut pairs = Vec::with_capacity(arguments.repeat);
    for repeat in 0..arguments.repeat {
        // Each goes first half of the time.
        pairs.push(if repeat % 2 == 0 {
            let first = timed(&grpo)?;
            (first, timed(&g2rl)?)
        } else {
            let first = timed(&g2rl)?;
            (timed(&grpo)?, first)
        });
    }
    bar.finish_and_clear();
    for stepper in [grpo, g2rl] {
        stepper.0.join()?;
    }
    let report = Report::new(arguments, &experiment, &shape, &pairs, peak);
    print(arguments, &report)?;
    Ok(0)
}

/// A step and what it took.
struct TimedStep {
    row: MetricRow,
    /// Processor time of all threads, seconds, where the system tells.
    cpu_s: Option<f64>,
}

impl TimedStep {
    fn seconds(&self, metric: &Metric) -> f64 {
        self.row.get(metric).unwrap_or(f64::NAN)
    }

    fn cpu_seconds(&self) -> f64 {
        self.cpu_s.unwrap_or(f64::NAN)
    }
}

/// What is reported; times and rates are medians, those of the stages over the steps of GRPO.
#[derive(serde::Serialize)]
struct Report {
    /// Number of parameters.
    params: usize,
    /// What was chosen by the free memory, as in `objective`.
    micro_batch_tokens: usize,
    recompute_layers: bool,
    traced_groups: usize,
    /// Seconds of the sample stage; least and greatest beside the median.
    sample_s: f64,
    sample_s_min: f64,
    sample_s_max: f64,
    /// New tokens per second of the sample stage.
    sample_tok_s: f64,
    /// Seconds of the update stage: reference, forward, backward and optimizer.
    update_s: f64,
    update_s_min: f64,
    update_s_max: f64,
    /// Tokens of prompts and responses per second of the update stage.
    update_tok_s: f64,
    /// Seconds of a whole step of GRPO.
    step_grpo_s: f64,
    /// Seconds of a whole step of G2RL.
    step_g2rl_s: f64,
    step_g2rl_s_min: f64,
    step_g2rl_s_max: f64,
    /// Processor time of all threads in a whole step of each, seconds; null where the system does
    /// not tell.
    step_grpo_cpu_s: f64,
    step_g2rl_cpu_s: f64,
    /// Step of G2RL over the step of GRPO beside it: median, least and greatest of the pairs.
    step_ratio: f64,
    step_ratio_min: f64,
    step_ratio_max: f64,
    /// The same of their processor times.
    step_cpu_ratio: f64,
    step_cpu_ratio_min: f64,
    step_cpu_ratio_max: f64,
    /// Most memory of a step of G2RL, MiB: of tensors on the GPU, or of the process; null where the
    /// system does not tell.
    peak_memory_mib: Option<f64>,
}

impl Report {
    fn new(
        arguments: &BenchArguments,
        experiment: &Experiment,
        shape: &DecoderSpec,
        pairs: &[(TimedStep, TimedStep)],
        peak_memory_mib: Option<f64>,
    ) -> Self {
        let grpo = |metric| Spread::of(pairs.iter().map(|(grpo, _)| grpo.seconds(metric)));
        let step = &metrics::TIME_STEP_S;
        let g2rl = Spread::of(pairs.iter().map(|(_, g2rl)| g2rl.seconds(step)));
        let ratio = Spread::of(pairs.iter().map(|(a, b)| b.seconds(step) / a.seconds(step)));
        let cpu_ratio = Spread::of(pairs.iter().map(|(a, b)| b.cpu_seconds() / a.cpu_seconds()));
        let sequences = (arguments.prompts * arguments.group) as f64;
        let (sample, update) = (grpo(&metrics::TIME_SAMPLE_S), grpo(&metrics::TIME_UPDATE_S));
        Self {
            params: shape.parameter_count(),
            micro_batch_tokens: experiment.objective.micro_batch_tokens(),
            recompute_layers: experiment.objective.recompute_layers.unwrap_or(false),
            traced_groups: experiment.traced_groups(),
            sample_s: sample.median,
            sample_s_min: sample.min,
            sample_s_max: sample.max,
            sample_tok_s: sequences * arguments.new_tokens as f64 / sample.median,
            update_s: update.median,
            update_s_min: update.min,
            update_s_max: update.max,
            update_tok_s: sequences * (arguments.prompt_len + arguments.new_tokens) as f64
                / update.median,
            step_grpo_s: grpo(step).median,
            step_g2rl_s: g2rl.median,
            step_g2rl_s_min: g2rl.min,
            step_g2rl_s_max: g2rl.max,
            step_grpo_cpu_s: Spread::of(pairs.iter().map(|(a, _)| a.cpu_seconds())).median,
            step_g2rl_cpu_s: Spread::of(pairs.iter().map(|(_, b)| b.cpu_seconds())).median,
            step_ratio: ratio.median,
            step_ratio_min: ratio.min,
            step_ratio_max: ratio.max,
            step_cpu_ratio: cpu_ratio.median,
            step_cpu_ratio_min: cpu_ratio.min,
            step_cpu_ratio_max: cpu_ratio.max,
            peak_memory_mib,
        }
    }
}

/// Median, least and greatest of some values.
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Self { median: f64::midpoint(low, high), min: values[0], max: values[values.len() - 1] }
    }
}

fn print(arguments: &BenchArguments, report: &Report) -> Result<()> {
    if arguments.json {
        return say!("{}", serde_json::json!(report));
    }
    let BenchArguments { prompts, group, prompt_len, new_tokens, repeat, .. } = arguments;
    say!(
        "{:.2}M parameters; {prompts} prompts of {prompt_len} tokens x {group} responses of \
         {new_tokens}; medians of {repeat}",
        report.params as f64 / 1e6
    )?;
    say!(
        "micro-batches of {} tokens; {} of {prompts} groups traced{}",
        report.micro_batch_tokens,
        report.traced_groups,
        if report.recompute_layers { "; layers computed again" } else { "" }
    )?;
    let spread = |min: f64, max: f64| format!("{min:.3} to {max:.3}");
    say!("{:<12} {:>9} {:>18} {:>10}", "", "seconds", "range", "tokens/s")?;
    let range = spread(report.sample_s_min, report.sample_s_max);
    say!("{:<12} {:>9.3} {range:>18} {:>10.0}", "sample", report.sample_s, report.sample_tok_s)?;
    let range = spread(report.update_s_min, report.update_s_max);
    say!("{:<12} {:>9.3} {range:>18} {:>10.0}", "update", report.update_s, report.update_tok_s)?;
    say!("{:<12} {:>9.3}", "step, GRPO", report.step_grpo_s)?;
    let range = spread(report.step_g2rl_s_min, report.step_g2rl_s_max);
    say!("{:<12} {:>9.3} {range:>18}", "step, G2RL", report.step_g2rl_s)?;
    say!(
        "G2RL / GRPO, step by step: {:.3} ({:.3} to {:.3}), by processor time {:.3} ({:.3} to {:.3})",
        report.step_ratio,
        report.step_ratio_min,
        report.step_ratio_max,
        report.step_cpu_ratio,
        report.step_cpu_ratio_min,
        report.step_cpu_ratio_max
    )?;
    if let Some(peak) = report.peak_memory_mib {
        say!("peak memory: {peak:.0} MiB")?;
    }
    Ok(())
}
