//! Tasks: where problems come from and what makes an answer right.
//!
//! A [`Task`] deals out [`Problem`]s by index, deterministically, from two splits that never share
//! a problem, and verifies completions. The procedural tasks also write worked solutions, from
//! which `orthant pretrain` makes base models.

pub mod arithmetic;
mod build;
pub mod countdown;
pub mod dataset;
mod procedural;
mod reward;

pub use build::build;
pub(crate) use build::foreign;
pub use procedural::split_of;
pub use reward::{RewardPart, TaskReward};

use crate::error::{Error, Result};
use crate::model::TextTokenizer;
use crate::verify::Verification;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::collections::HashMap;

/// Which part of a task's problems is meant. The parts share no problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// For pretraining and reinforcement learning.
    Train,
    /// For evaluation only.
    HeldOut,
}

/// One problem, as the policy sees it and as the verifier needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A stable name, equal for equal problems, such as `countdown/2,4,7,9=37`.
    pub id: String,
    /// The text that the policy continues.
    pub prompt: String,
    /// What is right: a reference answer or, where many answers are right, the condition that they
    /// meet.
    pub answer: String,
}

/// A source of problems with an exact verifier.
///
/// Everything here is a function of its arguments alone, so that a run can be repeated and resumed.
pub trait Task: Send + Sync + 'static {
    /// The task's name in tables and file names, such as `countdown`.
    fn name(&self) -> &str;

    /// Problem number `index` of `split`. Every index is valid: procedural tasks are endless, data
    /// sets start again.
    fn problem(&self, split: Split, seed: u64, index: u64) -> Problem;

    /// Judges one completion (the text after the prompt, without special tokens).
    fn verify(&self, problem: &Problem, completion: &str) -> Verification;

    /// What a completion earns, given what [`Task::verify`] says of it: any finite number, alone or
    /// as the sum of named parts. By default +1 for a correct answer and -1 otherwise.
    fn reward(
        &self,
        problem: &Problem,
        completion: &str,
        verification: &Verification,
    ) -> TaskReward {
        let _ = (problem, completion);
        TaskReward::of(verification.verdict)
    }

    /// The named parts that [`Task::reward`] gives. Each gets a curve. By default none.
    fn reward_parts(&self) -> &[RewardPart] {
        &[]
    }

    /// What a run should warn of before it starts, such as problems that had to be left out.
    fn notes(&self) -> &[String] {
        &[]
    }

    /// How many levels of difficulty the task tells apart, for a curriculum; 1 where it tells none
    /// apart.
    fn levels(&self) -> usize {
        1
    }

    /// The level of `problem`, below [`Self::levels`]. Levels need no order: what counts is that
    /// problems of one level are about equally hard.
    fn level(&self, problem: &Problem) -> usize {
        let _ = problem;
        0
    }

    /// Whether two answers to `problem`, as [`Verification::extracted`] has them, say the same. By
    /// default they do where they are equal but for white space.
    fn same_answer(&self, problem: &Problem, one: &str, other: &str) -> bool {
        let _ = problem;
        same_text(one, other)
    }

    /// The way on which an answer, as [`Verification::extracted`] has it, reaches what it says: a text
    /// that answers share which go the same way, such as a canonical form of an expression. By
    /// default the task cannot tell ways apart. [`Self::tells_strategies`] must hold.
    fn strategy(&self, problem: &Problem, answer: &str) -> Option<String> {
        let _ = (problem, answer);
        None
    }

    /// Whether [`Self::strategy`] tells ways apart, so that they are counted.
    fn tells_strategies(&self) -> bool {
        false
    }

    /// All problems of `split`, each with its text without what the prompt adds to it; `None` where
    /// there is no end to them.
    fn all(&self, split: Split) -> Option<&[(Problem, String)]> {
        let _ = split;
        None
    }

    /// SHA-256 of the problems, where they are not made from the settings alone.
    fn hash(&self) -> Option<&str> {
        None
    }

    /// What is read for it from outside, in words, each with its SHA-256, without the template: a
    /// run that continues with something else is told of it by these names.
    fn sources(&self) -> Vec<(&'static str, String)> {
        self.hash().map(|hash| (TRAINING_DATA, hash.to_string())).into_iter().collect()
    }

    /// SHA-256 of the text of the template that prompts are made with, where there is one.
    fn template_hash(&self) -> Option<&str> {
        None
    }

    /// Tokens of the longest prompt that the task can make. Where it has no end and does not say,
    /// the longest of some first ones.
    fn longest_prompt(&self, seed: u64, tokenizer: &TextTokenizer) -> Result<usize> {
        let prompts: Vec<String> = match self.all(Split::Train) {
            Some(all) => all.iter().map(|(problem, _)| problem.prompt.clone()).collect(),
            None => (0..SEEN_PROMPTS)
                .map(|index| self.problem(Split::Train, seed, index).prompt)
                .collect(),
        };
        most_tokens(&prompts, tokenizer)
    }

    /// A worked solution of `problem` that ends in a right boxed answer, drawn from the task's
    /// solution strategies; `None` where the task cannot write one.
    fn worked_solution(&self, problem: &Problem, rng: &mut ChaCha8Rng) -> Option<String> {
        let _ = (problem, rng);
        None
    }
}

/// What [`Task::sources`] calls the problems that are trained on.
pub(crate) const TRAINING_DATA: &str = "the training data";

/// What it calls problems of another data set that are held out.
pub(crate) const HELD_OUT_DATA: &str = "the held-out data";

/// Prompts that are looked at of a task without an end that does not say which is the longest.
const SEEN_PROMPTS: u64 = 64;

/// Tokens of the longest of these texts.
pub(crate) fn most_tokens(texts: &[String], tokenizer: &TextTokenizer) -> Result<usize> {
    let lengths = texts.par_iter().map(|text| Ok(tokenizer.encode(text)?.len()));
    lengths.try_reduce(|| 0, |one, other| Ok(one.max(other)))
}

/// The places that a model has for prompt and response, and how many of them are kept for the
/// response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Positions of the model.
    pub positions: usize,
    /// Most tokens of a response.
    pub new_tokens: usize,
}

impl Room {
    /// Most tokens of a prompt.
    pub fn most(self) -> usize {
        self.positions.saturating_sub(self.new_tokens)
    }
}

/// The room that an experiment leaves for prompts. Refuses one that leaves none.
pub(crate) fn room(new_tokens: usize, positions: usize) -> Result<Room> {
    let room = Room { positions, new_tokens };
    if room.most() == 0 {
        let problem = format!(
            "is {new_tokens}; the model has {positions} positions, for prompt and response \
             together; lower it"
        );
        return Err(Error::field("rollout.max_new_tokens", problem));
    }
    Ok(room)
}

/// Tokens of the longest prompt that `task` can make. Refuses one for which there is no room.
pub(crate) fn check_length(
    task: &dyn Task,
    seed: u64,
    tokenizer: &TextTokenizer,
    room: Room,
) -> Result<usize> {
    let prompt = task.longest_prompt(seed, tokenizer)?;
    let Room { positions, new_tokens } = room;
    if prompt <= room.most() {
        return Ok(prompt);
    }
    let task = task.name();
    if prompt >= positions {
        return Err(Error::input(format!(
            "the task {task} can have a prompt of {prompt} tokens, which leaves no room in the \
             {positions} positions of the model; choose shorter problems, or a model with more \
             positions"
        )));
    }
    let problem = format!(
        "is {new_tokens}; the task {task} can have a prompt of {prompt} tokens, and together that \
         is more than the {positions} positions of the model; lower it to {}",
        positions - prompt
    );
    Err(Error::field("rollout.max_new_tokens", problem))
}

/// Whether two texts are equal but for white space.
fn same_text(one: &str, other: &str) -> bool {
    let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    bare(one) == bare(other)
}

/// Answers sorted into classes of the `same` answer, numbered from 0 in order of appearance; `None`
/// where there is no answer.
///
/// An answer joins the first class whose first answer is the same: being the same need not be
/// transitive.
pub fn answer_classes(
    answers: &[Option<&str>],
    same: impl Fn(&str, &str) -> bool,
) -> Vec<Option<usize>> {
    let mut firsts: Vec<&str> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut class_of = |answer| {
        *known.entry(answer).or_insert_with(|| {
            firsts.iter().position(|first| same(first, answer)).unwrap_or_else(|| {
                firsts.push(answer);
                firsts.len() - 1
            })
        })
    };
    answers.iter().map(|answer| answer.map(&mut class_of)).collect()
}
