//! `orthant pretrain EXPERIMENT.ron`: a small base model from nothing.

use crate::error::{Error, Result};
use crate::evaluation::{EvaluationRecord, Suite, evaluate};
use crate::experiment::{self, OptimizerConfig, Precision, Pretrain};
use crate::kernels::Buffers;
use crate::model::{
    END_OF_TEXT, GradientSum, LanguageModel, Qwen3Config, ResponseBatch, TextTokenizer, Weights, data_type,
    micro_batches, open_device,
};
use crate::optim::{AdamW, Schedule};
use crate::rng;
use crate::tasks::{self, Split, Task};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

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

fn train(config: &Pretrain) -> Result<()> {
    let device = open_device(config.device)?;
    let words: Vec<&str> = config.words.iter().map(String::as_str).collect();
    let tokenizer = TextTokenizer::bytes_and_words(&words)?;
    let task = tasks::build(&config.task, &tokenizer, None)?;
    let suites = config.evaluations.iter().map(|evaluation| Suite::new(&evaluation.suite, &task, &tokenizer, None));
    let suites = suites.collect::<Result<Vec<_>>>()?;
    let end = tokenizer.token_id(END_OF_TEXT).ok_or_else(|| Error::failed("the tokenizer has no end-of-text token"))?;
    let shape = Qwen3Config {
        vocab_size: tokenizer.vocabulary(),
        hidden_size: config.model.hidden_size,
        intermediate_size: config.model.intermediate_size,
        num_hidden_layers: config.model.layers,
        num_attention_heads: config.model.heads,
        num_key_value_heads: config.model.kv_heads,
        head_dim: config.model.head_dim,
        max_position_embeddings: config.model.positions,
        rms_norm_eps: 1e-6,
        rope_theta: 10_000.0,
        tie_word_embeddings: true,
        eos_token_ids: vec![end],
    };
    shape.validate()?;
    let weights = Weights::random(&shape, INIT_STD, config.seed, data_type(Precision::F32), &device)?;
    let model = LanguageModel::new(shape, tokenizer, weights)?;
    let OptimizerConfig::AdamW(settings) = &config.optimizer;
    let mut optimizer = AdamW::new(&model.weights, settings.settings())?;
    std::fs::create_dir_all(&config.out).map_err(Error::io("making the model's folder", &config.out))?;

    let bar = ProgressBar::new(config.steps);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} step {pos}/{len}  {msg}  {eta_precise} left") {
        bar.set_style(style);
    }
    let mut tokens_seen = 0;
    let mut loss_mean = f64::NAN;
    let mut records = Vec::new();
    let mut buffers = Buffers::default();
    let started = Instant::now();
    for step in 1..=config.steps {
        let examples = examples(task.as_ref(), &model, config, step, end)?;
        let lengths: Vec<usize> = examples.iter().map(|(prompt, response)| prompt.len() + response.len()).collect();
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
        tokens_seen += lengths.iter().sum::<usize>();
        loss_mean = if loss_mean.is_nan() { total } else { 0.95 * loss_mean + 0.05 * total };
        let pace = tokens_seen as f64 / started.elapsed().as_secs_f64();
        bar.set_message(format!("loss {loss_mean:.4} nats/token  {pace:.0} tokens/s"));
        bar.inc(1);
        for (evaluation, suite) in config.evaluations.iter().zip(&suites) {
            if step % evaluation.every == 0 || step == config.steps {
                let record =
                    evaluate(&model, suite, evaluation, 96.min(config.model.positions / 2), config.seed, step, |_| ())?;
                let line = format!("step {step}: loss {loss_mean:.4}, {}", describe(&record));
                if bar.is_hidden() {
                    eprintln!("{line}");
                } else {
                    bar.println(line);
                }
                records.push(record);
                model.write(&config.out)?;
            }
        }
    }
    bar.finish_and_clear();
    model.write(&config.out)?;
    write_card(config, &model, tokens_seen, loss_mean, &records)
}

/// The worked solutions of one step: (prompt, solution with end-of-text) as token ids.
#[allow(clippy::type_complexity, reason = "a pair of token lists needs no name of its own")]
fn examples(
    task: &dyn Task,
    model: &LanguageModel,
    config: &Pretrain,
    step: u64,
    end: u32,
) -> Result<Vec<(Vec<u32>, Vec<u32>)>> {
    let first = (step - 1) * config.batch as u64;
    (first..first + config.batch as u64)
        .into_par_iter()
        .map(|index| {
            let problem = task.problem(Split::Train, config.seed, index);
            let mut stream = rng::stream([config.seed, rng::SOLUTIONS, index, 0]);
            let solution = task.worked_solution(&problem, &mut stream).ok_or_else(|| {
                Error::input(format!(
                    "the task `{}` writes no worked solutions, so there is nothing to pretrain on",
                    task.name()
                ))
            })?;
            let mut response = model.tokenizer.encode(&solution)?;
            response.push(end);
            Ok((model.tokenizer.encode(&problem.prompt)?, response))
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
fn write_card(
    config: &Pretrain,
    model: &LanguageModel,
    tokens: usize,
    loss: f64,
    records: &[EvaluationRecord],
) -> Result<()> {
    let path: &Path = &config.out.join("README.md");
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
    std::fs::write(path, card).map_err(Error::io("writing the model card", path))
}
