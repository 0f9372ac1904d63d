//! Sampling a suite: completions, verdicts and answer classes, problem by problem.

use super::{Suite, majority_correct};
use crate::error::Result;
use crate::model::{DecoderSpec, LanguageModel, PromptRequest, Sampling, StreamKey};
use crate::verify::Verdict;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How a suite is sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EvaluationSettings {
    /// Completions per problem.
    pub samples: usize,
    /// Divides the logits; 0 takes the likeliest token.
    pub temperature: f64,
    /// As in [`Sampling`].
    pub top_k: Option<usize>,
    /// As in [`Sampling`].
    pub top_p: Option<f64>,
    /// Most tokens of a completion, end-of-sequence included.
    pub max_new_tokens: usize,
    /// Names the random numbers, together with `step`.
    pub seed: u64,
    /// The training step after which this is measured; 0 for a model that is not in training.
    pub step: u64,
    /// Completions that are sampled at a time, of one problem at least. Decides memory, not
    /// results. Left out, as many as fit into 4 GiB of keys and values, at most 512.
    pub rows: Option<usize>,
}

/// One sampled completion: a line of `samples.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampledAnswer {
    /// The problem's id.
    pub problem: String,
    /// Its number among the samples of the problem, from 0.
    pub sample: usize,
    /// Its text without special tokens.
    pub completion: String,
    /// The answer as it stands in it, if one was found.
    pub extracted: Option<String>,
    /// The judgement.
    pub verdict: Verdict,
    /// Equal numbers are equivalent answers within the problem; none without an answer.
    pub answer_class: Option<usize>,
    /// Tokens, end-of-sequence included.
    pub length: usize,
    /// Whether it was cut off at the limit.
    pub truncated: bool,
}

/// What the samples of one problem come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProblemOutcome {
    /// Samples with a right answer.
    pub correct: usize,
    /// The chance that the majority's answer is right ([`majority_correct`]).
    pub majority: f64,
    /// Tokens of all samples.
    pub tokens: usize,
    /// Samples that were cut off.
    pub truncated: usize,
    /// Samples without an answer.
    pub unanswered: usize,
}

impl ProblemOutcome {
    /// The outcome of all samples of one problem.
    pub fn of(samples: &[SampledAnswer]) -> Self {
        let classes: Vec<_> = samples.iter().map(|sample| sample.answer_class).collect();
        let correct: Vec<_> = samples.iter().map(|sample| sample.verdict.is_correct()).collect();
        let count = |holds: fn(&SampledAnswer) -> bool| {
            samples.iter().filter(|sample| holds(sample)).count()
        };
        Self {
            correct: count(|sample| sample.verdict.is_correct()),
            majority: majority_correct(&classes, &correct),
            tokens: samples.iter().map(|sample| sample.length).sum(),
            truncated: count(|sample| sample.truncated),
            unanswered: count(|sample| sample.verdict == Verdict::NoAnswer),
        }
    }
}

/// Keeps the random numbers of evaluations apart from those of training steps.
const EVALUATION_STEPS: u64 = 1 << 48;

/// Most memory for keys and values, bytes, and most rows, where the settings do not say how many
/// rows.
const CACHE_BYTES: usize = 4 << 30;
const MOST_ROWS: usize = 512;

/// Samples the problems of the suite that have these `numbers`, from 0, and hands over the samples
/// of each problem in that order. `progress` hears the share of them that is done.
///
/// What is sampled for a problem is a function of the weights, the seed, the step and the problem's
/// number in the suite alone.
pub fn sample_suite(
    model: &LanguageModel,
    suite: &Suite,
    numbers: &[usize],
    settings: &EvaluationSettings,
    mut each: impl FnMut(&[SampledAnswer]) -> Result<()>,
    mut progress: impl FnMut(f32),
) -> Result<()> {
    let sampling = Sampling {
        temperature: settings.temperature,
        top_k: settings.top_k,
        top_p: settings.top_p,
        max_new_tokens: settings.max_new_tokens,
    };
    let rows = match settings.rows {
        Some(rows) => rows,
        None => rows_at_a_time(
            &model.config,
            suite.longest_prompt(&model.tokenizer)? + settings.max_new_tokens,
        ),
    };
    let chunk = (rows / settings.samples).max(1);
    for (place, chosen) in numbers.chunks(chunk).enumerate() {
        let prompts = chosen
            .iter()
            .map(|&number| {
                let step = EVALUATION_STEPS + settings.step;
                let key = StreamKey { seed: settings.seed, step, prompt: number as u64 };
                Ok(PromptRequest {
                    ids: model.tokenizer.encode(&suite.problems[number].problem.prompt)?,
                    key,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let completions =
            model.frozen.sample(&prompts, settings.samples, &sampling, None, |share| {
                progress(
                    ((place * chunk) as f32 + share * chosen.len() as f32) / numbers.len() as f32,
                );
            })?;
        let judged = completions
            .par_chunks(settings.samples)
            .zip(chosen)
            .map(|(completions, &number)| {
                let problem = &suite.problems[number].problem;
                let mut samples = Vec::with_capacity(completions.len());
                for (sample, completion) in completions.iter().enumerate() {
                    let text = model.tokenizer.decode(&completion.ids)?;
                    let verification = suite.verify(problem, &text);
                    samples.push(SampledAnswer {
                        problem: problem.id.clone(),
                        sample,
                        completion: text,
                        extracted: verification.extracted,
                        verdict: verification.verdict,
                        answer_class: None,
                        length: completion.ids.len(),
                        truncated: completion.truncated,
                    });
                }
                let answers: Vec<_> =
                    samples.iter().map(|sample| sample.extracted.as_deref()).collect();
                let classes = suite.classes(problem, &answers);
                for (sample, class) in samples.iter_mut().zip(classes) {
                    sample.answer_class = class;
                }
                Ok(samples)
            })
            .collect::<Result<Vec<_>>>()?;
        for samples in judged {
            each(&samples)?;
        }
    }
    Ok(())
}

/// Rows of `length` tokens whose keys and values, in `f32` at most, fit into [`CACHE_BYTES`].
fn rows_at_a_time(config: &DecoderSpec, length: usize) -> usize {
    let of_token = 2
        * config.num_hidden_layers
        * config.num_key_value_heads
        * config.head_dim
        * size_of::<f32>();
    (CACHE_BYTES / (of_token * length).max(1)).clamp(1, MOST_ROWS)
}
