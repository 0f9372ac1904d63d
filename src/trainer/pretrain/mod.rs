//! A small base model from nothing: next-token training on worked solutions of a task.

mod card;
mod event;
mod examples;
mod progress;

pub use event::PretrainEvent;

use crate::error::{Error, Result};
use crate::evaluation::{Suite, evaluate};
use crate::experiment::{Every, OptimizerConfig, Precision, Pretrain};
use crate::files::staging::StagedFolder;
use crate::kernels::Buffers;
use crate::model::{
    DecoderSpec, END_OF_TEXT, GradientSum, LanguageModel, ResponseBatch, TextTokenizer, data_type,
    micro_batches, open_device,
};
use crate::optim::{AdamW, AdamWSettings, Schedule};
use crate::tasks::{self, Task};
use crate::weights::Weights;
use card::write_card;
use examples::{check_positions, examples, fits, lengths, new_tokens};
use progress::{Progress, unsaved};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Standard deviation of initial weights, as in Transformers' Qwen3.
const INIT_STD: f64 = 0.02;

/// Time after which the state is saved, whether there is something to evaluate or not.
const SAVE_INTERVAL: Duration = Duration::from_mins(5);

/// Trains a base model and writes it, with its model card, into the folder that the experiment
/// names. A try that was killed is continued by the next one. `tell` is called with what happens.
pub fn pretrain(config: &Pretrain, mut tell: impl FnMut(PretrainEvent<'_>)) -> Result<()> {
    let subject = Subject::new(config, |warning| tell(PretrainEvent::Warning(&warning)))?;
    // Weights, masters and moments twice while one save replaces another, and the weights of the
    // model itself.
    let bytes = (subject.model.parameter_count() * (2 * (4 + 12) + 4)) as u64;
    let staged = StagedFolder::begin(&config.out, Progress::KEPT, bytes)?;
    let place = staged.path();
    let (progress, optimizer) =
        Progress::begin(config, &subject.model, subject.settings(), place, &mut tell)?;
    if progress.step > 0 {
        tell(PretrainEvent::Continues(progress.step));
    }

    let mut training = Training { subject, progress, optimizer, buffers: Buffers::default() };
    let (started, tokens_before) = (Instant::now(), training.progress.tokens);
    let mut saved = Instant::now();
    for step in training.progress.step + 1..=config.steps {
        training.step(step)?;
        let tokens = training.progress.tokens - tokens_before;
        let tokens_per_s = tokens as f64 / started.elapsed().as_secs_f64();
        tell(PretrainEvent::Step { step, loss: training.loss(), tokens_per_s });

        let has_evaluated = training.evaluate(step, &mut tell)?;
        if has_evaluated || saved.elapsed() > SAVE_INTERVAL {
            let result = training.save(place);
            result.map_err(|error| unsaved(error, place, bytes))?;
            saved = Instant::now();
        }
    }

    let Training { subject: Subject { model, .. }, progress, .. } = training;
    let written = model.write(place).and_then(|()| write_card(config, &model, &progress, place));
    written.map_err(|error| unsaved(error, place, bytes))?;
    Progress::remove(place)?;
    staged.finish()
}

/// What is trained, on what, and how it is measured.
struct Subject<'a> {
    config: &'a Pretrain,
    task: Arc<dyn Task>,
    suites: Vec<Suite>,
    model: LanguageModel,
    /// The token that ends a solution.
    end: u32,
}

impl<'a> Subject<'a> {
    /// Makes the model. Refuses problems that are too long for it, before any work.
    fn new(config: &'a Pretrain, warn: impl FnMut(String)) -> Result<Self> {
        let device = open_device(config.device, warn)?;
        let words: Vec<&str> = config.words.iter().map(String::as_str).collect();
        let tokenizer = TextTokenizer::bytes_and_words(&words)?;
        let task = tasks::build(&config.task, &tokenizer, None)?;
        let suites = Suite::all(&config.evaluations, &task, &tokenizer, None)?;

        let no_end = || Error::failed("the tokenizer has no end-of-text token");
        let end = tokenizer.token_id(END_OF_TEXT).ok_or_else(no_end)?;
        let shape = shape(config, tokenizer.vocabulary(), end);
        shape.validate()?;
        check_positions(config, task.as_ref(), &suites, &tokenizer, end)?;
        let dtype = data_type(Precision::F32);
        let weights = Weights::random(&shape, INIT_STD, config.seed, dtype, &device)?;
        let model = LanguageModel::new(shape, tokenizer, weights)?;
        Ok(Self { config, task, suites, model, end })
    }

    fn settings(&self) -> AdamWSettings {
        let OptimizerConfig::AdamW(settings) = &self.config.optimizer;
        settings.settings()
    }
}

fn shape(config: &Pretrain, vocabulary: usize, end: u32) -> DecoderSpec {
    DecoderSpec {
        vocab_size: vocabulary,
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
    }
}

/// Training under way.
struct Training<'a> {
    subject: Subject<'a>,
    progress: Progress,
    optimizer: AdamW,
    buffers: Buffers,
}

impl Training<'_> {
    /// Makes one optimizer step.
    fn step(&mut self, step: u64) -> Result<()> {
        let Subject { config, task, model, end, .. } = &self.subject;
        let examples = examples(task.as_ref(), &model.tokenizer, config, step, *end)?;
        let lengths = lengths(&examples);
        fits(&lengths, config.model.positions)?;
        let targets: usize = examples.iter().map(|(_, response)| response.len()).sum();

        let mut sum = GradientSum::new(&model.trainable, &model.weights, false, &mut self.buffers)?;
        let mut total = 0.0;
        for range in micro_batches(&lengths, config.micro_batch_tokens) {
            let pairs: Vec<(&[u32], &[u32])> = examples[range]
                .iter()
                .map(|(prompt, response)| (prompt.as_slice(), response.as_slice()))
                .collect();
            let pass = sum.forward(ResponseBatch::new(&pairs)?, 1.0)?;
            // Column 0 of the statistics is the log-probability of a token.
            let logprobs = pass.statistics().narrow(1, 0, 1)?.sum_all()?;
            let loss = (logprobs * (-1.0 / targets as f64))?;
            total += f64::from(loss.to_scalar::<f32>()?);
            sum.backward(pass, &loss)?;
        }

        let gradients = sum.finish()?;
        let OptimizerConfig::AdamW(settings) = &config.optimizer;
        let (peak, warmup) = (settings.learning_rate, settings.warmup_steps);
        let rate = Schedule::rate(settings.schedule, peak, step, warmup, config.steps);
        self.optimizer.step(&gradients, gradients.norm()?, rate)?;
        gradients.free(&mut self.buffers);
        self.progress.add(step, lengths.iter().sum(), total);
        Ok(())
    }

    /// The running mean of the loss, nats per token; not a number before the first step.
    fn loss(&self) -> f64 {
        self.progress.loss.unwrap_or(f64::NAN)
    }

    /// Measures the suites that are due. Says whether some were.
    fn evaluate(&mut self, step: u64, tell: &mut impl FnMut(PretrainEvent<'_>)) -> Result<bool> {
        let loss = self.loss();
        let Subject { config, suites, model, .. } = &self.subject;
        let new = new_tokens(config.model.positions);
        let is_due = |every: Every| every.is_due(step) || step == config.steps;
        let mut has_evaluated = false;
        for (evaluation, suite) in config.evaluations.iter().zip(suites) {
            if !is_due(evaluation.every) {
                continue;
            }
            let record = evaluate(model, suite, evaluation, new, config.seed, step, |_| ())?;
            tell(PretrainEvent::Evaluated { step, loss, record: &record });
            self.progress.records.push(record);
            has_evaluated = true;
        }
        Ok(has_evaluated)
    }

    fn save(&self, place: &Path) -> Result<()> {
        self.progress.save(&self.subject.model, &self.optimizer, place)
    }
}
