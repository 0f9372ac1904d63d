//! `orthant pretrain EXPERIMENT.ron`: a small base model from nothing.

use super::terminal::{note, tell_above};
use crate::error::{Error, Result};
use crate::evaluation::{Suite, evaluate};
use crate::experiment::{self, Every, OptimizerConfig, Precision, Pretrain};
use crate::files::{self, SETTINGS_BYTES, checksums, space, staging, staging::StagedFolder};
use crate::kernels::Buffers;
use crate::model::{
    DecoderSpec, END_OF_TEXT, GradientSum, LanguageModel, ResponseBatch, TextTokenizer, data_type, micro_batches,
    open_device,
};
use crate::optim::{AdamW, AdamWSettings, Schedule};
use crate::rng::{self, Domain};
use crate::run::EvaluationRecord;
use crate::tasks::{self, Split, Task};
use crate::weights::Weights;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Args)]
#[command(after_help = "Example: orthant pretrain experiments/pretrain_countdown.ron")]
pub(super) struct PretrainArguments {
    /// The pretraining experiment (RON).
    experiment: PathBuf,
    /// Overrides a field: path=value, repeatable.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
}

/// Standard deviation of initial weights, as in Transformers' Qwen3.
const INIT_STD: f64 = 0.02;

pub(super) fn run(arguments: &PretrainArguments) -> Result<u8> {
    let mut config: Pretrain = experiment::read(&arguments.experiment)?;
    for assignment in &arguments.set {
        config = experiment::set(&config, assignment)?;
    }
    let locate = |error| experiment::locate(error, &arguments.experiment, &arguments.set);
    config.validate().map_err(locate)?;
    super::on_large_stack("pretrain", || train(&config)).map(|()| 0).map_err(locate)
}

/// What could not be saved, with what has to be freed, and how to go on.
fn unsaved(error: Error, place: &Path, bytes: u64) -> Error {
    match error {
        Error::Io { doing, source, path } => {
            let error = Error::Io { doing, source: space::explained(source, place, bytes), path };
            let has_save = place.join(Progress::FOLDER).exists();
            let from = if has_save { "goes on where the last save was" } else { "begins again" };
            Error::failed(format!("{error}; the same command {from}"))
        }
        other => other,
    }
}

fn train(config: &Pretrain) -> Result<()> {
    let device = open_device(config.device)?;
    let words: Vec<&str> = config.words.iter().map(String::as_str).collect();
    let tokenizer = TextTokenizer::bytes_and_words(&words)?;
    let task = tasks::build(&config.task, &tokenizer, None)?;
    let suites = config.evaluations.iter().map(|evaluation| Suite::new(&evaluation.suite, &task, &tokenizer, None));
    let suites = suites.collect::<Result<Vec<_>>>()?;
    let end = tokenizer.token_id(END_OF_TEXT).ok_or_else(|| Error::failed("the tokenizer has no end-of-text token"))?;
    let shape = DecoderSpec {
        vocab_size: tokenizer.vocabulary(),
        hidden_size: config.model.hidden_size,
        intermediate_size: config.model.intermediate_size,
        num_hidden_layers: config.model.layers,
        num_attention_heads: config.model.heads,
        num_key_value_heads: config.model.kv_heads,
        head_dim: config.model.head_dim,
        max_position_embeddings: config.model.positions,
        tie_word_embeddings: true,
        eos_token_ids: vec![end],
        ..DecoderSpec::default()
    };
    shape.validate()?;
    check_positions(config, task.as_ref(), &suites, &tokenizer, end)?;
    let weights = Weights::random(&shape, INIT_STD, config.seed, data_type(Precision::F32), &device)?;
    let model = LanguageModel::new(shape, tokenizer, weights)?;
    let OptimizerConfig::AdamW(settings) = &config.optimizer;
    // Weights, masters and moments twice while one save replaces another, and the weights of the model itself.
    let bytes = (model.parameter_count() * (2 * (4 + 12) + 4)) as u64;
    let staged = StagedFolder::begin(&config.out, Progress::KEPT, bytes)?;
    let (mut progress, mut optimizer) = Progress::begin(config, &model, settings.settings(), staged.path())?;

    let bar = ProgressBar::new(config.steps).with_position(progress.step);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} step {pos}/{len}  {msg}  {eta_precise} left") {
        bar.set_style(style);
    }
    if progress.step > 0 {
        tell_above(&bar, &format!("going on after step {}, where an earlier try was when it ended", progress.step));
    }
    let mut buffers = Buffers::default();
    let (started, tokens_before) = (Instant::now(), progress.tokens);
    let mut saved = Instant::now();
    for step in progress.step + 1..=config.steps {
        let examples = examples(task.as_ref(), &model.tokenizer, config, step, end)?;
        let lengths = lengths(&examples);
        fits(&lengths, config.model.positions)?;
        let targets: usize = examples.iter().map(|(_, response)| response.len()).sum();
        let mut sum = GradientSum::new(&model.trainable, &model.weights, false, &mut buffers)?;
        let mut total = 0.0;
        for range in micro_batches(&lengths, config.micro_batch_tokens) {
            let pairs: Vec<(&[u32], &[u32])> =
                examples[range].iter().map(|(prompt, response)| (prompt.as_slice(), response.as_slice())).collect();
            let pass = sum.forward(ResponseBatch::new(&pairs)?, 1.0)?;
            let loss = (pass.statistics().narrow(1, 0, 1)?.sum_all()? * (-1.0 / targets as f64))?;
            total += f64::from(loss.to_scalar::<f32>()?);
            sum.backward(pass, &loss)?;
        }
        let gradients = sum.finish()?;
        let rate = Schedule::rate(settings.schedule, settings.learning_rate, step, settings.warmup_steps, config.steps);
        optimizer.step(&gradients, gradients.norm()?, rate)?;
        progress.add(step, lengths.iter().sum(), total);
        let pace = (progress.tokens - tokens_before) as f64 / started.elapsed().as_secs_f64();
        bar.set_message(format!("loss {:.4} nats/token  {pace:.0} tokens/s", progress.loss.unwrap_or(f64::NAN)));
        bar.inc(1);
        let is_due = |every: Every| every.is_due(step) || step == config.steps;
        for (evaluation, suite) in config.evaluations.iter().zip(&suites).filter(|(e, _)| is_due(e.every)) {
            let record =
                evaluate(&model, suite, evaluation, new_tokens(config.model.positions), config.seed, step, |_| ())?;
            tell_above(
                &bar,
                &format!("step {step}: loss {:.4}, {}", progress.loss.unwrap_or(f64::NAN), describe(&record)),
            );
            progress.records.push(record);
        }
        if config.evaluations.iter().any(|evaluation| is_due(evaluation.every)) || saved.elapsed() > SAVE_INTERVAL {
            progress.save(&model, &optimizer, staged.path()).map_err(|error| unsaved(error, staged.path(), bytes))?;
            saved = Instant::now();
        }
    }
    bar.finish_and_clear();
    let written = model.write(staged.path()).and_then(|()| write_card(config, &model, &progress, staged.path()));
    written.map_err(|error| unsaved(error, staged.path(), bytes))?;
    Progress::remove(staged.path())?;
    staged.finish()
}

/// Time after which the state is saved, whether there is something to evaluate or not.
const SAVE_INTERVAL: Duration = Duration::from_mins(5);

/// How far training has come: what a try that was killed leaves to the next one, beside weights and moments.
#[derive(Serialize, Deserialize)]
struct Progress {
    /// The experiment, complete.
    experiment: String,
    step: u64,
    tokens: usize,
    /// A running mean; `None` before the first step.
    loss: Option<f64>,
    records: Vec<EvaluationRecord>,
}

impl Progress {
    /// The folder that it is saved in.
    const FOLDER: &str = "progress";
    /// What the next try needs: that folder, under either name that it has while it is replaced.
    const KEPT: &[&str] = &[Self::FOLDER, ".progress.before"];
    const FILE: &str = "pretrain.json";
    const STATE: &str = "trainer.safetensors";

    /// Goes on where an earlier try with the same experiment was, or begins. What there is of an earlier try that cannot be gone on
    /// from is told of.
    fn begin(config: &Pretrain, model: &LanguageModel, settings: AdamWSettings, place: &Path) -> Result<(Self, AdamW)> {
        let experiment = experiment::to_text(config)?;
        let folder = place.join(Self::FOLDER);
        staging::restore(&folder).map_err(Error::io("giving an earlier save its name back", &folder))?;
        let new = Self { experiment, step: 0, tokens: 0, loss: None, records: Vec::new() };
        if folder.exists() {
            match Self::read(&folder) {
                Ok(progress) if progress.experiment == new.experiment => {
                    let optimizer = AdamW::read(&model.weights, settings, &folder.join(Self::STATE))?;
                    return Ok((progress, optimizer));
                }
                Ok(_) => note!("an earlier try had other settings, so this one begins anew"),
                Err(error) => {
                    note!("warning: what an earlier try saved cannot be used, so this one begins anew: {error}");
                }
            }
        }
        Ok((new, AdamW::new(&model.weights, settings)?))
    }

    fn read(folder: &Path) -> Result<Self> {
        checksums::verify(folder)?;
        let path = folder.join(Self::FILE);
        let text = files::read_text(&path, SETTINGS_BYTES).map_err(Error::io("reading", &path))?;
        serde_json::from_str(&text).map_err(|error| Error::failed(format!("{error} ({})", path.display())))
    }

    /// A step is done.
    fn add(&mut self, step: u64, tokens: usize, loss: f64) {
        self.step = step;
        self.tokens += tokens;
        self.loss = Some(self.loss.map_or(loss, |mean| 0.95 * mean + 0.05 * loss));
    }

    /// Saves it, with the model as it is now.
    fn save(&self, model: &LanguageModel, optimizer: &AdamW, place: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::failed(error.to_string()))?;
        staging::replace(&place.join(Self::FOLDER), |folder| {
            model.write(folder)?;
            optimizer.write(&folder.join(Self::STATE))?;
            let path = folder.join(Self::FILE);
            fs::write(&path, &text).map_err(Error::io("saving the progress", &path))?;
            checksums::write(folder)
        })
    }

    /// Removes it, when the model is done.
    fn remove(place: &Path) -> Result<()> {
        let folder = place.join(Self::FOLDER);
        staging::remove(&folder).map_err(Error::io("removing an earlier save", &folder))
    }
}

/// Worked solutions that are looked at before work begins.
const SEEN_SOLUTIONS: u64 = 1 << 14;

/// Most tokens of a completion in evaluations.
fn new_tokens(positions: usize) -> usize {
    96.min(positions / 2)
}

/// Refuses too few positions for the worked solutions that come first, or for a suite.
fn check_positions(
    config: &Pretrain,
    task: &dyn Task,
    suites: &[Suite],
    tokenizer: &TextTokenizer,
    end: u32,
) -> Result<()> {
    let positions = config.model.positions;
    let steps = config.steps.min(SEEN_SOLUTIONS.div_ceil(config.batch as u64));
    for step in 1..=steps {
        fits(&lengths(&examples(task, tokenizer, config, step, end)?), positions)?;
    }
    for suite in suites {
        let (prompt, new) = (suite.longest_prompt(tokenizer)?, new_tokens(positions));
        if prompt + new > positions {
            let problem = format!(
                "is {positions}; the suite {} has a prompt of {prompt} tokens, after which {new} are sampled; raise it",
                suite.name
            );
            return Err(Error::field("model.positions", problem));
        }
    }
    Ok(())
}

/// Refuses prompts with solutions of more tokens than the model has positions.
fn fits(lengths: &[usize], positions: usize) -> Result<()> {
    let longest = lengths.iter().copied().max().unwrap_or(0);
    if longest <= positions {
        return Ok(());
    }
    let problem = format!(
        "is {positions}; the task has a worked solution of {longest} tokens, prompt and end included; raise it to that at least"
    );
    Err(Error::field("model.positions", problem))
}

/// Tokens of each example.
fn lengths(examples: &[Example]) -> Vec<usize> {
    examples.iter().map(|(prompt, response)| prompt.len() + response.len()).collect()
}

/// (prompt, solution with end-of-text) as token ids.
type Example = (Vec<u32>, Vec<u32>);

/// The worked solutions of one step.
fn examples(
    task: &dyn Task,
    tokenizer: &TextTokenizer,
    config: &Pretrain,
    step: u64,
    end: u32,
) -> Result<Vec<Example>> {
    let first = (step - 1) * config.batch as u64;
    (first..first + config.batch as u64)
        .into_par_iter()
        .map(|index| {
            let problem = task.problem(Split::Train, config.seed, index);
            let mut stream = rng::stream(config.seed, Domain::Solutions, [0, index, 0]);
            let solution = task.worked_solution(&problem, &mut stream).ok_or_else(|| {
                Error::input(format!(
                    "the task `{}` writes no worked solutions, so there is nothing to pretrain on",
                    task.name()
                ))
            })?;
            let mut response = tokenizer.encode(&solution)?;
            response.push(end);
            Ok((tokenizer.encode(&problem.prompt)?, response))
        })
        .collect()
}

fn describe(record: &EvaluationRecord) -> String {
    let mut text = record.suite.clone();
    for (k, estimate) in &record.pass_at {
        // Writing to a string cannot fail.
        let _ignored = write!(
            text,
            ", pass@{k} {:.1} % [{:.1}, {:.1}]",
            100.0 * estimate.value,
            100.0 * estimate.low,
            100.0 * estimate.high
        );
    }
    text
}

/// The model card, with what was measured.
fn write_card(config: &Pretrain, model: &LanguageModel, progress: &Progress, folder: &Path) -> Result<()> {
    let path: &Path = &folder.join("README.md");
    let Progress { tokens, loss, records, .. } = progress;
    let loss = loss.unwrap_or(f64::NAN);
    let mut rows = String::new();
    for (record, evaluation) in records.iter().filter(|r| r.step == config.steps).zip(&config.evaluations) {
        for (k, e) in &record.pass_at {
            let _ignored = writeln!(
                rows,
                "| {}, {} samples, temperature {} | pass@{k} | {:.1} % | {:.1} to {:.1} % |",
                record.suite,
                record.samples,
                evaluation.temperature,
                100.0 * e.value,
                100.0 * e.low,
                100.0 * e.high
            );
        }
    }
    let card = format!(
        "# {name}\n\nA Qwen3-shaped base model of {parameters} parameters ({layers} layers, width {width}), trained from nothing on worked solutions \
         of the procedural task in its experiment file. It was made to be improved by reinforcement learning, not to be used.\n\n\
         * Training: {steps} steps of {batch} worked solutions, {tokens} tokens in all, seed {seed}; mean loss at the end {loss:.4} nats per token.\n\
         * Tokenizer: bytes and a few words; every digit is a token of its own.\n\
         * Weights: SHA-256 {hash} (over names, shapes and values).\n\n\
         | Held-out problems | Metric | Value | 95 % interval |\n|---|---|---|---|\n{rows}\n\
         Reproduce: `orthant pretrain experiments/pretrain_{name}.ron`. Results agree to the last digit on processors with the same\n\
         vector instructions only: matrix products round differently elsewhere.\n",
        name = config.name,
        parameters = model.parameter_count(),
        layers = config.model.layers,
        width = config.model.hidden_size,
        steps = config.steps,
        batch = config.batch,
        seed = config.seed,
        hash = model.weights.hash()?,
    );
    fs::write(path, card).map_err(Error::io("writing the model card", path))
}
