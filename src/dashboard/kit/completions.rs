//! The numbers of completions, and completions as a table (CSV).

use crate::dashboard::kit::export;
use crate::dashboard::kit::format;
use crate::dashboard::kit::widgets::marks;
use crate::run::{GroupView, RolloutView};

/// A number that every completion has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Quantity {
    /// Base reward.
    Reward,
    /// Reward after shaping.
    Shaped,
    /// Exploration score.
    Novelty,
    /// Advantage.
    Advantage,
    /// Tokens.
    Length,
    /// Sum of log-probabilities.
    Logprob,
    /// Mean entropy.
    Entropy,
}

impl Quantity {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Reward,
        Self::Shaped,
        Self::Novelty,
        Self::Advantage,
        Self::Length,
        Self::Logprob,
        Self::Entropy,
    ];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reward => "reward",
            Self::Shaped => "shaped reward",
            Self::Novelty => "novelty",
            Self::Advantage => "advantage",
            Self::Length => "length",
            Self::Logprob => "log-probability",
            Self::Entropy => "entropy",
        }
    }

    /// Its name at the head of a column.
    pub(crate) fn short(self) -> &'static str {
        match self {
            Self::Reward => "reward",
            Self::Shaped => "shaped",
            Self::Novelty => "novelty",
            Self::Advantage => "A",
            Self::Length => "tokens",
            Self::Logprob => "log p",
            Self::Entropy => "H",
        }
    }

    /// Its name in a search.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Shaped => "shaped",
            Self::Logprob => "logprob",
            _ => self.name(),
        }
    }

    /// What it is, with where it stands in the run folder.
    pub(crate) fn help(self) -> &'static str {
        match self {
            Self::Reward => {
                "Base reward of the task: +1 for a correct answer and −1 otherwise, unless the \
                 task gives others. `reward` in rollouts/."
            }
            Self::Shaped => "Reward after the method's shaping. `shaped_reward` in rollouts/.",
            Self::Novelty => {
                "Exploration score ν in [0, 1]: the part of the direction that high-reward peers \
                 do not explain. `novelty` in rollouts/."
            }
            Self::Advantage => {
                "Shaped reward, standardised within the group. `advantage` in rollouts/."
            }
            Self::Length => {
                "Response tokens, the end-of-sequence token included. `length` in rollouts/."
            }
            Self::Logprob => {
                "Sum of the tokens' log-probabilities under the sampling distribution, nats. \
                 `logprob` in rollouts/."
            }
            Self::Entropy => "Mean entropy per token, nats. `entropy` in rollouts/.",
        }
    }

    /// Its value; NaN where there is none.
    pub(crate) fn of(self, rollout: &RolloutView) -> f64 {
        match self {
            Self::Reward => f64::from(rollout.reward),
            Self::Shaped => f64::from(rollout.shaped_reward),
            Self::Novelty => f64::from(rollout.novelty),
            Self::Advantage => f64::from(rollout.advantage),
            Self::Length => f64::from(rollout.length),
            Self::Logprob => f64::from(rollout.logprob),
            Self::Entropy => f64::from(rollout.entropy),
        }
    }

    /// A value as it stands in the table.
    pub(crate) fn format(self, value: f64) -> String {
        match self {
            Self::Reward | Self::Shaped | Self::Advantage => format::signed(value, 2),
            Self::Novelty => format::number(value, 2),
            Self::Length => format::thousands(value),
            Self::Logprob => format::number(value, 1),
            Self::Entropy => format::number(value, 3),
        }
    }
}

/// Completions of a step as CSV, each by its group and its index there, with everything that is
/// recorded of it.
pub(crate) fn csv<'a>(
    step: u64,
    completions: impl Iterator<Item = (&'a GroupView, usize)>,
) -> String {
    let mut text = String::from("step,group,sample,problem,verdict,");
    text.push_str("reward,shaped_reward,novelty,advantage,length,logprob,entropy,truncated,extracted,completion\n");
    for (group, index) in completions {
        let Some(rollout) = group.rollouts.get(index) else { continue };
        let numbers: Vec<String> =
            Quantity::ALL.iter().map(|quantity| export::number(quantity.of(rollout))).collect();
        let line = format!(
            "{step},{},{index},{},{},{},{},{},{}\n",
            group.group,
            export::field(&group.problem_id),
            marks::verdict_word(rollout.verdict),
            numbers.join(","),
            rollout.truncated,
            export::field(rollout.extracted.as_deref().unwrap_or_default()),
            export::field(&rollout.completion)
        );
        text.push_str(&line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::tests::testing;

    #[test]
    fn a_text_with_commas_quotes_and_lines_is_one_field() {
        let mut view = (*testing::step(20, 1, 1)).clone();
        view.groups[0].rollouts[0].completion = "a, \"b\"\nc".to_owned();
        view.groups[0].rollouts[0].novelty = f32::NAN;
        let text = csv(20, std::iter::once((&view.groups[0], 0)));
        assert!(text.ends_with("\"a, \"\"b\"\"\nc\"\n"), "{text}");
        assert!(text.contains(",,"), "NaN is an empty field: {text}");
    }
}
