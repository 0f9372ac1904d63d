//! What is watched of the responses and their groups.

use crate::dashboard::kit::format;
use crate::dashboard::state::health::finding::{Check, Finding, Level};
use crate::dashboard::state::health::look::Look;
use crate::stages::metrics;

impl Look<'_> {
    pub(super) fn truncation(&self) -> Check {
        let metric = &metrics::COMPLETION_TRUNCATED_RATIO;
        let now = self.now(metric);
        let finding = now.filter(|&share| share > 0.1).map(|share| Finding {
            level: Level::Warning,
            title: "Many responses are cut off",
            detail: format!(
                "In {} {} of the responses reached the token limit; above 10 % the reward measures \
                 the limit.",
                self.present(),
                format::percent(share)
            ),
            advice:
                "Raise rollout.max_new_tokens, or set objective.truncated to Mask or SoftPenalty."
                    .to_owned(),
            metric,
        });
        let (name, rule) = ("Responses cut off", "above 10 %");
        Check { name, value: now.map(format::percent), rule, metric, finding }
    }

    pub(super) fn no_answers(&self) -> Check {
        let metric = &metrics::COMPLETION_NO_ANSWER_RATIO;
        let now = self.now(metric);
        let finding = now.filter(|&share| share > 0.3).map(|share| Finding {
            level: Level::Warning,
            title: "Many responses have no answer",
            detail: format!(
                "In {} the verifier found no final answer in {} of the responses; listed above 30 \
                 %.",
                self.present(),
                format::percent(share)
            ),
            advice:
                "Read some of them under Rollouts: does the prompt template ask for the form that \
                 the verifier reads?"
                    .to_owned(),
            metric,
        });
        let (name, rule) = ("Responses without an answer", "above 30 %");
        Check { name, value: now.map(format::percent), rule, metric, finding }
    }

    pub(super) fn uniform_groups(&self) -> Check {
        let metric = &metrics::GROUP_UNIFORM_RATIO;
        let now = self.now(metric);
        let finding = now.filter(|&share| share > 0.5).map(|share| {
            let accuracy = self.now(&metrics::REWARD_ACCURACY).unwrap_or(f64::NAN);
            let advice = if accuracy > 0.5 {
                "The problems are too easy: use harder ones, rollout.curriculum, or \
                 rollout.dynamic."
            } else {
                "The problems are too hard: use easier ones, larger groups, rollout.curriculum, or \
                 rollout.dynamic."
            };
            Finding {
                level: Level::Warning,
                title: "Most groups teach nothing by their rewards",
                detail: format!(
                    "In {} all base rewards are equal in {} of the groups, at an accuracy of {}; \
                     listed above 50 %.",
                    self.present(),
                    format::percent(share),
                    format::percent(accuracy)
                ),
                advice: advice.to_owned(),
                metric,
            }
        });
        let (name, rule) = ("Groups with equal rewards", "above 50 %");
        Check { name, value: now.map(format::percent), rule, metric, finding }
    }
}
