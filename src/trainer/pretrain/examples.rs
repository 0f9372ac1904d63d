//! Worked solutions, as a base model learns them.

use crate::error::{Error, Result};
use crate::evaluation::Suite;
use crate::experiment::Pretrain;
use crate::model::TextTokenizer;
use crate::rng::{self, Domain};
use crate::tasks::{Split, Task};
use rayon::prelude::*;

/// Worked solutions that are looked at before work begins.
const SEEN_SOLUTIONS: u64 = 1 << 14;

/// Most tokens of a completion in evaluations.
pub(super) fn new_tokens(positions: usize) -> usize {
    96.min(positions / 2)
}

/// Refuses too few positions for the worked solutions that come first, or for a suite.
pub(super) fn check_positions(
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
                "is {positions}; the suite {} has a prompt of {prompt} tokens, after which {new} \
                 are sampled; raise it",
                suite.name
            );
            return Err(Error::field("model.positions", problem));
        }
    }
    Ok(())
}

/// Refuses prompts with solutions of more tokens than the model has positions.
pub(super) fn fits(lengths: &[usize], positions: usize) -> Result<()> {
    let longest = lengths.iter().copied().max().unwrap_or(0);
    if longest <= positions {
        return Ok(());
    }
    let problem = format!(
        "is {positions}; the task has a worked solution of {longest} tokens, prompt and end \
         included; raise it to that at least"
    );
    Err(Error::field("model.positions", problem))
}

/// Tokens of each example.
pub(super) fn lengths(examples: &[Example]) -> Vec<usize> {
    examples.iter().map(|(prompt, response)| prompt.len() + response.len()).collect()
}

/// (prompt, solution with end-of-text) as token ids.
pub(super) type Example = (Vec<u32>, Vec<u32>);

/// The worked solutions of one step.
pub(super) fn examples(
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
