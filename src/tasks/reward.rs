//! What a completion earns: a number, and the named parts that it consists of.

use crate::error::{Error, Result};
use crate::verify::Verdict;

/// The base reward r of a completion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskReward {
    /// What advantages and shaping start from: any finite number.
    pub total: f32,
    /// What it consists of, by the names of [`Task::reward_parts`](super::Task::reward_parts).
    pub parts: Vec<(&'static str, f32)>,
}

impl TaskReward {
    /// +1 for a correct answer and -1 otherwise.
    pub fn of(verdict: Verdict) -> Self {
        Self::from(if verdict.is_correct() { 1.0 } else { -1.0 })
    }

    /// The sum of named parts.
    pub fn sum(parts: impl IntoIterator<Item = (&'static str, f32)>) -> Self {
        let parts: Vec<_> = parts.into_iter().collect();
        Self { total: parts.iter().map(|(_, value)| value).sum(), parts }
    }

    /// Refuses what is not a finite number, and parts that stand there twice or that the task has
    /// not declared.
    pub(crate) fn check(&self, task: &str, declared: &[RewardPart]) -> Result<()> {
        let total = ("total", self.total);
        for (name, value) in std::iter::once(&total).chain(&self.parts) {
            if !value.is_finite() {
                let problem =
                    format!("the task `{task}` gives a reward of which `{name}` is {value}");
                return Err(Error::failed(format!("{problem}; it must be a finite number")));
            }
        }
        let twice = |place: usize| {
            let (name, earlier) = (self.parts[place].0, &self.parts[..place]);
            earlier.iter().any(|(before, _)| *before == name).then_some(name)
        };
        if let Some(name) = (0..self.parts.len()).find_map(twice) {
            return Err(Error::failed(format!(
                "the task `{task}` gives a reward with the part `{name}` twice"
            )));
        }
        let is_declared = |name: &str| declared.iter().any(|part| part.name == name);
        match self.parts.iter().find(|(name, _)| !is_declared(name)) {
            Some((name, _)) => Err(Error::failed(format!(
                "the task `{task}` gives a reward with the part `{name}`, which its `reward_parts` \
                 does not declare"
            ))),
            None => Ok(()),
        }
    }
}

impl From<f32> for TaskReward {
    fn from(total: f32) -> Self {
        Self { total, parts: Vec::new() }
    }
}

/// A named part of a task's rewards. Its mean over the completions sampled in a step is the metric
/// `reward/NAME_mean`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewardPart {
    /// Its name: letters, digits and `_`.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub help: &'static str,
}

impl RewardPart {
    /// The name of its metric.
    pub(crate) fn metric(self) -> String {
        format!("reward/{}_mean", self.name)
    }
}
