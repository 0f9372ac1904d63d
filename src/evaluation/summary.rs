//! What the outcomes of a suite's problems come to, and the record of an evaluation in training.

use super::{
    EvaluationSettings, ProblemOutcome, Suite, estimate_pass_at_k, mean_interval, sample_suite,
};
use crate::error::{Error, Result};
use crate::experiment::EvaluationConfig;
use crate::model::LanguageModel;
use crate::run::{Estimate, EvaluationRecord};
use std::time::Instant;

/// Estimates over problems, each with its 95 % interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Number of problems.
    pub problems: usize,
    /// Samples per problem.
    pub samples: usize,
    /// pass@k by k, ascending.
    pub pass_at: Vec<(usize, Estimate)>,
    /// Accuracy of the majority of all samples.
    pub majority: Estimate,
    /// Mean accuracy of all samples.
    pub mean: Estimate,
    /// Mean response length, tokens.
    pub length_mean: f64,
    /// Share of completions cut off at the limit.
    pub truncated_ratio: f64,
    /// Share of completions without an answer.
    pub no_answer_ratio: f64,
}

impl Summary {
    /// Summarises the `outcomes` of problems with `samples` samples each: pass@k for every k of
    /// `k`. Fails where there is no problem or a k does not lie between 1 and `samples`.
    pub fn new(outcomes: &[ProblemOutcome], samples: usize, k: &[usize]) -> Result<Self> {
        let correct: Vec<usize> = outcomes.iter().map(|outcome| outcome.correct).collect();
        let accuracies: Vec<f64> =
            correct.iter().map(|&correct| correct as f64 / samples as f64).collect();
        let majorities: Vec<f64> = outcomes.iter().map(|outcome| outcome.majority).collect();
        let mut k = k.to_vec();
        k.sort_unstable();
        k.dedup();
        let pass_at = k
            .iter()
            .map(|&k| Ok((k, estimate_pass_at_k(&correct, samples, k)?)))
            .collect::<Result<Vec<_>>>()?;
        let total =
            |count: fn(&ProblemOutcome) -> usize| outcomes.iter().map(count).sum::<usize>() as f64;
        let completions = (outcomes.len() * samples) as f64;
        Ok(Self {
            problems: outcomes.len(),
            samples,
            pass_at,
            majority: mean_interval(&majorities)?,
            mean: mean_interval(&accuracies)?,
            length_mean: total(|outcome| outcome.tokens) / completions,
            truncated_ratio: total(|outcome| outcome.truncated) / completions,
            no_answer_ratio: total(|outcome| outcome.unanswered) / completions,
        })
    }

    /// The estimates by their names: `pass@1`, ..., `maj@16`, `mean@16`.
    pub fn estimates(&self) -> impl Iterator<Item = (String, Estimate)> {
        let pass = self.pass_at.iter().map(|(k, estimate)| (format!("pass@{k}"), *estimate));
        let of_all = [("maj", self.majority), ("mean", self.mean)];
        pass.chain(of_all.map(|(name, estimate)| (format!("{name}@{}", self.samples), estimate)))
    }
}

/// Samples completions of every problem of the suite and measures pass@k and maj@samples. `step` is
/// recorded and, with `seed`, names the random numbers; `progress` hears the share that is done.
pub fn evaluate(
    model: &LanguageModel,
    suite: &Suite,
    config: &EvaluationConfig,
    max_new_tokens: usize,
    seed: u64,
    step: u64,
    progress: impl FnMut(f32),
) -> Result<EvaluationRecord> {
    let started = Instant::now();
    if suite.problems.is_empty() {
        return Err(Error::input(format!("the suite `{}` has no problems", suite.name)));
    }
    let samples = config.samples;
    let settings = EvaluationSettings {
        samples,
        temperature: config.temperature,
        top_k: config.top_k,
        top_p: config.top_p,
        max_new_tokens,
        seed,
        step,
        rows: None,
    };
    let mut outcomes = Vec::with_capacity(suite.problems.len());
    let each = |samples: &[_]| {
        outcomes.push(ProblemOutcome::of(samples));
        Ok(())
    };
    let numbers: Vec<usize> = (0..suite.problems.len()).collect();
    sample_suite(model, suite, &numbers, &settings, each, progress)?;
    let summary = Summary::new(&outcomes, samples, &config.k)?;
    Ok(EvaluationRecord {
        step,
        suite: suite.name.clone(),
        problems: summary.problems,
        samples,
        pass_at: summary.pass_at,
        maj_at: vec![(samples, summary.majority)],
        length_mean: summary.length_mean,
        truncated_ratio: summary.truncated_ratio,
        no_answer_ratio: summary.no_answer_ratio,
        seconds: started.elapsed().as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_means_over_problems() {
        let outcome = |correct, majority| ProblemOutcome {
            correct,
            majority,
            tokens: 20,
            truncated: 1,
            unanswered: 2,
        };
        let summary =
            Summary::new(&[outcome(0, 0.0), outcome(2, 0.5), outcome(4, 1.0)], 4, &[2, 1, 2])
                .unwrap();
        let values: Vec<(String, f64)> =
            summary.estimates().map(|(name, estimate)| (name, estimate.value)).collect();
        let expected =
            [("pass@1", 0.5), ("pass@2", (5.0 / 6.0 + 1.0) / 3.0), ("maj@4", 0.5), ("mean@4", 0.5)];
        for ((name, value), (expected_name, expected)) in values.iter().zip(expected) {
            assert!(name == expected_name && (value - expected).abs() < 1e-12, "{name} {value}");
        }
        assert_eq!((values.len(), summary.problems, summary.samples), (4, 3, 4));
        let shares = [
            summary.length_mean - 5.0,
            summary.truncated_ratio - 0.25,
            summary.no_answer_ratio - 0.5,
        ];
        assert!(shares.iter().all(|difference| difference.abs() < 1e-12), "{shares:?}");
        assert!(Summary::new(&[], 4, &[1]).is_err());
        assert!(Summary::new(&[outcome(1, 1.0)], 4, &[5]).is_err());
    }
}
