//! Running a suite: the same code for evaluations during training, of base models, and from the command line.

use super::{Estimate, estimate_pass_at_k};
use crate::error::{Error, Result};
use crate::experiment::{EvaluationConfig, SuiteConfig};
use crate::model::{LanguageModel, PromptRequest, Sampling, StreamKey};
use crate::tasks::{Problem, Split, Task};
use crate::verify::Verdict;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Instant;

/// The result of one evaluation, as in `evals.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// The step after which it was done; 0 is the base model.
    pub step: u64,
    /// The suite's name.
    pub suite: String,
    /// Number of problems.
    pub problems: usize,
    /// Samples per problem.
    pub samples: usize,
    /// pass@k by k, ascending; in JSON the fields `pass@1`, `pass@4`, ...
    #[serde(flatten, with = "pass_at_fields")]
    pub pass_at: Vec<(usize, Estimate)>,
    /// Mean response length, tokens.
    pub length_mean: f64,
    /// Share of completions without an answer.
    pub no_answer_ratio: f64,
    /// Seconds it took.
    pub seconds: f64,
}

impl EvaluationRecord {
    /// pass@k, if measured.
    pub fn pass(&self, k: usize) -> Option<Estimate> {
        self.pass_at.iter().find(|(measured, _)| *measured == k).map(|(_, estimate)| *estimate)
    }
}

mod pass_at_fields {
    use super::Estimate;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<S: Serializer>(pass_at: &[(usize, Estimate)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pass_at.iter().map(|(k, estimate)| (format!("pass@{k}"), estimate)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(usize, Estimate)>, D::Error> {
        let fields = BTreeMap::<String, Estimate>::deserialize(deserializer)?;
        let mut pass_at = fields
            .into_iter()
            .map(|(name, estimate)| match name.strip_prefix("pass@").map(str::parse) {
                Some(Ok(k)) => Ok((k, estimate)),
                _ => Err(D::Error::custom(format!("unknown field `{name}`"))),
            })
            .collect::<Result<Vec<_>, _>>()?;
        pass_at.sort_by_key(|(k, _)| *k);
        Ok(pass_at)
    }
}

impl std::fmt::Display for EvaluationRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "step {}: {}", self.step, self.suite)?;
        for (k, e) in &self.pass_at {
            write!(f, ", pass@{k} {:.1} % [{:.1}, {:.1}]", 100.0 * e.value, 100.0 * e.low, 100.0 * e.high)?;
        }
        Ok(())
    }
}

/// Rows that are sampled at a time.
const ROWS: usize = 512;

/// Keeps the random numbers of evaluations apart from those of training steps.
const EVALUATION_STEPS: u64 = 1 << 48;

/// The seed of held-out problems: one for all runs, so that runs with different seeds are measured on the same problems.
const HELD_OUT_SEED: u64 = 0;

impl SuiteConfig {
    /// The suite's name in records and tables.
    pub fn label(&self, task: &dyn Task) -> String {
        match self {
            Self::HeldOut(held_out) => format!("{} held-out {}", task.name(), held_out.problems),
        }
    }

    fn problems(&self, task: &dyn Task) -> Vec<Problem> {
        match self {
            Self::HeldOut(held_out) => {
                // Equal problems may be dealt under several numbers; each counts once, as long as there are enough.
                let mut seen = BTreeSet::new();
                (0..held_out.problems as u64 * 20)
                    .map(|index| task.problem(Split::HeldOut, HELD_OUT_SEED, index))
                    .filter(|problem| seen.insert(problem.id.clone()))
                    .take(held_out.problems)
                    .collect()
            }
        }
    }
}

/// Samples completions of every problem of the suite and measures pass@k. `step` is recorded and, with `seed`, names the random
/// numbers; `progress` hears the share that is done.
pub fn evaluate(
    model: &LanguageModel,
    task: &dyn Task,
    config: &EvaluationConfig,
    max_new_tokens: usize,
    seed: u64,
    step: u64,
    mut progress: impl FnMut(f32),
) -> Result<EvaluationRecord> {
    let started = Instant::now();
    let problems = config.suite.problems(task);
    if problems.is_empty() {
        return Err(Error::input(format!("the suite `{}` has no problems", config.suite.label(task))));
    }
    let sampling = Sampling { temperature: config.temperature, top_k: None, top_p: None, max_new_tokens };
    let mut correct = Vec::with_capacity(problems.len());
    let (mut tokens, mut unanswered) = (0, 0);
    let chunk = (ROWS / config.samples).max(1);
    for (number, problems_chunk) in problems.chunks(chunk).enumerate() {
        let prompts = problems_chunk
            .iter()
            .enumerate()
            .map(|(i, problem)| {
                let key = StreamKey { seed, step: EVALUATION_STEPS + step, prompt: (number * chunk + i) as u64 };
                Ok(PromptRequest { ids: model.tokenizer.encode(&problem.prompt)?, key })
            })
            .collect::<Result<Vec<_>>>()?;
        let base = (number * chunk) as f32;
        let completions = model.frozen.sample(&prompts, config.samples, &sampling, None, |share| {
            progress((base + share * problems_chunk.len() as f32) / problems.len() as f32);
        })?;
        tokens += completions.iter().map(|completion| completion.ids.len()).sum::<usize>();
        let verdicts = completions
            .par_iter()
            .enumerate()
            .map(|(i, completion)| {
                let text = model.tokenizer.decode(&completion.ids)?;
                Ok(task.verify(&problems_chunk[i / config.samples], &text).verdict)
            })
            .collect::<Result<Vec<Verdict>>>()?;
        unanswered += verdicts.iter().filter(|verdict| **verdict == Verdict::NoAnswer).count();
        correct.extend(verdicts.chunks(config.samples).map(|group| group.iter().filter(|v| v.is_correct()).count()));
    }
    let completions = problems.len() * config.samples;
    let pass_at = config
        .k
        .iter()
        .map(|&k| Ok((k, estimate_pass_at_k(&correct, config.samples, k, seed)?)))
        .collect::<Result<Vec<_>>>()?;
    Ok(EvaluationRecord {
        step,
        suite: config.suite.label(task),
        problems: problems.len(),
        samples: config.samples,
        pass_at,
        length_mean: tokens as f64 / completions as f64,
        no_answer_ratio: unanswered as f64 / completions as f64,
        seconds: started.elapsed().as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_a_field_per_k_and_read_back_equal() {
        let estimate = |value| Estimate { value, low: value - 0.1, high: value + 0.1 };
        let record = EvaluationRecord {
            step: 25,
            suite: "countdown held-out 8".to_string(),
            problems: 8,
            samples: 16,
            pass_at: vec![(1, estimate(0.25)), (4, estimate(0.5)), (16, estimate(0.75))],
            length_mean: 31.5,
            no_answer_ratio: 0.0,
            seconds: 1.5,
        };
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!(json["pass@16"]["value"], 0.75);
        assert_eq!(serde_json::from_value::<EvaluationRecord>(json).unwrap(), record);
    }
}
